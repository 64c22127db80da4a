"""Hunting in a real browser: rows are chosen, confirmed and asked for, on a telephone too, and a page follows along."""

from threading import Thread

import pytest
from django.db import connection
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.hunting.models import Hunt
from tests.browser.conftest import Visitor
from tests.factories import make_device
from tests.portal.access.sign_in.codes import give_app
from tests.remediation.hunting.conftest import MACHINE, MESSAGE, make_hunt

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


@pytest.fixture
def bob_with_password(bob: User) -> User:
    """Bob, who can sign in."""
    bob.set_password(PASSWORD)
    bob.save()
    give_app(bob)
    return bob


@pytest.fixture
def devices(acme: Tenant) -> Hunt:
    """A result with one known device and wide columns."""
    make_device(acme, "lap-7", machine_id=MACHINE, os_platform="Windows11")
    wide = {f"Column{number}": "value " * 12 for number in range(9)}
    rows = [{"Timestamp": "2026-11-20T10:00:00Z", **wide, "DeviceId": MACHINE}]
    return make_hunt(acme, rows=[*rows, {**rows[0], "DeviceId": "2" * 40}])


@pytest.fixture
def mails(acme: Tenant) -> Hunt:
    """A result of the explorer."""
    rows = [
        {
            "Subject": f"You won {number}",
            "RecipientEmailAddress": f"p{number}@acme.example",
            "NetworkMessageId": MESSAGE,
        }
        for number in range(3)
    ]
    return make_hunt(acme, source="explorer", rows=rows, criteria={"subject": "You won"})


def test_rows_are_chosen_by_keyboard_confirmed_and_asked_for(
    devices: Hunt, bob_with_password: User, visitor: Visitor
) -> None:
    visitor.sign_in(bob_with_password.email, PASSWORD)
    visitor.go(f"/admin/hunting/hunt/{devices.pk}/change/")
    page = visitor.page
    page.get_by_label("Choose row 1").focus()
    page.keyboard.press("Space")
    page.get_by_label("Action on the chosen rows").select_option("isolate_device")
    page.get_by_role("button", name="Go on").press("Enter")
    expect(page.get_by_text("1 target of Acme: the device loses its network")).to_be_visible()
    page.get_by_label("Full").check()
    page.get_by_label("Reason").fill("Seen in the hunt.")
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("Asked for", exact=True)).to_be_visible()
    assert visitor.complaints == []


@pytest.fixture
def running(acme: Tenant) -> Hunt:
    """A hunt that is under way."""
    return make_hunt(acme, state="running", rows=[{"DeviceId": MACHINE}])


def test_a_page_brings_the_answer_by_itself(running: Hunt, bob_with_password: User, visitor: Visitor) -> None:
    visitor.sign_in(bob_with_password.email, PASSWORD)
    visitor.go(f"/admin/hunting/hunt/{running.pk}/change/")
    expect(visitor.page.get_by_text("Microsoft is being asked.")).to_be_visible()
    visitor.page.evaluate("window.stayed = true")
    worker = Thread(target=_finish, args=(running,))
    worker.start()
    worker.join()
    visitor.page.get_by_text("1 row was found.").wait_for(timeout=10_000)
    assert visitor.page.evaluate("window.stayed")
    assert visitor.complaints == []


def _finish(hunt: Hunt) -> None:
    with acting_for(hunt.tenant_id):
        Hunt.objects.update(state="done")
    connection.close()


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(
    devices: Hunt, mails: Hunt, bob_with_password: User, visitor: Visitor, width: int
) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 800})
    visitor.sign_in(bob_with_password.email, PASSWORD)
    for path in (
        "/admin/hunting/hunt/",
        "/admin/hunting/mailsearch/",
        f"/admin/hunting/hunt/{devices.pk}/change/",
        f"/admin/hunting/hunt/batch/{devices.batch}/",
        f"/admin/hunting/mailsearch/{mails.pk}/change/",
    ):
        visitor.go(path)
        expect(visitor.page.locator("main")).to_be_visible()
        assert visitor.overflow() <= 0, path
    visitor.page.get_by_label("All 3 rows").check()
    visitor.page.get_by_role("button", name="Hard delete email").click()
    expect(visitor.page.get_by_text("This cannot be undone.")).to_be_visible()
    assert visitor.overflow() <= 0
    visitor.page.get_by_label("Reason").fill("Phishing.")
    visitor.page.get_by_role("button", name="Ask for it").click()
    expect(visitor.page.get_by_text("Asked for", exact=True).first).to_be_visible()
    assert visitor.overflow() <= 0
    assert visitor.complaints == []
