"""The workers' doorways to vulnerability management. Doubling any is harmless."""

from uuid import UUID

from celery import shared_task
from django.db import connection

from remediation.actions.bells import answered, ring
from remediation.vulnerabilities.activities.due_dates import tell_due_dates as tell_of_tenant
from remediation.vulnerabilities.exceptions.ending import end_due
from remediation.vulnerabilities.intune.sending import send_due
from remediation.vulnerabilities.intune.syncing import sync_intune
from remediation.vulnerabilities.recommendations.known_exploited import refresh
from remediation.vulnerabilities.recommendations.syncing import sync_recommendations

READING_SECONDS = 600
"""Reading a large tenant takes minutes; what is not read by then is read by the next one."""


@shared_task(soft_time_limit=READING_SECONDS, time_limit=READING_SECONDS + 30)
def read_recommendations(tenant: str) -> None:
    """Read the tenant's recommendations, and bring activities and exceptions up to date with them."""
    tenant_id = UUID(tenant)
    answered("recommendations", tenant_id)
    sync_recommendations(tenant_id)


@shared_task(soft_time_limit=READING_SECONDS, time_limit=READING_SECONDS + 30)
def read_intune(tenant: str) -> None:
    """Read the tenant's security tasks and managed devices."""
    tenant_id = UUID(tenant)
    answered("intune", tenant_id)
    sync_intune(tenant_id)


@shared_task
def send_tickets(tenant: str) -> None:
    """Bring to Intune what is to be made or moved there."""
    tenant_id = UUID(tenant)
    answered("tickets", tenant_id)
    send_due(tenant_id)


@shared_task
def tell_due_dates(tenant: str) -> None:
    """Tell of activities that are due soon or overdue."""
    tenant_id = UUID(tenant)
    answered("due_dates", tenant_id)
    tell_of_tenant(tenant_id)


@shared_task
def end_exceptions(tenant: str) -> None:
    """Tell of exceptions about to end, and end those whose day has passed."""
    tenant_id = UUID(tenant)
    answered("exceptions", tenant_id)
    end_due(tenant_id)


@shared_task
def refresh_known_exploited() -> None:
    """Read the list of what is known to be exploited. Beat's; twice is fine."""
    refresh()


@shared_task
def sweep() -> None:
    """Ring for every tenant and lane with something to see to. Beat's; twice is fine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, lane FROM tenants_with_due_vulnerability_work() ORDER BY lane, tenant_id")
        due = cursor.fetchall()
    for tenant_id, lane in due:
        ring(lane, tenant_id)
