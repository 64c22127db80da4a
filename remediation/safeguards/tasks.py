"""The workers' doorways to the safeguards. Doubling any is harmless."""

from uuid import UUID

from celery import shared_task
from django.db import connection

from portal.tenancy.scope import acting_for
from remediation.safeguards.alarms import ring, send_alarms
from remediation.safeguards.caps import forget_old_uses
from remediation.safeguards.changes import expire_changes

_TIDYING = {"expire_changes": expire_changes, "forget_uses": forget_old_uses}


@shared_task
def alarm(tenant: str) -> None:
    """Send the tenant's break-glass alarms that have not gone out."""
    send_alarms(UUID(tenant))


@shared_task
def sweep() -> None:
    """End changes that waited too long, forget old counts, ring for alarms not gone out. Beat's; twice is harmless."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, lane FROM tenants_with_due_safeguards() ORDER BY tenant_id")
        due = cursor.fetchall()
    for tenant_id, lane in due:
        if lane == "alarm":
            ring(tenant_id)
        else:
            with acting_for(tenant_id):
                _TIDYING[lane]()
