"""Intune read from the real simulator: health, tasks followed, devices matched, and lists not to be believed."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F

from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.draining import way_out_of
from remediation.vulnerabilities.intune import devices as intune_devices
from remediation.vulnerabilities.intune import following, syncing
from remediation.vulnerabilities.models import IntuneConnection, SecurityTask
from remediation.vulnerabilities.states import IntuneHealth, TaskKind, TaskStatus
from tests.factories import make_device
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.intune.conftest import (
    ELSEWHERE,
    as_it_admin,
    change,
    delete_in_intune,
    events_of,
    in_intune,
    make_ticket,
    managed,
    reread,
    seeded_task,
    send,
    sync,
    the_connection,
    the_task,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]


def device_row(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"00000000-0000-4000-8000-{number:012}", "deviceName": f"pc-{number}", **fields}


@pytest.mark.parametrize(
    ("partner_state", "health"),
    [
        ("enabled", IntuneHealth.ENABLED),
        ("available", IntuneHealth.AVAILABLE),
        ("unresponsive", IntuneHealth.UNRESPONSIVE),
        (None, IntuneHealth.UNAVAILABLE),
    ],
)
def test_health_is_what_the_partner_connector_says(
    intune_on: Tenant, vendor: Vendor, partner_state: str | None, health: IntuneHealth
) -> None:
    vendor.seed(intune_on, intune={"partner_state": partner_state, "heartbeat": "2026-11-02T08:11:05Z"})

    assert sync(intune_on)

    found = the_connection(intune_on)
    assert (found.health, found.health_detail) == (health, "")
    assert (found.heartbeat_at is None) == (partner_state is None)


@pytest.mark.parametrize(
    ("permission", "still_read"),
    [
        ("DeviceManagementServiceConfig.Read.All", {"tasks", "devices"}),
        ("DeviceManagementApps.ReadWrite.All", {"devices"}),
        ("DeviceManagementManagedDevices.Read.All", {"tasks"}),
    ],
)
def test_a_missing_permission_is_named_and_keeps_nothing_else_from_being_read(
    intune_on: Tenant, vendor: Vendor, permission: str, still_read: set[str]
) -> None:
    vendor.seed(intune_on, withheld_roles=[permission], security_tasks=[seeded_task()], managed_devices=[device_row(1)])

    assert not sync(intune_on)

    found = the_connection(intune_on)
    assert found.health == IntuneHealth.PERMISSIONS_MISSING
    assert permission in found.health_detail
    with acting_for(intune_on.id):
        tasks = SecurityTask.objects.count()
    assert (tasks == 1, len(managed(intune_on)) == 1) == ("tasks" in still_read, "devices" in still_read)


@pytest.mark.parametrize("fault", ["server_error", "throttle", "html", "truncate"])
def test_answers_that_are_none_change_nothing_and_are_told(intune_on: Tenant, vendor: Vendor, fault: str) -> None:
    vendor.seed(intune_on, security_tasks=[seeded_task()], managed_devices=[device_row(1)])
    assert sync(intune_on)
    with acting_for(intune_on.id):
        IntuneConnection.objects.update(devices_swept_at="2020-01-01T00:00:00Z")
    method = {} if fault in {"html", "truncate"} else {"method": "GET"}
    vendor.fault(fault, path="/device", **method)

    assert not sync(intune_on)

    assert the_connection(intune_on).health == IntuneHealth.UNREACHABLE
    assert (the_task(intune_on).status, managed(intune_on)["pc-1"].removed_at) == (TaskStatus.PENDING, None)


def test_tasks_of_all_kinds_are_stored_and_a_second_reading_changes_nothing(intune_on: Tenant, vendor: Vendor) -> None:
    kinds = ["appVulnerabilityTask", "securityConfigurationTask", "unmanagedDeviceDiscoveryTask"]
    vendor.seed(intune_on, security_tasks=[seeded_task(str(uuid4()), kind=kind) for kind in kinds], page_size=2)

    assert sync(intune_on)
    assert sync(intune_on)

    with acting_for(intune_on.id):
        rows = list(SecurityTask.objects.order_by("kind"))
    assert [row.kind for row in rows] == [TaskKind.APP, TaskKind.CONFIGURATION, TaskKind.UNMANAGED_DEVICES]
    assert all(row.status == TaskStatus.PENDING and row.activity_id is None and not events_of(row) for row in rows)


def test_status_and_the_admins_note_are_followed_and_a_rejection_is_told_once(
    intune_on: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(following, "tell", lambda _tenant, notice, key: told.append(f"{notice.event} {key}"))
    task = make_ticket(intune_on, [])
    send(intune_on)

    as_it_admin(vendor, intune_on, reread(task).remote_id, "rejected", "We do not patch this server.")
    assert sync(intune_on)
    assert sync(intune_on)

    task = reread(task)
    assert (task.status, task.admin_note) == (TaskStatus.REJECTED, "We do not patch this server.")
    assert task.creator_notes == "Exploited in the wild"
    assert told == [f"ticket_rejected rejected:{task.pk}"]
    [_made, (verb, data)] = events_of(task)
    assert (verb, data["before"], data["after"], data["admin_note"]) == (
        "security_task.changed", {"status": "pending"}, {"status": "rejected"}, "We do not patch this server.",
    )  # fmt: skip


def test_a_task_deleted_in_intune_is_told_and_one_that_comes_back_followed(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.seed(intune_on, security_tasks=[seeded_task()])
    assert sync(intune_on)
    delete_in_intune(vendor, intune_on, ELSEWHERE)

    assert sync(intune_on)

    task = the_task(intune_on)
    assert task.status == TaskStatus.DELETED
    assert "deleted it in Intune" in task.detail
    vendor.seed(intune_on, security_tasks=[seeded_task()])
    assert sync(intune_on)
    assert (the_task(intune_on).status, the_task(intune_on).detail) == (TaskStatus.PENDING, "")


def test_a_list_that_leaves_a_task_out_deletes_nothing(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.seed(intune_on, security_tasks=[seeded_task()])
    assert sync(intune_on)
    as_it_admin(vendor, intune_on, ELSEWHERE, "active", "On it")
    connector = way_out_of(intune_on.id).connector
    assert connector is not None

    syncing._see_to_missing(intune_on.id, connector.intune, set(), datetime.now(UTC))

    assert (the_task(intune_on).status, the_task(intune_on).admin_note) == (TaskStatus.ACTIVE, "On it")


def test_a_made_ticket_whose_answer_was_lost_is_adopted_by_the_sync(intune_on: Tenant, vendor: Vendor) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    remote_id = reread(task).remote_id
    change(task, remote_id="", status=TaskStatus.UNCONFIRMED, sent_at="2020-01-01T00:00:00Z")

    assert sync(intune_on)

    assert (the_task(intune_on).remote_id, the_task(intune_on).status) == (remote_id, TaskStatus.PENDING)


def test_what_a_worker_has_in_hand_is_left_to_it(intune_on: Tenant, vendor: Vendor) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    change(task, remote_id="", status=TaskStatus.SENDING, lease_until="2100-01-01T00:00:00Z")

    assert sync(intune_on)

    assert (the_task(intune_on).remote_id, the_task(intune_on).status) == ("", TaskStatus.SENDING)
    assert len(in_intune(vendor, intune_on)) == 1


@pytest.mark.parametrize("works", ["cast", "expand", "none"])
def test_the_devices_of_a_task_are_kept_and_the_way_to_them_too(intune_on: Tenant, vendor: Vendor, works: str) -> None:
    first, second = str(uuid4()), str(uuid4())
    vendor.seed(
        intune_on,
        intune={"device_path": works},
        security_tasks=[seeded_task(managedDevices=[{"id": first, "displayName": "pc-1"}, {"id": second}])],
    )

    assert sync(intune_on)

    with acting_for(intune_on.id):
        found = {row.entra_device_id: row.name for row in the_task(intune_on).devices.all()}
    assert found == ({} if works == "none" else {first: "pc-1", second: ""})
    assert the_connection(intune_on).device_path == {
        "cast": "/{type}/managedDevices", "expand": "?$expand=managedDevices", "none": "",
    }[works]  # fmt: skip


def test_managed_devices_are_matched_by_entra_id_and_by_nothing_else(intune_on: Tenant, vendor: Vendor) -> None:
    entra_id, nobody = str(uuid4()), "00000000-0000-0000-0000-000000000000"
    mine = make_device(intune_on, "lap-1", entra_device_id=entra_id.upper())
    make_device(intune_on, "lap-2", entra_device_id=nobody)
    rows = [
        device_row(1, azureADDeviceId=entra_id, complianceState="noncompliant"),
        device_row(2, azureADDeviceId=nobody),
        device_row(3, azureADDeviceId=str(uuid4())),
    ]
    vendor.seed(intune_on, managed_devices=rows, page_size=2)

    assert sync(intune_on)

    found = managed(intune_on)
    assert [found[f"pc-{number}"].device for number in (1, 2, 3)] == [mine, None, None]
    assert (found["pc-1"].compliance_state, found["pc-2"].entra_device_id) == ("noncompliant", "")


def test_a_device_that_defender_tells_of_later_is_matched_before_the_next_sweep(
    intune_on: Tenant, vendor: Vendor
) -> None:
    entra_id = str(uuid4())
    vendor.seed(intune_on, managed_devices=[device_row(1, azureADDeviceId=entra_id), device_row(2)])
    assert sync(intune_on)
    assert managed(intune_on)["pc-1"].device is None

    late = make_device(intune_on, "lap-1", entra_device_id=entra_id)
    assert sync(intune_on)

    assert (managed(intune_on)["pc-1"].device, managed(intune_on)["pc-2"].device) == (late, None)


def test_removals_are_found_by_a_whole_sweep_and_taken_back_by_another(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.seed(intune_on, managed_devices=[device_row(number) for number in (1, 2, 3)], page_size=2)
    assert sync(intune_on)
    vendor.seed(intune_on, managed_devices=[{**device_row(3), "removed": True}])
    assert sync(intune_on)
    assert managed(intune_on)["pc-3"].removed_at is None  # not due within the hour

    sweep_again(intune_on)
    assert managed(intune_on)["pc-3"].removed_at is not None
    assert managed(intune_on)["pc-1"].removed_at is None

    vendor.seed(intune_on, managed_devices=[device_row(3)])
    sweep_again(intune_on)
    assert managed(intune_on)["pc-3"].removed_at is None


def sweep_again(tenant: Tenant) -> bool:
    with acting_for(tenant.id):
        IntuneConnection.objects.update(devices_swept_at="2020-01-01T00:00:00Z")
    return sync(tenant)


def test_a_sweep_that_broke_off_removes_nothing(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.seed(intune_on, managed_devices=[device_row(number) for number in range(4)], page_size=2)
    assert sync(intune_on)
    vendor.fault("server_error", path="/manageddevices", method="GET", count=1)

    assert not sweep_again(intune_on)

    assert all(row.removed_at is None for row in managed(intune_on).values())


def test_a_list_that_shrinks_by_half_is_believed_only_later(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.seed(intune_on, managed_devices=[device_row(number) for number in range(4)])
    assert sync(intune_on)
    vendor.seed(intune_on, managed_devices=[{**device_row(number), "removed": True} for number in range(2)])

    assert not sweep_again(intune_on)
    assert not sync(intune_on)
    assert all(row.removed_at is None for row in managed(intune_on).values())
    assert "2 of 4 devices" in the_connection(intune_on).health_detail

    with acting_for(intune_on.id):
        IntuneConnection.objects.update(shrunk_at=F("shrunk_at") - intune_devices.SECOND_LOOK - timedelta(seconds=1))
    assert sync(intune_on)
    assert sum(row.removed_at is not None for row in managed(intune_on).values()) == 2
    assert the_connection(intune_on).shrunk_at is None


def test_while_it_is_off_nothing_is_read(intune_on: Tenant, vendor: Vendor) -> None:
    with acting_for(intune_on.id):
        IntuneConnection.objects.update(is_on=False)

    assert not sync(intune_on)

    assert not any("/device" in entry["path"].lower() for entry in vendor.received(intune_on))
