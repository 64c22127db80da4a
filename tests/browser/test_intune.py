"""The pages of Intune in a real browser: the switch and its health, a task decided by keyboard, nothing too wide."""

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.models import IntuneConnection, ManagedDevice, SecurityTask, SecurityTaskDevice
from remediation.vulnerabilities.states import IntuneHealth
from tests.browser.conftest import Visitor
from tests.factories import make_device
from tests.portal.access.sign_in.codes import give_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "correct horse battery"
PAGES = "/admin/vulnerabilities"


@pytest.fixture
def task(acme: Tenant, tess: User) -> SecurityTask:
    """A pending task with a device, in a tenant whose Intune lacks a permission, for Tess, who has a code app."""
    tess.set_password(PASSWORD)
    tess.save()
    give_app(tess)
    device = make_device(acme, "lap-01.acme.example")
    with acting_for(acme.id):
        IntuneConnection.objects.create(
            tenant=acme, is_on=True, may_update_tasks=True, health=IntuneHealth.PERMISSIONS_MISSING,
            health_detail="Missing: DeviceManagementManagedDevices.Read.All. " + "long-word" * 12,
            health_at=database_now(), heartbeat_at=database_now(), device_path="/{type}?$expand=managedDevices",
        )  # fmt: skip
        ManagedDevice.objects.create(
            tenant=acme, intune_id=str(uuid4()), entra_device_id=str(uuid4()), name="LAP-01", device=device,
            compliance_state="noncompliant", operating_system="Windows", last_sync_at=database_now(),
        )  # fmt: skip
        made = SecurityTask.objects.create(
            tenant=acme, remote_id=str(uuid4()), kind="app", status="pending", display_name="Update 7-Zip",
            description="Update 7-Zip to 24.09 or later", creator="sec@acme.example", managed_device_count=1,
        )  # fmt: skip
        SecurityTaskDevice.objects.create(tenant=acme, task=made, entra_device_id=str(uuid4()), name="LAP-01")
    return made


@pytest.mark.parametrize("width", [360, 1280])
def test_intunes_pages_work_by_keyboard_and_at_every_width(task: SecurityTask, visitor: Visitor, width: int) -> None:
    visitor.sign_in("tess@acme.example", PASSWORD)
    visitor.page.set_viewport_size({"width": width, "height": 900})

    visitor.go(f"{PAGES}/intuneconnection/")
    assert visitor.overflow() <= 0
    visitor.page.locator("#result_list").get_by_role("link", name="Acme").press("Enter")
    expect(visitor.page.locator(".field-found")).to_contain_text("DeviceManagementManagedDevices.Read.All")
    expect(visitor.page.locator(".field-advice")).to_contain_text("consent again")
    assert visitor.overflow() <= 0
    visitor.page.get_by_label("Microsoft Intune connection").press("Space")
    visitor.page.get_by_role("button", name="Save", exact=True).press("Enter")
    expect(visitor.page.locator("#result_list")).to_contain_text("Off")
    visitor.page.locator("#result_list").get_by_role("link", name="Acme").press("Enter")
    visitor.page.get_by_label("Microsoft Intune connection").press("Space")
    visitor.page.get_by_role("button", name="Save", exact=True).press("Enter")

    visitor.go(f"{PAGES}/securitytask/")
    assert visitor.overflow() <= 0
    visitor.page.locator("#result_list").get_by_role("link", name="Update 7-Zip").press("Enter")
    assert visitor.overflow() <= 0
    visitor.page.get_by_role("link", name="Accept").press("Enter")
    assert visitor.overflow() <= 0
    visitor.page.get_by_label("Note").fill("On it")
    visitor.page.get_by_role("button", name="Accept").press("Enter")
    expect(visitor.page.locator("#content-main")).to_contain_text("Intune is being asked to make it “Accepted”")

    visitor.go(f"{PAGES}/manageddevice/")
    assert visitor.overflow() <= 0
    visitor.page.locator("#result_list").get_by_role("link", name="LAP-01").first.press("Enter")
    assert visitor.overflow() <= 0
    assert visitor.complaints == []
