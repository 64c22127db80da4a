"""The workers' doorways: a tenant's id in, one lane's work, nothing held open between. Doubling any is harmless."""

import logging
import os
import socket
import time
from functools import partial
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import connection as database

from connectors.choosing import find_enabled
from connectors.protocol import Connector
from connectors.registry import open_connection
from investigations.reading import records_of
from investigations.services import include_devices
from investigations.syncing import sync_tenant
from portal.audit.recording import SYSTEM
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import intake
from remediation.actions.bells import answered, ring
from remediation.actions.deciding import decide_evidence
from remediation.actions.execution import finish_here, send, tidy
from remediation.actions.settling import settle_batch
from remediation.actions.transitions import Claim, claim
from remediation.catalogue import CATALOGUE, WIRED, Route

logger = logging.getLogger(__name__)

TURN_SECONDS = 5.0
"""How long one tenant is served before it goes to the back of the queue."""

HERE = frozenset(name for name in WIRED if CATALOGUE[name].route is Route.QUELL)
"""The types Quell carries out itself, connection or not."""


@shared_task
def drain(tenant: str) -> None:
    """Send the tenant's due actions, one after the other, until none is left, its turn is over or it is throttled."""
    tenant_id = UUID(tenant)
    answered("drain", tenant_id)
    connector = _connector_of(tenant_id)
    types = HERE | (WIRED if connector else frozenset())
    owner = f"{socket.gethostname()}:{os.getpid()}"
    turn_ends = time.monotonic() + TURN_SECONDS
    sent_any = False
    while time.monotonic() < turn_ends:
        claimed = claim(tenant_id, owner=owner, types=types)
        if claimed is None:
            break
        if claimed.type in HERE or connector is None:
            finish_here(claimed, partial(_widen, claimed))
        elif send(claimed, connector) is not None:
            break
        sent_any = True
    else:
        ring("drain", tenant_id)
    if sent_any:
        logger.info("Sent actions of tenant %s", tenant_id)


@shared_task
def settle(tenant: str) -> None:
    """Find out what became of the tenant's actions that are due for a look."""
    tenant_id = UUID(tenant)
    answered("settle", tenant_id)
    connector = _connector_of(tenant_id)
    if connector is not None and settle_batch(tenant_id, connector):
        ring("drain", tenant_id)  # a device that was busy may be free now


@shared_task
def sync(tenant: str) -> None:
    """Read the tenant's devices and alerts from its connection."""
    tenant_id = UUID(tenant)
    answered("sync", tenant_id)
    with acting_for(tenant_id):
        row = Tenant.objects.get(pk=tenant_id)
    sync_tenant(tenant_id, lambda page: _take_in_page(row, page))


@shared_task
def sweep() -> None:
    """Ring for every tenant with due work, and end what has waited too long. Beat's only task; twice is harmless."""
    with database.cursor() as cursor:
        cursor.execute("SELECT tenant_id, lane FROM tenants_with_due_work() ORDER BY lane DESC, tenant_id")
        due = cursor.fetchall()
    for tenant_id, lane in due:
        if lane == "tidy":
            tidy(tenant_id)
        else:
            ring(lane, tenant_id)


def _take_in_page(tenant: Tenant, page: object) -> None:
    report = intake.ingest(tenant, records_of(page), actor=SYSTEM)
    for refusal in report.refused:
        logger.warning("Sync of tenant %s refused %s: %s", tenant.id, refusal["position"], refusal["reason"])


def _widen(claimed: Claim) -> None:
    tenant = Tenant.objects.get(pk=claimed.tenant_id)
    device_ids = [UUID(device) for device in claimed.parameters["devices"]]
    decide_evidence(tenant, include_devices(UUID(claimed.parameters["investigation"]), device_ids))


def _connector_of(tenant_id: UUID) -> Connector | None:
    """Return the tenant's enabled connection, opened, or None; its actions then wait and say so."""
    try:
        with acting_for(tenant_id):
            row = find_enabled(tenant_id)
            wanted = row.as_settings() if row else None
        if wanted is None:
            return None
        return open_connection(wanted, deadline_seconds=settings.ACTION_DEADLINE_SECONDS)
    except (SecretUnreadable, ValueError) as error:  # the sync has put the same words into the connection's health
        logger.warning("The connection of tenant %s cannot be used: %s", tenant_id, error)
        return None
