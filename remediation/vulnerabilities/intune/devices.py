"""The devices of Intune: those a security task names, and all that are managed, read whole from time to time."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from connectors.microsoft.intune import has_id
from connectors.protocol import NotSent, OutcomeUnknown, Refused
from connectors.storable import as_storable
from connectors.vulnerability_protocol import Intune, Rows
from investigations.fields import Fields
from investigations.models import Device
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.intune.asking import NO_ENTRA_ID
from remediation.vulnerabilities.models import IntuneConnection, ManagedDevice, SecurityTask, SecurityTaskDevice
from remediation.vulnerabilities.shrinking import shrinks_by_half
from remediation.vulnerabilities.states import AT_INTUNE, TaskKind

logger = logging.getLogger(__name__)

SWEPT_EVERY: Final = timedelta(hours=1)
"""How often all managed devices are read: Intune has no list of changes."""

SECOND_LOOK: Final = timedelta(hours=1)
"""How long a list that shrinks by half must stay so short until it is believed."""

READ_AGAIN: Final = timedelta(days=1)
TASKS_AT_ONCE: Final = 20
_WITH_DEVICES: Final = (TaskKind.APP, TaskKind.CONFIGURATION)
_COLUMNS: Final = (
    "entra_device_id", "device_id", "name", "operating_system", "os_version", "compliance_state", "management_agent",
    "owner_type", "user_principal_name", "serial_number", "category", "last_sync_at", "swept_at", "removed_at",
)  # fmt: skip


def read_task_devices(tenant_id: UUID, intune: Intune) -> None:
    """Read the devices of tasks that are open, some at a time; each again after a day. Raises NotSent.

    The path that worked is kept on the connection. A task whose devices cannot be read keeps those read before.
    """
    with acting_for(tenant_id):
        known_path = IntuneConnection.objects.values_list("device_path", flat=True).get()
        stale = Q(devices_read_at=None) | Q(devices_read_at__lte=Now() - READ_AGAIN)
        tasks = SecurityTask.objects.filter(stale, status__in=AT_INTUNE, kind__in=_WITH_DEVICES).exclude(remote_id="")
        wanted = list(tasks.order_by(F("devices_read_at").asc(nulls_first=True), "id").defer("raw")[:TASKS_AT_ONCE])
    for task in wanted:
        rows: Rows | None = None
        try:
            rows, known_path = intune.task_devices(task.remote_id, kind=task.kind, known_path=known_path)
        except NotSent:
            raise
        except (Refused, OutcomeUnknown) as error:
            logger.warning("Devices of security task %s: %s", task.pk, error)
        with acting_for(tenant_id):
            _store_task_devices(task, rows)
            IntuneConnection.objects.exclude(device_path=known_path).update(device_path=known_path)


def _store_task_devices(task: SecurityTask, rows: Rows | None) -> None:
    SecurityTask.objects.filter(pk=task.pk).update(devices_read_at=Now())
    if rows is None:
        return
    found: dict[str, SecurityTaskDevice] = {}
    for fields in map(Fields, map(as_storable, rows)):
        if entra_id := fields.any_text("id").lower():
            found[entra_id] = SecurityTaskDevice(
                tenant_id=task.tenant_id,
                task_id=task.pk,
                entra_device_id=entra_id,
                intune_id=fields.any_text("managedDeviceId"),
                name=fields.any_text("displayName"),
                last_sync_at=fields.any_moment("lastSyncDateTime"),
            )
    SecurityTaskDevice.objects.filter(task_id=task.pk).exclude(entra_device_id__in=found).delete()
    SecurityTaskDevice.objects.bulk_create(
        found.values(),
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["tenant", "task", "entra_device_id"],
        update_fields=["intune_id", "name", "last_sync_at"],
    )


def sweep_managed_devices(tenant_id: UUID, intune: Intune) -> str:
    """Read all managed devices, where that is due; return a remark where what came is not believed, "" else.

    A device that a whole list no longer names is marked as removed. A list with rows that cannot be read is not whole,
    and one that shrinks by half is believed only an hour later. Raises ConnectorError.
    """
    with acting_for(tenant_id):
        connection = IntuneConnection.objects.get()
        began = database_now()
        if connection.shrunk_at is None and not _is_due(connection, began):
            _match_late()
            return ""
        before = ManagedDevice.objects.filter(removed_at=None).count()
        matches = _by_entra_id(Device.objects.exclude(entra_device_id__in=("", NO_ENTRA_ID)))
    is_whole = True
    for page in intune.managed_devices():
        with acting_for(tenant_id):
            is_whole = _store_page(tenant_id, page, began, matches) and is_whole
    with acting_for(tenant_id):
        return _conclude(began, before, is_whole=is_whole)


def _is_due(connection: IntuneConnection, now: datetime) -> bool:
    return connection.devices_swept_at is None or connection.devices_swept_at + SWEPT_EVERY <= now


def _by_entra_id(devices: QuerySet[Device]) -> dict[str, UUID]:
    """Return these devices in Defender by Entra device id: of several under one id, the last seen."""
    rows = devices.order_by(F("last_seen_at").asc(nulls_first=True), "id")
    return {entra_id.lower(): key for entra_id, key in rows.values_list("entra_device_id", "pk").iterator()}


def _match_late() -> None:
    """Match what Intune manages to devices that Defender has told of since the last sweep."""
    unmatched = ManagedDevice.objects.filter(device=None, removed_at=None).exclude(entra_device_id="")
    matches = _by_entra_id(Device.objects.filter(entra_device_id__in=unmatched.values("entra_device_id")))
    late = list(unmatched.filter(entra_device_id__in=matches).only("entra_device_id"))
    for managed in late:
        managed.device_id = matches[managed.entra_device_id]
    ManagedDevice.objects.bulk_update(late, ["device"], batch_size=1000)


def _store_page(tenant_id: UUID, page: Rows, began: datetime, matches: Mapping[str, UUID]) -> bool:
    """Store one page; return whether every row of it has an id."""
    readable = [row for row in page if has_id(row)]
    rows = {row["id"]: _managed(tenant_id, Fields(as_storable(row)), began, matches) for row in readable}
    ManagedDevice.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["tenant", "intune_id"], update_fields=_COLUMNS
    )
    return len(readable) == len(page)


def _managed(tenant_id: UUID, fields: Fields, began: datetime, matches: Mapping[str, UUID]) -> ManagedDevice:
    entra_id = fields.any_text("azureADDeviceId").lower()
    return ManagedDevice(
        tenant_id=tenant_id,
        intune_id=fields.any_text("id"),
        entra_device_id="" if entra_id == NO_ENTRA_ID else entra_id,
        device_id=matches.get(entra_id),
        name=fields.any_text("deviceName"),
        operating_system=fields.any_text("operatingSystem"),
        os_version=fields.any_text("osVersion"),
        compliance_state=fields.any_text("complianceState"),
        management_agent=fields.any_text("managementAgent"),
        owner_type=fields.any_text("managedDeviceOwnerType"),
        user_principal_name=fields.any_text("userPrincipalName"),
        serial_number=fields.any_text("serialNumber"),
        category=fields.any_text("deviceCategoryDisplayName"),
        last_sync_at=fields.any_moment("lastSyncDateTime"),
        swept_at=began,
    )


def _conclude(began: datetime, before: int, *, is_whole: bool) -> str:
    if not is_whole:
        return _("Some rows of Intune's list of devices could not be read, so nothing is taken for removed.")
    connection = IntuneConnection.objects.select_for_update().get()
    missing = ManagedDevice.objects.filter(Q(swept_at=None) | Q(swept_at__lt=began), removed_at=None)
    gone = missing.count()
    if shrinks_by_half(before, before - gone) and (
        connection.shrunk_at is None or connection.shrunk_at + SECOND_LOOK > began
    ):
        connection.shrunk_at = connection.shrunk_at or began
        connection.save(update_fields=["shrunk_at"])
        words = _("Intune lists %(gone)d of %(before)d devices no more. That is believed if it is still so in an hour.")
        return words % {"gone": gone, "before": before}
    missing.update(removed_at=began)
    connection.shrunk_at, connection.devices_swept_at = None, began
    connection.save(update_fields=["shrunk_at", "devices_swept_at"])
    return ""
