"""Exceptions in a real browser: asked for by keyboard with the preview, granted by another, on a telephone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.sync_api import expect

from investigations.models import Device
from portal.access.models import User
from portal.tenancy.models import Tenant
from remediation.vulnerabilities.models import Recommendation
from tests.browser.conftest import Visitor
from tests.factories import make_device, make_group
from tests.portal.access.sign_in.codes import give_app
from tests.remediation.vulnerabilities.exceptions.conftest import CVE, make_recommendation

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
PAGES = "/admin/vulnerabilities/recommendationexception/"


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def browser_to_update(acme: Tenant) -> Recommendation:
    """A recommendation with a server and a laptop exposed."""
    devices: list[Device] = [make_device(acme, "srv-1", group=make_group(acme)), make_device(acme, "pc-1")]
    return make_recommendation(acme, "Browser", [CVE], devices)


@pytest.fixture
def asker(ada: User) -> str:
    """Ada, who can sign in."""
    return with_password(ada).email


@pytest.fixture
def decider(tess: User) -> str:
    """Tess, who can sign in with a second factor."""
    give_app(with_password(tess))
    return tess.email


def test_asked_for_by_keyboard_on_a_telephone_and_granted(
    acme: Tenant, browser_to_update: Recommendation, asker: str, decider: str, visitor: Visitor
) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 360, "height": 800})
    visitor.sign_in(asker, PASSWORD)
    visitor.go(f"{PAGES}add/?recommendation={browser_to_update.pk}")
    page.get_by_label("Servers").focus()
    page.keyboard.press("Space")
    page.get_by_label("Context").fill("No newer one.")
    page.get_by_role("button", name="Show what it would change").press("Enter")
    expect(page.get_by_text("Exposed devices: 2 now, 1 with this exception.")).to_be_visible()
    assert visitor.overflow() == 0
    page.get_by_role("button", name="Ask for it").press("Enter")
    expect(page.get_by_text("It waits for a second person.")).to_be_visible()
    detail = page.url
    page.context.clear_cookies()

    visitor.sign_in(decider, PASSWORD)
    page.goto(detail)
    page.get_by_role("link", name="Approve").press("Enter")
    page.get_by_label("Reason").fill("Seen.")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_text("The exception is granted.")).to_be_visible()
    key = UUID(detail.rstrip("/").split("/")[-2])
    for path in (PAGES, f"{PAGES}add/", f"{PAGES}{key}/cancel/decide/", "/admin/"):
        visitor.go(path)
        assert visitor.overflow() == 0, path
    assert visitor.complaints == []


def test_a_register_is_imported_and_granted_by_keyboard_on_a_telephone(
    acme: Tenant, browser_to_update: Recommendation, asker: str, decider: str, visitor: Visitor
) -> None:
    """As German Excel writes it: asked for line by line, then granted together by another."""
    page, last = visitor.page, datetime.now(UTC).date() + timedelta(days=30)
    register = (
        "tenant;recommendation_id;cve;device_groups;whole_tenant;justification;context;last_day\r\n"
        f"Acme;va-_-browser;;Servers;FALSCH;Accept risk;Kein Neues;{last:%d.%m.%Y}\r\n"
        f"Acme;;{CVE};Servers;;Other;Kein Neues;{last:%d.%m.%Y}\r\n"
        f"Nobody-with-a-rather-long-name-of-no-one;;{CVE};Servers;;Other;Kein Neues;{last:%d.%m.%Y}\r\n"
    )
    page.set_viewport_size({"width": 360, "height": 800})
    visitor.sign_in(asker, PASSWORD)
    visitor.go(PAGES)
    page.get_by_role("link", name="Import a register").press("Enter")
    assert visitor.overflow() == 0
    page.get_by_label("File").set_input_files(
        {"name": "register.csv", "mimeType": "text/csv", "buffer": b"\xef\xbb\xbf" + register.encode()}
    )
    page.get_by_role("button", name="Show what it would ask for").press("Enter")
    expect(page.get_by_text("Nothing is asked for yet.")).to_be_visible()
    expect(page.get_by_text("No such thing, or not one of yours.")).to_be_visible()
    assert visitor.overflow() == 0
    page.get_by_role("button", name="Ask for 2 exceptions").press("Enter")
    expect(page.get_by_role("heading", name="What was asked for")).to_be_visible()
    assert visitor.overflow() == 0
    page.context.clear_cookies()

    visitor.sign_in(decider, PASSWORD)
    visitor.go(f"{PAGES}?state__exact=requested")
    page.get_by_label("Select all objects on this page for an action").press("Space")
    page.get_by_label("Action:").select_option("approve_chosen")
    page.get_by_role("button", name="Go").press("Enter")
    expect(page.get_by_role("heading", name="Approve these exceptions?")).to_be_visible()
    assert visitor.overflow() == 0
    page.get_by_label("Reason").fill("Seen.")
    page.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_text("2 exceptions are granted.")).to_be_visible()
    assert visitor.overflow() == 0
    assert visitor.complaints == []
