"""The workers' doorways: a tenant's id in, one lane's work, nothing held open between. Doubling any is harmless."""

import logging
from uuid import UUID

from celery import shared_task

from connectors.circuit import calls_allowed, is_resting
from investigations.reading import records_of
from investigations.syncing import sync_tenant
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import intake, results
from remediation.actions.bells import answered, ring
from remediation.actions.dispatching import due_work
from remediation.actions.draining import take_turn, way_out_of
from remediation.actions.execution import tidy
from remediation.actions.settling import settle_batch

logger = logging.getLogger(__name__)


@shared_task
def drain(tenant: str) -> None:
    """Send the tenant's due actions until none can go now; when its turn is over it goes to the back of the queue."""
    tenant_id = UUID(tenant)
    answered("drain", tenant_id)
    if take_turn(tenant_id):
        ring("drain", tenant_id)


@shared_task
def settle(tenant: str) -> None:
    """Find out what became of the tenant's actions that are due for a look."""
    tenant_id = UUID(tenant)
    answered("settle", tenant_id)
    connector = way_out_of(tenant_id).connector
    if connector is not None and calls_allowed(tenant_id) and settle_batch(tenant_id, connector):
        ring("drain", tenant_id)  # a device that was busy may be free now


@shared_task
def fetch_result(tenant: str, action: str, person: str) -> None:
    """Ask Microsoft for a link to what an action brought back, for the one person who asked."""
    results.fetch_link(UUID(tenant), UUID(action), UUID(person), way_out_of(UUID(tenant)).connector)


@shared_task
def sync(tenant: str) -> None:
    """Read the tenant's devices and alerts from its connection."""
    tenant_id = UUID(tenant)
    answered("sync", tenant_id)
    if is_resting(tenant_id):
        return  # the next sweep rings again
    with acting_for(tenant_id):
        row = Tenant.objects.get(pk=tenant_id)
    sync_tenant(tenant_id, lambda page: _take_in_page(row, page))


@shared_task
def sweep() -> None:
    """Ring for every tenant with due work, and end what has waited too long. Beat's only task; twice is harmless."""
    for tenant_id, lane in due_work():
        if lane == "tidy":
            tidy(tenant_id)
        else:
            ring(lane, tenant_id)


def _take_in_page(tenant: Tenant, page: object) -> None:
    report = intake.ingest(tenant, records_of(page), actor=SYSTEM)
    for refusal in report.refused:
        logger.warning("Sync of tenant %s refused %s: %s", tenant.id, refusal["position"], refusal["reason"])
