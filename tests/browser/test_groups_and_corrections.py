"""Groups and corrections in a real browser: by keyboard, at 360 px, without a complaint of the security policy."""

import pytest
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from tests.browser.conftest import Visitor
from tests.browser.test_action_center import PASSWORD, bob_with_password
from tests.factories import make_alert, make_device, make_investigation
from tests.remediation.actions.test_corrections import SHA1, quarantined
from tests.remediation.actions.test_groups import quarantine

__all__ = ["bob_with_password"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def case(acme: Tenant) -> str:
    """Three files that wait, and one quarantined by an alert, whose id it returns."""
    quarantine(acme, 3)
    alert = make_alert(acme, make_investigation(acme), raw={"alertWebUrl": "https://security.microsoft.com/a"})
    quarantined(alert, make_device(acme, "lap-7"))
    return str(alert.pk)


def test_a_group_is_decided_by_keyboard(case: str, bob_with_password: User, visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.sign_in(bob_with_password.email, PASSWORD)
    visitor.go("/admin/actions/pendingaction/")
    page = visitor.page
    for link in ("Groups: decide once, apply to many", SHA1, "Approve all of them"):
        assert visitor.overflow() <= 0, link
        page.get_by_role("link", name=link).focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
    page.get_by_text("3 actions in 1 tenant").wait_for()
    assert visitor.overflow() <= 0
    page.keyboard.type("The same malware everywhere.")
    page.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What came of it").wait_for()
    expect(page.locator(".badge-good")).to_have_count(3)
    assert visitor.overflow() <= 0
    assert visitor.complaints == []


def test_a_false_positive_is_corrected_on_one_screen(case: str, bob_with_password: User, visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.sign_in(bob_with_password.email, PASSWORD)
    visitor.go(f"/admin/investigations/alert/{case}/change/")
    page = visitor.page
    page.get_by_role("link", name="Report as false positive").first.click()
    assert visitor.overflow() <= 0
    page.get_by_label("Allow an indicator").select_option("FileSha1")
    page.get_by_label("Indicator's value").fill(SHA1)
    page.get_by_label("Submit it to Microsoft").check()
    page.get_by_label("Reason").fill("Our own tool.")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
    expect(page.get_by_role("heading", name="What you have to do by hand")).to_be_visible()
    assert visitor.overflow() <= 0
    page.get_by_role("button", name="Order it").click()
    page.get_by_role("heading", name="What came of it").wait_for()
    expect(page.locator(".badge-good")).to_have_count(3)
    expect(page.locator(".badge-waiting")).to_have_count(1)
    assert visitor.overflow() <= 0
    assert visitor.complaints == []
