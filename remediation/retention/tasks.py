"""The workers' doorways to retention. Doubling any is harmless."""

import logging
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import connection

from portal.tenancy.scope import acting_for, database_now
from remediation.actions.bells import answered, ring
from remediation.retention.models import PurgeTurn
from remediation.retention.purging import purge_tenant
from remediation.retention.receipts import BadReceipt

logger = logging.getLogger(__name__)


@shared_task
def purge(tenant: str) -> None:
    """Purge what is due in a tenant whose turn it is; what is not done in a minute goes on with the next message."""
    tenant_id = UUID(tenant)
    answered("retention", tenant_id)
    with acting_for(tenant_id):
        if PurgeTurn.objects.filter(tenant=tenant_id, next_at__gt=database_now()).exists():
            return
    try:
        if not purge_tenant(tenant_id):
            ring("retention", tenant_id)
    except (OSError, BadReceipt) as error:
        logger.error("Nothing is purged: receipts in %s: %s", settings.RETENTION_RECEIPTS_FILE, error)


@shared_task
def sweep() -> None:
    """Ring for every tenant whose turn it is. Beat's; twice is fine."""
    for tenant_id in tenants_due():
        ring("retention", tenant_id)


def tenants_due(by_then: str = "now") -> list[UUID]:
    """Return the tenants whose turn it is by a moment in PostgreSQL's words; `infinity` is every tenant."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM tenants_with_due_purges(%s::timestamptz)", [by_then])
        return [tenant_id for (tenant_id,) in cursor.fetchall()]
