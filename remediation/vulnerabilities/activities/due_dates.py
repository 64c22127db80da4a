"""Tells IT admins of activities that are due soon or overdue."""

from uuid import UUID

from django.db.models.functions import Now

from connectors.outbound.telling import Event
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.telling import tell_of
from remediation.vulnerabilities.models import RemediationActivity


def tell_due_dates(tenant_id: UUID) -> None:
    """Write a notice for each activity that is due within three days, or was due before today. Opens its own scope.

    Each is told once for each of the two, and once more where Defender moved its day; one that is overdue already is no
    longer told to be due soon. Of a tenant that is switched off nothing is told, until it is on again.
    """
    with acting_for(tenant_id):
        held = RemediationActivity.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")
        held = held.filter(tenant_id=tenant_id, tenant__is_active=True)
        for activity in held.overdue().filter(told_overdue_at=None):
            activity.told_overdue_at = Now()
            activity.save(update_fields=["told_overdue_at"])
            tell_of(activity, Event.OVERDUE, key=str(activity.due_on))
        for activity in held.due_soon().filter(told_due_soon_at=None):
            activity.told_due_soon_at = Now()
            activity.save(update_fields=["told_due_soon_at"])
            tell_of(activity, Event.DUE_SOON, key=str(activity.due_on))
