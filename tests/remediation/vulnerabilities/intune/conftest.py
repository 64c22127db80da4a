"""Acme with its Intune on at the simulator, tickets on their way there, and a worker's rounds."""

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings
from uuid_utils.compat import uuid7

from investigations.models import Device
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.intune.sending import send_due
from remediation.vulnerabilities.intune.syncing import sync_intune
from remediation.vulnerabilities.intune.tickets import open_tickets
from remediation.vulnerabilities.models import (
    ActivityDevice,
    IntuneConnection,
    ManagedDevice,
    RemediationActivity,
    SecurityTask,
)
from tests.connectors.outbound.conftest import actor, listen, make_channel, receiver
from tests.factories import make_device
from tests.remediation.actions.conftest import Vendor, connected, vendor, vendor_process

__all__ = ["actor", "connected", "listen", "make_channel", "receiver", "vendor", "vendor_process"]

ELSEWHERE = "5b1f2c1e-77aa-4b0e-9a51-0d6c0f3b9e21"


@pytest.fixture
def intune_on(connected: Tenant, settings: Settings) -> Tenant:
    """Acme, connected and with its Intune connection on, tasks to be moved from here; read whenever asked."""
    settings.INTUNE_SYNC_SECONDS = 0.0
    with acting_for(connected.id):
        IntuneConnection.objects.create(tenant=connected, is_on=True, may_update_tasks=True)
    return connected


def seeded_task(task_id: str = ELSEWHERE, **fields: Any) -> dict[str, Any]:
    """A task that was made in Defender, as the simulator is seeded with it."""
    kind = fields.pop("kind", "appVulnerabilityTask")
    return {"@odata.type": f"#microsoft.graph.{kind}", "id": task_id, "displayName": "Update 7-Zip", **fields}


def make_devices(tenant: Tenant, count: int) -> list[Device]:
    """Create devices that Entra knows."""
    return [make_device(tenant, f"pc-{number}", entra_device_id=str(uuid4())) for number in range(count)]


def make_ticket(tenant: Tenant, devices: list[Device], **fields: Any) -> SecurityTask:
    """Request remediation on these devices, with a ticket that waits to be sent."""
    values = {
        "campaign": uuid7(), "title": "Update 7-Zip", "related_component": "7-Zip", "option": "software_update",
        "priority": "high", "notes": "Exploited in the wild", "requested_by_label": "ada@acme.example",
        "devices_at_start": len(devices), "devices_exposed": len(devices), "wants_ticket": True,
    }  # fmt: skip
    with acting_for(tenant.id):
        activity = RemediationActivity.objects.create(tenant=tenant, **(values | fields))
        ActivityDevice.objects.bulk_create(
            ActivityDevice(tenant=tenant, activity=activity, device=device) for device in devices
        )
        [task] = open_tickets([activity])
    return task


def reread(task: SecurityTask) -> SecurityTask:
    """The task as it is now, with its activity."""
    with acting_for(task.tenant_id):
        return SecurityTask.objects.select_related("activity").get(pk=task.pk)


def change(task: SecurityTask, **fields: Any) -> None:
    """Write into the task's row, as time or somebody else would."""
    with acting_for(task.tenant_id):
        SecurityTask.objects.filter(pk=task.pk).update(**fields)


def send(tenant: Tenant) -> None:
    """Let a worker send what waits, whatever it was told to wait for."""
    with acting_for(tenant.id):
        SecurityTask.objects.filter(not_before__isnull=False).update(not_before="2020-01-01T00:00:00Z")
    send_due(tenant.id)


def sync(tenant: Tenant) -> bool:
    """Let a worker read the tenant's Intune now."""
    with acting_for(tenant.id):
        IntuneConnection.objects.update(next_sync_at=None)
    return sync_intune(tenant.id)


def the_connection(tenant: Tenant) -> IntuneConnection:
    """The tenant's Intune connection as it is now."""
    with acting_for(tenant.id):
        return IntuneConnection.objects.get()


def the_task(tenant: Tenant) -> SecurityTask:
    """The tenant's only task as it is now."""
    with acting_for(tenant.id):
        return SecurityTask.objects.select_related("activity").get()


def managed(tenant: Tenant) -> dict[str, ManagedDevice]:
    """The tenant's managed devices by name."""
    with acting_for(tenant.id):
        return {row.name: row for row in ManagedDevice.objects.select_related("device")}


def events_of(task: SecurityTask) -> list[tuple[str, dict[str, Any]]]:
    """What history says of a task."""
    with acting_for(task.tenant_id):
        rows = AuditEvent.objects.filter(object_id=task.pk).order_by("seq")
        return [(event.verb, event.data) for event in rows]


def as_it_admin(vendor: Vendor, tenant: Tenant, remote_id: str, status: str, note: str = "") -> None:
    """Let the customer's IT admin move a task in Intune."""
    path = f"/_simulator/tenants/{tenant.entra_tenant_id}/tasks/{remote_id}"
    vendor.admin.post(path, json={"status": status, "note": note}).raise_for_status()


def delete_in_intune(vendor: Vendor, tenant: Tenant, remote_id: str) -> None:
    """Let the customer's IT admin delete a task in Intune."""
    vendor.admin.delete(f"/_simulator/tenants/{tenant.entra_tenant_id}/tasks/{remote_id}").raise_for_status()


def in_intune(vendor: Vendor, tenant: Tenant) -> list[dict[str, Any]]:
    """The tasks Intune really has."""
    found: list[dict[str, Any]] = vendor.truth(tenant)["security_tasks"]
    return found
