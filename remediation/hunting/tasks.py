"""The workers' doorways to hunting. Doubling any is harmless."""

from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import connection

from remediation.actions.bells import answered, ring
from remediation.hunting.clusters import start_look_ups
from remediation.hunting.running import has_due, purge, run_next

_TIDYING = {"look_up": start_look_ups, "purge": purge}


@shared_task(
    soft_time_limit=int(settings.HUNTING_DEADLINE_SECONDS) + 20,
    time_limit=int(settings.HUNTING_DEADLINE_SECONDS) + 40,
)
def hunt(tenant: str) -> None:
    """Run one of the tenant's hunts; where another is due, ring again behind the other tenants."""
    tenant_id = UUID(tenant)
    answered("hunt", tenant_id)
    if run_next(tenant_id) and has_due(tenant_id):
        ring("hunt", tenant_id)


@shared_task
def sweep() -> None:
    """Ring for hunts that are due, look up who received what waits for it, forget old ones. Beat's; twice is fine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, lane FROM tenants_with_due_hunts() ORDER BY lane DESC, tenant_id")
        due = cursor.fetchall()
    for tenant_id, lane in due:
        if lane == "hunt":
            ring("hunt", tenant_id)
        else:
            _TIDYING[lane](tenant_id)
