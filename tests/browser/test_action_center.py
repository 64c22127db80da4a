"""The Action center in a real browser: a person signs in, approves with a reason and finds it in History."""

from typing import Literal

import pytest
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import ActionEvidence, RemediationAction
from tests.browser.conftest import Visitor
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_pending_action
from tests.portal.access.sign_in.codes import give_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
PAGES = (
    "/admin/",
    "/admin/actions/pendingaction/",
    "/admin/actions/historyaction/",
    "/admin/investigations/investigation/",
    "/admin/investigations/alert/",
    "/admin/investigations/device/",
    "/admin/investigations/devicegroup/",
    "/admin/tenancy/tenant/",
    "/admin/audit/auditevent/",
)


@pytest.fixture
def pending(acme: Tenant) -> RemediationAction:
    """Isolation of a laptop with a telling target, in an investigation with evidence."""
    device = make_device(acme, "lap-7")
    investigation = make_investigation(acme, device=device)
    evidence = make_evidence(make_alert(acme, investigation), device, file_path="C:\\Users\\eva\\" + "long" * 40)
    action = make_pending_action(acme, device, investigation_id=investigation.pk)
    with acting_for(acme.id):
        ActionEvidence.objects.create(tenant=acme, action=action, evidence=evidence)
    return action


@pytest.fixture
def bob_with_password(bob: User) -> User:
    """Bob, who can sign in."""
    bob.set_password(PASSWORD)
    bob.save()
    give_app(bob)
    return bob


def test_a_person_approves_with_a_reason_and_finds_it_in_history(
    pending: RemediationAction, bob_with_password: User, visitor: Visitor
) -> None:
    visitor.sign_in(bob_with_password.email, PASSWORD)
    page = visitor.page
    page.get_by_role("link", name="1 Pending approval").click()
    page.locator("input.action-select").check()
    page.get_by_label("Action:").select_option("approve")
    page.get_by_role("button", name="Run the selected action").or_(page.get_by_role("button", name="Go")).click()
    expect(page.get_by_text("Isolate device lap-7 of Acme: the device loses its network")).to_be_visible()
    page.keyboard.type("Confirmed with the owner.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved: Isolate device · lap-7")).to_be_visible()
    visitor.go("/admin/actions/historyaction/")
    page.locator("#result_list").get_by_role("link", name="Isolate device").click()
    expect(page.get_by_text("Confirmed with the owner.").first).to_be_visible()
    assert visitor.complaints == []


def test_a_person_asks_for_an_action_from_a_devices_page(
    pending: RemediationAction, bob_with_password: User, visitor: Visitor
) -> None:
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.sign_in(bob_with_password.email, PASSWORD)
    page = visitor.page
    visitor.go(f"/admin/investigations/device/{pending.device_id}/change/")
    page.get_by_role("link", name="Ask for an action").click()
    assert visitor.overflow() <= 0
    page.get_by_role("link", name="Run antivirus scan").click()
    page.get_by_label("Full").check()
    page.get_by_label("Reason").fill("It was slow all day.")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("One other person has to approve it; nothing is sent before.")).to_be_visible()
    assert visitor.overflow() <= 0
    page.get_by_role("button", name="Ask for it").click()
    expect(page.get_by_text("Asked for: Run antivirus scan · lap-7. It waits for approval.")).to_be_visible()
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_telephone_or_breaks_the_content_security_policy(
    pending: RemediationAction, bob_with_password: User, visitor: Visitor, scheme: Literal["light", "dark"]
) -> None:
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.page.set_viewport_size({"width": 360, "height": 740})
    visitor.sign_in(bob_with_password.email, PASSWORD)
    details = (
        f"/admin/actions/pendingaction/{pending.pk}/change/",
        f"/admin/actions/pendingaction/decide/approve/?id={pending.pk}",
        f"/admin/investigations/investigation/{pending.investigation_id}/change/",
        f"/admin/investigations/device/{pending.device_id}/change/",
        f"/admin/actions/pendingaction/ask/?device={pending.device_id}",
        f"/admin/actions/pendingaction/ask/?device={pending.device_id}&type=stop_process",
        f"/admin/actions/pendingaction/ask/?device={pending.device_id}&type=isolate_device",
    )
    for path in (*PAGES, *details):
        visitor.go(path)
        expect(visitor.page.locator("main")).to_be_visible()
        assert visitor.overflow() <= 0, path
    assert visitor.complaints == []
