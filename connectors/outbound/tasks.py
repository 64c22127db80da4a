"""The workers' doorways to deliveries. Doubling any is harmless."""

from uuid import UUID

from celery import shared_task
from django.db import connection

from connectors.outbound.bell import answered, ring
from connectors.outbound.sending import has_due, send_next


@shared_task(soft_time_limit=60, time_limit=80)
def send(tenant: str) -> None:
    """Try one of the tenant's deliveries; where another is due, ring again behind the other tenants."""
    tenant_id = UUID(tenant)
    answered(tenant_id)
    if send_next(tenant_id) and has_due(tenant_id):
        ring(tenant_id)


@shared_task
def sweep() -> None:
    """Ring for deliveries that are due. Beat's; twice is harmless."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM tenants_with_due_deliveries() ORDER BY tenant_id")
        due = cursor.fetchall()
    for (tenant_id,) in due:
        ring(tenant_id)
