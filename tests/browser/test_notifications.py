"""The pages of channels and deliveries in a real browser: adding one, its secret once, a test, and nothing too wide."""

import pytest
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from tests.browser.conftest import Visitor
from tests.portal.access.sign_in.codes import give_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"


@pytest.fixture
def admin(acme: Tenant, tess: User) -> User:
    """Acme's own admin, with a code app."""
    tess.set_password(PASSWORD)
    tess.save()
    give_app(tess)
    return tess


@pytest.mark.parametrize("width", [360, 1280])
def test_a_channel_is_added_tested_and_followed(acme: Tenant, admin: User, visitor: Visitor, width: int) -> None:
    page = visitor.page
    visitor.sign_in(admin.email, PASSWORD)
    page.set_viewport_size({"width": width, "height": 900})
    visitor.go("/admin/outbound/delivery/")
    expect(page.locator("#content")).to_contain_text("Nothing was sent yet")
    visitor.go("/admin/outbound/channel/")
    expect(page.locator("#content")).to_contain_text("Nobody is told yet")
    page.get_by_role("link", name="Add a channel").press("Enter")
    assert visitor.overflow() <= 0
    page.get_by_label("Kind").select_option("webhook")
    page.get_by_label("Tenant").select_option(label="Acme")
    page.get_by_label("Name", exact=False).first.fill("Service desk of the head office in Stockholm")
    page.get_by_label("Overdue").check()
    page.get_by_label("New address").fill("https://a-rather-long-name-of-a-host.service-desk.example/hook")
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("signing secret")
    assert visitor.overflow() <= 0
    page.get_by_role("link", name="New signing secret").press("Enter")
    page.get_by_role("button", name="New signing secret").press("Enter")
    assert page.locator("#signing-secret").inner_text().startswith("whsec_")
    assert visitor.overflow() <= 0
    page.get_by_role("link", name="I have copied it").press("Enter")
    page.get_by_role("link", name="Send a test message").press("Enter")
    page.get_by_role("button", name="Send a test message").press("Enter")
    expect(page.locator("#container")).to_contain_text("on its way")
    visitor.go("/admin/outbound/delivery/")
    expect(page.locator("#result_list")).to_contain_text("Queued")
    assert visitor.overflow() <= 0
    page.get_by_role("link", name="Test message from Quell").press("Enter")
    assert visitor.overflow() <= 0
    assert visitor.complaints == []
