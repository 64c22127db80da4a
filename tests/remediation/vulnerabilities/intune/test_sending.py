"""Tickets on their way to Intune against the real simulator: made once, whatever answers, and moved with care."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from pytest_django import Settings

from investigations.models import Device
from portal.access.exceptions import BadRequest
from portal.access.models import TenantMembership, User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.draining import way_out_of
from remediation.vulnerabilities.intune import asking, sending
from remediation.vulnerabilities.intune.following import read_task
from remediation.vulnerabilities.intune.tickets import tenants_connected
from remediation.vulnerabilities.models import ActivityDevice, IntuneConnection, RemediationActivity
from remediation.vulnerabilities.states import TaskStatus
from tests.factories import make_device
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.intune.conftest import (
    as_it_admin,
    change,
    delete_in_intune,
    events_of,
    in_intune,
    make_devices,
    make_ticket,
    reread,
    send,
    sync,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

TASKS = "/deviceappmanagementtasks"


def test_a_ticket_becomes_a_task_with_its_devices_and_our_marker(intune_on: Tenant, vendor: Vendor) -> None:
    devices = make_devices(intune_on, 2)
    unknown_to_entra = make_device(intune_on, "no-id", last_seen_at=datetime.now(UTC))
    task = make_ticket(intune_on, [*devices, unknown_to_entra], due_on=date(2027, 1, 31))

    sending.send_due(intune_on.id)

    task = reread(task)
    [made] = in_intune(vendor, intune_on)
    assert task.activity is not None
    assert (task.status, task.remote_id, task.detail) == (TaskStatus.PENDING, made["id"], "")
    assert (task.activity.devices_sent, task.managed_device_count, task.activity.devices_at_start) == (2, 2, 3)
    assert task.activity.devices_without_entra_id == 1
    assert f"[{task.activity_id}]" in made["description"]
    assert {row["id"] for row in made["managedDevices"]} == {device.entra_device_id for device in devices}
    assert (made["creator"], made["creatorNotes"], made["priority"]) == (
        "ada@acme.example", "Exploited in the wild", "high",
    )  # fmt: skip
    assert (made["dueDateTime"], made["mitigationType"]) == ("2027-01-31T23:59:59Z", "update")
    assert [verb for verb, _data in events_of(task)] == ["security_task.changed"]


def test_medium_priority_is_none_there_and_said_in_the_text(intune_on: Tenant, vendor: Vendor) -> None:
    make_ticket(intune_on, [], priority="medium", option="configuration_change", mitigation="block")

    sending.send_due(intune_on.id)

    [made] = in_intune(vendor, intune_on)
    assert made["@odata.type"] == "#microsoft.graph.securityConfigurationTask"
    assert made["priority"] == "none"
    assert "medium" in made["description"]
    assert "Block" in made["description"]


def test_more_devices_than_intune_takes_go_by_device_id_and_twins_once(
    intune_on: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_DEVICES", 3)
    devices = make_devices(intune_on, 4)
    twin = make_device(intune_on, "twin", entra_device_id=devices[0].entra_device_id.upper())
    task = make_ticket(intune_on, [twin, *reversed(devices)])

    sending.send_due(intune_on.id)

    task = reread(task)
    assert task.activity is not None
    assert (task.activity.devices_sent, task.activity.devices_at_start) == (3, 5)
    with acting_for(intune_on.id):
        sent = ActivityDevice.objects.filter(sent_to_intune=True).values_list("device_id", flat=True)
        assert set(sent) == {device.pk for device in devices[:3]}


@pytest.mark.parametrize(("has", "sent"), [(9_999, 9_999), (10_000, 10_000), (10_001, 10_000)])
def test_ten_thousand_devices_go_and_no_more(intune_on: Tenant, has: int, sent: int) -> None:
    first = make_device(intune_on, "pc", entra_device_id=str(uuid4()))
    with acting_for(intune_on.id):
        others = [
            Device(
                tenant=intune_on, group=first.group, machine_id=f"{number:040x}", entra_device_id=str(UUID(int=number))
            )
            for number in range(1, has)
        ]
        Device.objects.bulk_create(others)
    task = make_ticket(intune_on, [first, *others])
    assert task.activity_id is not None

    with acting_for(intune_on.id):
        asking.mark_devices(task.activity_id)
        assert ActivityDevice.objects.filter(sent_to_intune=True).count() == sent


def test_a_ticket_waits_for_devices_that_the_device_list_has_not_described_yet(
    intune_on: Tenant, vendor: Vendor
) -> None:
    device = make_device(intune_on, "just-listed")
    task = make_ticket(intune_on, [device])

    sending.send_due(intune_on.id)
    assert (reread(task).status, reread(task).attempts, in_intune(vendor, intune_on)) == (TaskStatus.WAITING, 0, [])
    assert "1 device has not been described" in reread(task).detail

    with acting_for(intune_on.id):
        Device.objects.update(entra_device_id=str(uuid4()), last_seen_at=datetime.now(UTC))
    send(intune_on)
    assert [len(made["managedDevices"]) for made in in_intune(vendor, intune_on)] == [1]
    assert reread(task).detail == ""


def test_a_ticket_waits_an_hour_at_most_and_says_how_many_it_left_out(intune_on: Tenant, vendor: Vendor) -> None:
    task = make_ticket(intune_on, [make_device(intune_on, "just-listed"), *make_devices(intune_on, 1)])
    change(task, created_at=datetime.now(UTC) - timedelta(minutes=61))

    send(intune_on)

    activity = reread(task).activity
    assert activity is not None
    assert (activity.devices_sent, activity.devices_without_entra_id) == (1, 1)


def test_what_was_held_at_the_door_counts_no_device_as_sent(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.fault("throttle", path=TASKS, retry_after="40", count=1)
    task = make_ticket(intune_on, make_devices(intune_on, 1))

    sending.send_due(intune_on.id)

    assert reread(task).status == TaskStatus.WAITING
    with acting_for(intune_on.id):
        assert not ActivityDevice.objects.filter(sent_to_intune=True).exists()


@pytest.mark.parametrize("fault", ["reset_after_accepting", "truncate", "error_in_success", "server_error"])
def test_an_unknown_outcome_is_looked_up_and_never_doubled(
    intune_on: Tenant, vendor: Vendor, settings: Settings, fault: str
) -> None:
    settings.ACTION_QUIET_SECONDS = 0.0
    task = make_ticket(intune_on, make_devices(intune_on, 1))
    vendor.fault(fault, method="POST", path=TASKS, count=1)

    sending.send_due(intune_on.id)
    assert reread(task).status in (TaskStatus.UNCONFIRMED, TaskStatus.PENDING)
    assert reread(task).detail
    for _round in range(2):
        send(intune_on)

    assert reread(task).status == TaskStatus.PENDING
    assert len(in_intune(vendor, intune_on)) == 1
    activity = reread(task).activity
    assert activity is not None
    assert activity.devices_sent == 1


def test_absent_for_certain_is_made_again_only_after_a_quiet_while(
    intune_on: Tenant, vendor: Vendor, settings: Settings
) -> None:
    settings.ACTION_QUIET_SECONDS = 60.0
    task = make_ticket(intune_on, [])
    change(task, status=TaskStatus.SENDING, sent_at=datetime.now(UTC), fence=4)  # its worker died

    send(intune_on)
    assert (reread(task).status, in_intune(vendor, intune_on)) == (TaskStatus.UNCONFIRMED, [])

    change(task, sent_at="2020-01-01T00:00:00Z")
    for _round in range(2):  # one list may be incomplete
        send(intune_on)
        assert (reread(task).status, in_intune(vendor, intune_on)) == (TaskStatus.UNCONFIRMED, [])
    change(task, absent_since="2020-01-01T00:00:00Z")
    send(intune_on)
    assert (reread(task).status, reread(task).absent_since) == (TaskStatus.PENDING, None)


def test_a_look_up_that_is_refused_says_nothing_about_the_task(
    intune_on: Tenant, vendor: Vendor, settings: Settings
) -> None:
    settings.ACTION_QUIET_SECONDS = 0.0
    vendor.seed(intune_on, withheld_roles=["DeviceManagementApps.ReadWrite.All"])
    task = make_ticket(intune_on, [])
    change(task, status=TaskStatus.UNCONFIRMED, sent_at="2020-01-01T00:00:00Z")

    send(intune_on)

    assert reread(task).status == TaskStatus.UNCONFIRMED
    assert "403" in reread(task).detail


def test_refused_fails_in_microsofts_words_and_sends_no_device(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.seed(intune_on, withheld_roles=["DeviceManagementApps.ReadWrite.All"])
    task = make_ticket(intune_on, make_devices(intune_on, 1))

    sending.send_due(intune_on.id)

    task = reread(task)
    assert task.activity is not None
    assert (task.status, task.activity.devices_sent) == (TaskStatus.FAILED, None)
    assert "HTTP 403" in task.detail
    with acting_for(intune_on.id):
        assert not ActivityDevice.objects.filter(sent_to_intune=True).exists()
    assert [verb for verb, _data in events_of(task)] == ["security_task.failed"]


def test_throttled_waits_as_long_as_microsoft_says(intune_on: Tenant, vendor: Vendor) -> None:
    vendor.fault("throttle", path=TASKS, retry_after="40", count=1)
    task = make_ticket(intune_on, [])

    sending.send_due(intune_on.id)

    task = reread(task)
    assert task.status == TaskStatus.WAITING
    assert (task.not_before - datetime.now(UTC)).total_seconds() == pytest.approx(40, abs=5)


def test_a_worker_taken_for_dead_writes_nothing(
    intune_on: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_ticket(intune_on, [])

    def while_somebody_takes_it(row: Mapping[str, Any]) -> dict[str, Any]:
        change(task, fence=F("fence") + 1)
        return read_task(row)

    monkeypatch.setattr(sending, "read_task", while_somebody_takes_it)

    sending.send_due(intune_on.id)

    assert (reread(task).status, reread(task).remote_id) == (TaskStatus.SENDING, "")


@pytest.mark.parametrize("taken", [{"fence": F("fence") + 1}, {"lease_until": "2020-01-01T00:00:00Z"}])
def test_a_worker_taken_for_dead_sends_nothing(
    intune_on: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, taken: dict[str, Any]
) -> None:
    task = make_ticket(intune_on, [])

    def after_a_long_sleep(tenant_id: UUID) -> Any:
        change(task, **taken)
        return way_out_of(tenant_id)

    monkeypatch.setattr(sending, "way_out_of", after_a_long_sleep)

    sending.send_due(intune_on.id)

    assert in_intune(vendor, intune_on) == []


def test_off_half_way_nothing_is_claimed_and_a_tenant_that_is_off_gets_no_ticket(
    intune_on: Tenant, vendor: Vendor
) -> None:
    task = make_ticket(intune_on, [])
    with acting_for(intune_on.id):
        IntuneConnection.objects.update(is_on=False)
        assert tenants_connected([intune_on.id]) == frozenset()

    sending.send_due(intune_on.id)

    assert (reread(task).status, reread(task).attempts, in_intune(vendor, intune_on)) == (TaskStatus.WAITING, 0, [])
    with pytest.raises(BadRequest):
        make_ticket(intune_on, [])


def test_a_ticket_of_a_completed_activity_is_not_made(intune_on: Tenant, vendor: Vendor) -> None:
    task = make_ticket(intune_on, [])
    with acting_for(intune_on.id):
        RemediationActivity.objects.update(state="completed", completion="system")

    sending.send_due(intune_on.id)

    assert (reread(task).status, in_intune(vendor, intune_on)) == (TaskStatus.FAILED, [])


def test_a_wanted_move_is_made_with_its_note(intune_on: Tenant, vendor: Vendor, ada: User) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    change(task, wanted_status=TaskStatus.ACTIVE, wanted_note="On it", wanted_by=ada)

    send(intune_on)

    task = reread(task)
    [there] = in_intune(vendor, intune_on)
    assert (task.status, task.wanted_status, task.admin_note) == (TaskStatus.ACTIVE, "", "On it")
    assert (there["status"], there["creatorNotes"]) == ("active", "Exploited in the wild\nOn it")
    assert sync(intune_on)
    assert reread(task).admin_note == "On it"


@pytest.mark.parametrize(
    ("there", "wanted", "ends", "is_conflict"),
    [
        ("active", TaskStatus.ACTIVE, TaskStatus.ACTIVE, False),
        ("rejected", TaskStatus.ACTIVE, TaskStatus.REJECTED, True),
        ("completed", TaskStatus.REJECTED, TaskStatus.COMPLETED, True),
    ],
)
def test_what_changed_meanwhile_is_read_before_anything_is_written(
    intune_on: Tenant, vendor: Vendor, ada: User, there: str, wanted: TaskStatus, ends: TaskStatus, is_conflict: bool
) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    as_it_admin(vendor, intune_on, reread(task).remote_id, there)
    change(task, wanted_status=wanted, wanted_by=ada)

    send(intune_on)

    task = reread(task)
    assert (task.status, task.wanted_status, bool(task.detail)) == (ends, "", is_conflict)
    moves = [entry for entry in vendor.received(intune_on) if "updatestatus" in entry["path"].lower()]
    assert moves == []
    assert ("security_task.not_moved" in dict(events_of(task))) == is_conflict


def test_a_move_of_a_deleted_task_says_so(intune_on: Tenant, vendor: Vendor, ada: User) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    delete_in_intune(vendor, intune_on, reread(task).remote_id)
    change(task, wanted_status=TaskStatus.ACTIVE, wanted_by=ada)

    send(intune_on)

    assert (reread(task).status, reread(task).wanted_status) == (TaskStatus.DELETED, "")
    assert "deleted it in Intune" in reread(task).detail


def test_a_move_of_unknown_outcome_is_read_first_the_next_time(intune_on: Tenant, vendor: Vendor, ada: User) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    change(task, wanted_status=TaskStatus.ACTIVE, wanted_note="Once", wanted_by=ada)
    vendor.fault("reset_after_accepting", method="POST", path="updatestatus", count=1)

    send(intune_on)
    assert reread(task).wanted_status == TaskStatus.ACTIVE
    send(intune_on)

    [there] = in_intune(vendor, intune_on)
    assert (reread(task).status, reread(task).wanted_status) == (TaskStatus.ACTIVE, "")
    assert there["creatorNotes"].count("Once") == 1


@pytest.mark.parametrize("what", ["tenant", "person"])
def test_who_may_no_longer_do_it_moves_nothing(intune_on: Tenant, vendor: Vendor, ada: User, what: str) -> None:
    task = make_ticket(intune_on, [])
    send(intune_on)
    change(task, wanted_status=TaskStatus.ACTIVE, wanted_by=ada)
    with acting_for(intune_on.id):
        if what == "tenant":
            IntuneConnection.objects.update(may_update_tasks=False)
        else:
            TenantMembership.objects.filter(user=ada).update(role="reader")

    send(intune_on)

    assert (reread(task).status, reread(task).wanted_status) == (TaskStatus.PENDING, "")
    assert reread(task).detail
    assert in_intune(vendor, intune_on)[0]["status"] == "pending"


def test_rows_that_are_not_as_documented_are_read_as_far_as_they_go() -> None:
    found = read_task(
        {"id": "x", "@odata.type": 3, "status": "brandNew", "dueDateTime": "soon", "managedDeviceCount": "many",
         "creatorNotes": "a\x00b", "managedDevices": [{"id": "y"}]}
    )  # fmt: skip

    assert (found["kind"], found["status"], found["due_at"], found["managed_device_count"]) == (
        "other", TaskStatus.UNKNOWN, None, None,
    )  # fmt: skip
    assert found["creator_notes"] == "a\ufffdb"
    assert "managedDevices" not in found["raw"]
