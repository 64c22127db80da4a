"""Reads a tenant's Intune: its health, its security tasks, its managed devices.

Calls are made outside any transaction. Each reading stands by itself: what one permission forbids does not keep the
others from being read.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from connectors.microsoft.permissions import INTUNE_DEVICES, INTUNE_STATE, INTUNE_TASKS
from connectors.protocol import ConnectorError, NotSent
from connectors.vulnerability_protocol import Intune, IntuneState, Rows
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.draining import way_out_of
from remediation.vulnerabilities.intune.devices import read_task_devices, sweep_managed_devices
from remediation.vulnerabilities.intune.following import adopt, follow, mark_deleted, read_task
from remediation.vulnerabilities.intune.health import Trouble, note_no_connection, note_readings
from remediation.vulnerabilities.models import IntuneConnection, RemediationActivity, SecurityTask
from remediation.vulnerabilities.states import AT_INTUNE, TaskStatus

MOST_MISSING: Final = 50
"""So many tasks that a list does not name are asked for one by one in one sync; the others stay as they are."""

_MARKER: Final = re.compile(r"\[([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\]")


def sync_intune(tenant_id: UUID) -> bool:
    """Read and store the tenant's Intune, where that is on and due; return whether all of it was read.

    How it went is the Intune connection's health.
    """
    if not _begin(tenant_id):
        return False
    way = way_out_of(tenant_id)
    if way.connector is None:
        note_no_connection(tenant_id, way.trouble)
        return False
    intune = way.connector.intune
    states: list[IntuneState] = []
    remarks: list[str] = []
    readings: list[tuple[str, Callable[[], object]]] = [
        (INTUNE_STATE, lambda: states.append(intune.state())),
        (INTUNE_TASKS, lambda: _read_tasks(tenant_id, intune)),
        (INTUNE_TASKS, lambda: read_task_devices(tenant_id, intune)),
        (INTUNE_DEVICES, lambda: remarks.append(sweep_managed_devices(tenant_id, intune))),
    ]
    troubles = _tried(readings)
    remarks = [remark for remark in remarks if remark]
    note_readings(tenant_id, next(iter(states), None), troubles, remarks)
    return not troubles and not remarks


def _begin(tenant_id: UUID) -> bool:
    """Put the tenant's next sync off, so that nobody else begins the same one; return whether there is one to do."""
    with acting_for(tenant_id):
        is_due = Q(next_sync_at=None) | Q(next_sync_at__lte=Now())
        due = IntuneConnection.objects.filter(is_due, is_on=True, tenant__is_active=True)
        return due.update(next_sync_at=Now() + timedelta(seconds=settings.INTUNE_SYNC_SECONDS)) > 0


def _tried(readings: list[tuple[str, Callable[[], object]]]) -> list[Trouble]:
    """Do each reading, whatever became of the one before, until nothing is sent any more."""
    troubles: list[Trouble] = []
    for permission, read in readings:
        try:
            read()
        except ConnectorError as error:
            troubles.append(Trouble(permission, error))
            if isinstance(error, NotSent):
                break
    return troubles


def _read_tasks(tenant_id: UUID, intune: Intune) -> None:
    with acting_for(tenant_id):
        began = database_now()
    listed: set[str] = set()
    for page in intune.security_tasks():
        with acting_for(tenant_id):
            _store_page(tenant_id, page, began)
        listed.update(row["id"] for row in page)
    _see_to_missing(tenant_id, intune, listed, began)
    with acting_for(tenant_id):
        IntuneConnection.objects.update(tasks_read_at=began)


def _store_page(tenant_id: UUID, page: Rows, began: datetime) -> None:
    found = {row["id"]: read_task(row) for row in page}
    known = {task.remote_id: task for task in SecurityTask.objects.select_for_update().filter(remote_id__in=found)}
    markers = {key: UUID(match[1]) for key, each in found.items() if (match := _MARKER.search(each["description"]))}
    tickets = _unanswered(markers.values())
    activities = set(RemediationActivity.objects.filter(pk__in=markers.values()).values_list("pk", flat=True))
    made, unchanged = [], []
    for remote_id, values in found.items():
        task = known.get(remote_id) or tickets.pop(markers.get(remote_id), None)
        if task is None:
            activity_id = markers.get(remote_id)
            mine = {"activity_id": activity_id} if activity_id in activities else {}
            made.append(SecurityTask(tenant_id=tenant_id, seen_at=began, **values, **mine))
        elif _is_in_hand(task, began):
            continue
        elif not task.remote_id:
            adopt(task, values)
        elif task.raw == values["raw"] and task.status == values["status"] and not task.wanted_status:
            unchanged.append(task.pk)
        else:
            follow(task, values)
    SecurityTask.objects.bulk_create(made)
    SecurityTask.objects.filter(pk__in=unchanged).update(seen_at=began)


def _unanswered(activity_ids: Any) -> dict[UUID | None, SecurityTask]:
    """Return, locked, the tickets of these activities whose making Intune has not answered, by activity."""
    rows = SecurityTask.objects.select_for_update().filter(activity_id__in=list(activity_ids), remote_id="")
    return {task.activity_id: task for task in rows.order_by("id")}


def _is_in_hand(task: SecurityTask, began: datetime) -> bool:
    """Return whether a worker has it, or had it since the list was begun: what it wrote is newer than the list."""
    return bool(task.lease_until and task.lease_until > began or task.sent_at and task.sent_at >= began)


def _see_to_missing(tenant_id: UUID, intune: Intune, listed: set[str], began: datetime) -> None:
    """Ask for each open task that a whole list did not name: such lists have been seen incomplete."""
    with acting_for(tenant_id):
        open_ones = SecurityTask.objects.filter(status__in=AT_INTUNE, created_at__lt=began).exclude(remote_id="")
        rows = open_ones.order_by("seen_at").values_list("pk", "remote_id")
        missing = [(key, remote_id) for key, remote_id in rows if remote_id not in listed][:MOST_MISSING]
    for key, remote_id in missing:
        row = intune.task(remote_id)
        with acting_for(tenant_id):
            _conclude(key, row, began)


def _conclude(key: UUID, row: Mapping[str, Any] | None, began: datetime) -> None:
    task = SecurityTask.objects.select_for_update().get(pk=key)
    if _is_in_hand(task, began) or task.status == TaskStatus.DELETED:
        return
    if row is None:
        mark_deleted(task)
    else:
        follow(task, read_task(row))
