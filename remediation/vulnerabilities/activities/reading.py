"""Reads activities for lists: with their newest ticket, in one query, and added up by campaign."""

from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from remediation.vulnerabilities.activities.exporting import newest_ticket
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.querysets import IS_MEASURED, today
from remediation.vulnerabilities.states import ActivityState


def activities_for_lists() -> QuerySet[RemediationActivity]:
    """Return activities with their tenant, their recommendation, and the newest ticket's id, status, words and note.

    What is added is named `ticket_…`, and NULL where there is no ticket.
    """
    rows = RemediationActivity.objects.select_related("tenant", "recommendation").defer("recommendation__raw")
    return rows.annotate(
        ticket_id=newest_ticket("pk"),
        ticket_status=newest_ticket("status"),
        ticket_detail=newest_ticket("detail"),
        ticket_note=newest_ticket("admin_note"),
    )


def campaigns() -> QuerySet[Any, dict[str, Any]]:
    """Return what came of each request over several tenants, added up over the tenants in scope.

    What all of its activities share, and how many are active, overdue and completed; devices are those of activities
    that are measured.
    """
    is_active = Q(state=ActivityState.ACTIVE)
    shared = ("title", "related_component", "option", "mitigation", "priority", "due_on", "requested_by_label")
    numbers = ("devices_at_start", "devices_fixed", "devices_exposed", "devices_gone")
    added_up: dict[str, Any] = {
        "tenants": Count("pk"),
        "active": Count("pk", filter=is_active),
        "overdue": Count("pk", filter=is_active & Q(due_on__lt=today())),
        "completed": Count("pk", filter=Q(state=ActivityState.COMPLETED)),
        **{name: Coalesce(Sum(name, filter=IS_MEASURED), 0) for name in numbers},
        **{name: Min(name) for name in (*shared, "requested_at")},  # last: from here on the names mean these
    }
    rows: QuerySet[Any, Any] = RemediationActivity.objects.filter(tenants_asked__gt=1).values("campaign")
    summed: QuerySet[Any, dict[str, Any]] = rows.annotate(**added_up)
    return summed
