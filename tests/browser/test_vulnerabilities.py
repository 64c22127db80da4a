"""Remediation in a real browser: requested from a recommendation, completed by hand, and named on the first page."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from remediation.vulnerabilities.models import Recommendation, RemediationActivity
from remediation.vulnerabilities.querysets import today
from tests.browser.conftest import Visitor
from tests.factories import connect_intune, make_device
from tests.portal.access.sign_in.codes import give_app
from tests.remediation.vulnerabilities.admin.conftest import PAGES, chrome, make_activity

__all__ = ["chrome"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
RECOMMENDATIONS = "/admin/vulnerabilities/recommendation/"


@pytest.fixture
def ada_with_password(ada: User) -> User:
    """Ada, who can sign in."""
    ada.set_password(PASSWORD)
    ada.save()
    give_app(ada)
    return ada


@pytest.fixture
def connected_chrome(acme: Tenant, chrome: Recommendation) -> Recommendation:
    """Chrome, of a tenant whose Intune connection is on."""
    connect_intune(acme)
    return chrome


@pytest.fixture
def activity(acme: Tenant) -> RemediationActivity:
    """An activity with many devices, that is due soon."""
    devices = [make_device(acme, f"workstation-{number:03}.corp.acme.example") for number in range(5)]
    return make_activity(acme, *devices, due_on=today() + timedelta(days=1), notes="Before the audit. " * 20)


def test_remediation_is_requested_from_its_recommendation(
    connected_chrome: Recommendation, ada_with_password: User, visitor: Visitor
) -> None:
    visitor.sign_in(ada_with_password.email, PASSWORD)
    visitor.go(f"{RECOMMENDATIONS}{connected_chrome.pk}/change/")
    page = visitor.page
    page.get_by_role("link", name="Request remediation").click()
    expect(page.get_by_label("Servers: 2 exposed")).to_be_hidden()
    page.get_by_label("Only these device groups").check()
    page.get_by_label("Servers: 2 exposed").check()
    page.get_by_label("High").check()
    page.get_by_label("Due date").fill((today() + timedelta(days=9)).isoformat())
    page.get_by_label("Open a ticket in Intune").check()
    page.get_by_role("button", name="Go on").press("Enter")
    expect(page.get_by_text("Nothing is changed on any device.")).to_be_visible()
    expect(page.get_by_text("2 devices are exposed; 0 go to Intune.")).to_be_visible()
    page.get_by_role("button", name="Change something").click()
    expect(page.get_by_label("Servers: 2 exposed")).to_be_checked()
    page.get_by_label("All device groups").check()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("3 devices are exposed; 1 go to Intune.")).to_be_visible()
    page.get_by_role("button", name="Request remediation").click()
    expect(page.get_by_text("Remediation was requested.")).to_be_visible()
    expect(page.get_by_text("0 of 3 devices")).to_be_visible()
    assert visitor.complaints == []


def test_attention_required_has_no_due_date(
    connected_chrome: Recommendation, ada_with_password: User, visitor: Visitor
) -> None:
    visitor.sign_in(ada_with_password.email, PASSWORD)
    visitor.go(f"{PAGES}request/{connected_chrome.pk}/")
    page = visitor.page
    page.get_by_label("Due date").fill((today() + timedelta(days=9)).isoformat())
    page.get_by_label("Open a ticket in Intune").check()
    page.get_by_label("Remediation requested").select_option("attention_required")
    expect(page.get_by_label("Due date")).to_be_hidden()
    expect(page.get_by_label("Open a ticket in Intune")).to_be_hidden()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("It has no due date, no progress and no ticket")).to_be_visible()
    page.get_by_role("button", name="Request remediation").click()
    expect(page.get_by_text("has no progress and no ticket to follow")).to_be_visible()
    expect(page.locator("progress")).to_have_count(0)
    assert visitor.complaints == []


def test_the_first_page_leads_to_completing_by_hand_which_shows_the_email(
    activity: RemediationActivity, ada_with_password: User, visitor: Visitor
) -> None:
    visitor.sign_in(ada_with_password.email, PASSWORD)
    page = visitor.page
    panel = page.get_by_role("region", name="Top remediation activities").first
    expect(panel.get_by_text("Due soon")).to_be_visible()
    panel.get_by_role("link", name="Mark as completed “Update Google Chrome”").press("Enter")
    expect(page.get_by_text("5 devices are still exposed and are no longer followed.")).to_be_visible()
    page.get_by_label("Why").fill("The machines were replaced.")
    page.get_by_role("button", name="Mark as completed").click()
    expect(page.get_by_role("definition").filter(has_text=ada_with_password.email).first).to_be_visible()
    for place in ("definition", "cell"):  # of the activity, and of its history
        expect(page.get_by_role(place).filter(has_text="The machines were replaced.")).to_be_visible()
    visitor.go("/admin/")
    expect(page.get_by_text("No remediation is open.")).to_be_visible()
    assert visitor.complaints == []


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(
    activity: RemediationActivity, chrome: Recommendation, ada_with_password: User, visitor: Visitor, width: int
) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 800})
    visitor.sign_in(ada_with_password.email, PASSWORD)
    for path in (
        "/admin/",
        PAGES,
        f"{PAGES}{activity.pk}/change/",
        f"{PAGES}{activity.pk}/complete/",
        f"{PAGES}{activity.pk}/notes/",
        f"{PAGES}campaign/{activity.campaign}/",
        f"{PAGES}burn-down/",
        f"{PAGES}request/{chrome.pk}/",
        f"{PAGES}request-many/{chrome.pk}/",
    ):
        visitor.go(path)
        expect(visitor.page.locator("main")).to_be_visible()
        assert visitor.overflow() <= 0, path
    assert visitor.complaints == []
