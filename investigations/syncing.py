"""Reads a tenant's devices and alerts from its connection: calls outside any transaction, each page stored in its own.

The watermark `alerts_read_to` moves only after a page is stored, so a crash between the two reads the page again, which
changes nothing. Each sync begins ten minutes before it, for alerts that Microsoft was late to show.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Greatest, Least, Now

from connectors import checks
from connectors.choosing import find_enabled
from connectors.health import note_trouble, note_working
from connectors.models import Connection
from connectors.protocol import ConnectionSettings, Connector, ConnectorError
from connectors.registry import open_connection
from investigations.fields import Fields, RefusedRecord
from investigations.payloads import DevicePayload, read_machine
from investigations.reading import Unreadable, records_of
from investigations.storing import store_devices
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.scope import acting_for

logger = logging.getLogger(__name__)

Page = Sequence[Mapping[str, Any]]

OVERLAP: Final = timedelta(minutes=10)
_DEVICES_AT_ONCE: Final = 1000


def sync_tenant(tenant_id: UUID, handle_page: Callable[[Page], None]) -> bool:
    """Read the tenant's devices, then its alerts page by page; return whether all of it was read.

    A connection whose check is due is checked first. `handle_page` stores one page in a scope of its own. How it went
    is the connection's health.
    """
    try:
        begun = _begin(tenant_id)
    except SecretUnreadable as error:
        return _stop(tenant_id, error)
    if begun is None:
        return False
    row, wanted = begun
    since = row.alerts_read_to
    try:
        connector = open_connection(wanted, deadline_seconds=settings.ACTION_DEADLINE_SECONDS)
    except ValueError as error:  # an address that is not https, or a kind nobody connects to
        return _stop(tenant_id, error)
    if checks.is_due(row):
        checks.check_opened(tenant_id, row.pk, connector)
    try:
        _read_devices(tenant_id, connector)
        _read_alerts(tenant_id, connector, since - OVERLAP if since else None, handle_page)
    except ConnectorError as error:
        return _stop(tenant_id, error)
    note_working(tenant_id)
    return True


def _begin(tenant_id: UUID) -> tuple[Connection, ConnectionSettings] | None:
    """Read the tenant's connection with its watermark, and put its next sync off: nobody else begins the same one."""
    with acting_for(tenant_id):
        row = find_enabled(tenant_id)
        if row is None:
            return None
        later = Now() + timedelta(seconds=settings.SYNC_SECONDS)
        Connection.objects.filter(pk=row.pk).update(next_sync_at=later)
        return row, row.as_settings()


def _stop(tenant_id: UUID, error: Exception) -> bool:
    note_trouble(tenant_id, error)
    logger.warning("Sync of tenant %s stopped: %s", tenant_id, error)
    return False


def _read_devices(tenant_id: UUID, connector: Connector) -> None:
    machines = _readable(tenant_id, connector.devices())
    while batch := list(islice(machines, _DEVICES_AT_ONCE)):
        with acting_for(tenant_id):
            store_devices(tenant_id, batch)
    with acting_for(tenant_id):
        Connection.objects.filter(is_enabled=True).update(devices_read_at=Now())


def _readable(tenant_id: UUID, machines: Iterator[Mapping[str, Any]]) -> Iterator[DevicePayload]:
    for position, row in enumerate(machines):
        [found] = records_of([row])
        try:
            if isinstance(found, Unreadable):
                raise RefusedRecord(found.position, found.reason)
            yield read_machine(found.data)
        except RefusedRecord as refusal:
            logger.warning("Tenant %s, machine %d refused: %s", tenant_id, position, refusal.reason)


def _read_alerts(
    tenant_id: UUID, connector: Connector, since: datetime | None, handle_page: Callable[[Page], None]
) -> None:
    """Store all alerts from `since` on, asking anew from the newest change after each page.

    Microsoft counts rows off to page (`$skip`). An alert that changes meanwhile moves to the list's end, the others
    move up by one, and the next page by count would miss one for good.
    """
    further = _read_from(tenant_id, connector, since, handle_page)
    while further is not None:
        further = _read_from(tenant_id, connector, further, handle_page)


def _read_from(
    tenant_id: UUID, connector: Connector, since: datetime | None, handle_page: Callable[[Page], None]
) -> datetime | None:
    """Store pages until one goes beyond `since`; return how far it goes, None when there is nothing more.

    Pages that do not come oldest first, as where a vendor ignores the order asked for, are all stored before the
    watermark moves.
    """
    newest, is_in_order = since, True
    for page in connector.alerts(since):
        handle_page(page)
        moments = [moment for record in page if (moment := _updated_at(record)) is not None]
        is_in_order = is_in_order and all(earlier <= later for earlier, later in pairwise(moments))
        goes_on = bool(moments) and (since is None or moments[-1] > since)
        newest = max([*moments, newest] if newest else moments, default=None)
        if is_in_order and goes_on:
            break
    else:
        goes_on = False
    if newest:
        _move_watermark(tenant_id, newest)
    return newest if goes_on else None


def _move_watermark(tenant_id: UUID, newest: datetime) -> None:
    """Move the watermark to the newest change stored, never back, and never past now: a date in the future is a mistake
    that would hide every later alert.
    """
    reached = Least(Value(newest, output_field=DateTimeField()), Now())
    with acting_for(tenant_id):
        rows = Connection.objects.filter(is_enabled=True)
        rows.update(alerts_read_to=Greatest(F("alerts_read_to"), reached))


def _updated_at(record: Mapping[str, Any]) -> datetime | None:
    if not isinstance(record, Mapping):
        return None
    try:
        return Fields(record).moment("lastUpdateDateTime")
    except RefusedRecord:
        return None  # the ingest of the page has said so already
