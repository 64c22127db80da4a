"""Reads a tenant's devices and alerts from its connection: calls outside any transaction, each page stored in its own.

The watermark `alerts_read_to` moves only after a page is stored, so a crash between the two reads the page again, which
changes nothing. Each sync begins ten minutes before it, for alerts that were changed while pages were read.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from connectors.models import Connection, Health
from connectors.protocol import Connector, ConnectorError, Refused
from connectors.registry import open_connection
from investigations.fields import Fields, RefusedRecord
from investigations.payloads import DevicePayload, read_machine
from investigations.storing import store_devices
from portal.tenancy.scope import acting_for

logger = logging.getLogger(__name__)

Page = Sequence[Mapping[str, Any]]

OVERLAP: Final = timedelta(minutes=10)
_DEVICES_AT_ONCE: Final = 1000


def sync_tenant(tenant_id: UUID, handle_page: Callable[[Page], None]) -> bool:
    """Read the tenant's devices, then its alerts page by page; return whether all of it was read.

    `handle_page` stores one page in a scope of its own. How it went is the connection's health.
    """
    connector, since = _begin(tenant_id)
    if connector is None:
        return False
    try:
        _read_devices(tenant_id, connector)
        for page in connector.alerts(since - OVERLAP if since else None):
            handle_page(page)
            _move_watermark(tenant_id, page)
    except ConnectorError as error:
        health = Health.REFUSED if isinstance(error, Refused) else Health.UNREACHABLE
        _note_health(tenant_id, health, str(error))
        logger.warning("Sync of tenant %s stopped: %s", tenant_id, error)
        return False
    _note_health(tenant_id, Health.WORKING, "")
    return True


def _begin(tenant_id: UUID) -> tuple[Connector | None, datetime | None]:
    """Open the tenant's connection, and put its next sync off so that nobody else begins the same one."""
    with acting_for(tenant_id):
        row = Connection.objects.select_related("tenant").filter(is_enabled=True).order_by("kind").first()
        if row is None:
            return None, None
        later = Now() + timedelta(seconds=settings.SYNC_SECONDS)
        Connection.objects.filter(pk=row.pk).update(next_sync_at=later)
        wanted, since = row.as_settings(), row.alerts_read_to
    return open_connection(wanted, deadline_seconds=settings.ACTION_DEADLINE_SECONDS), since


def _read_devices(tenant_id: UUID, connector: Connector) -> None:
    machines = _readable(tenant_id, connector.devices())
    while batch := list(islice(machines, _DEVICES_AT_ONCE)):
        with acting_for(tenant_id):
            store_devices(tenant_id, batch)


def _readable(tenant_id: UUID, machines: Iterator[Mapping[str, Any]]) -> Iterator[DevicePayload]:
    for position, record in enumerate(machines):
        try:
            yield read_machine(record)
        except RefusedRecord as refusal:
            logger.warning("Tenant %s, machine %d refused: %s", tenant_id, position, refusal)


def _move_watermark(tenant_id: UUID, page: Page) -> None:
    """Move the watermark to the page's newest change, never back."""
    newest = max((moment for record in page if (moment := _updated_at(record)) is not None), default=None)
    if newest is None:
        return
    with acting_for(tenant_id):
        behind = Q(alerts_read_to=None) | Q(alerts_read_to__lt=newest)
        Connection.objects.filter(behind, is_enabled=True).update(alerts_read_to=newest)


def _updated_at(record: Mapping[str, Any]) -> datetime | None:
    try:
        return Fields(record).moment("lastUpdateDateTime")
    except RefusedRecord:
        return None  # the ingest of the page has said so already


def _note_health(tenant_id: UUID, health: Health, detail: str) -> None:
    with acting_for(tenant_id):
        Connection.objects.filter(is_enabled=True).update(health=health, health_detail=detail, health_at=Now())
