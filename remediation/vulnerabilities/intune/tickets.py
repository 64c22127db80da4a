"""Tickets: security tasks that a remediation activity asks for.

A task made through Graph has no documented tie to a remediation activity in Defender (facts/graph.md 1.5): it is a
ticket to the IT admins, and Quell alone ties it to the activity.
"""

from collections.abc import Collection
from datetime import UTC, datetime, time
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest
from remediation.actions.bells import ring_after_commit
from remediation.vulnerabilities.models import IntuneConnection, RemediationActivity, SecurityTask
from remediation.vulnerabilities.states import Mitigation, Priority, RemediationOption, TaskKind

MOST_DEVICES: Final = 10_000
"""The most devices of one request that Intune gets (Microsoft, "Request remediation")."""

KINDS: Final = {
    RemediationOption.SOFTWARE_UPDATE: TaskKind.APP,
    RemediationOption.SOFTWARE_UNINSTALL: TaskKind.APP,
    RemediationOption.CONFIGURATION_CHANGE: TaskKind.CONFIGURATION,
}
"""The kind of task that each option opens; attention required opens none."""


def tenants_connected(tenant_ids: Collection[UUID]) -> frozenset[UUID]:
    """Return which of these tenants in scope have their Intune connection on, in one query."""
    rows = IntuneConnection.objects.filter(tenant_id__in=tenant_ids, is_on=True)
    return frozenset(rows.values_list("tenant_id", flat=True))


def open_tickets(activities: Collection[RemediationActivity]) -> list[SecurityTask]:
    """Put a task on its way to Intune for each of these activities, in the open transaction; a worker makes them.

    Raises BadRequest where a tenant's connection is off, and for attention required. The activities' devices are stored
    already; which of them go along is settled when the task is sent.
    """
    wanted = {activity.tenant_id for activity in activities}
    if wanted - tenants_connected(wanted):
        raise BadRequest(_no_ticket())
    tasks = SecurityTask.objects.bulk_create([_ticket(activity) for activity in activities])
    for tenant_id in wanted:
        ring_after_commit("tickets", tenant_id)
    return tasks


def _no_ticket() -> str:
    return _(
        "The Microsoft Intune connection of this tenant is off, so no ticket can be opened there. Switch it on under"
        " Intune connections, or request the remediation without a ticket."
    )


def _ticket(activity: RemediationActivity) -> SecurityTask:
    kind = KINDS.get(RemediationOption(activity.option))
    if kind is None:
        raise BadRequest(_("“Attention required” opens no ticket in Intune."))
    return SecurityTask(
        tenant_id=activity.tenant_id,
        activity=activity,
        kind=kind,
        display_name=activity.title,
        description=_description(activity),
        priority=activity.priority,
        creator=activity.requested_by_label,
        creator_notes=activity.notes.strip(),
        due_at=_end_of_due_day(activity),
    )


def _end_of_due_day(activity: RemediationActivity) -> datetime | None:
    """Return the last second of the day, so that Intune shows that very day."""
    return datetime.combine(activity.due_on, time(23, 59, 59), tzinfo=UTC) if activity.due_on else None


def _description(activity: RemediationActivity) -> str:
    """Return what the IT admin reads in Intune, where there is no place of its own for it."""
    lines = [
        f"{RemediationOption(activity.option).label}: {activity.related_component or activity.title}",
        _("Requested in Quell. The devices are listed there with the remediation activity."),
    ]
    if activity.priority == Priority.MEDIUM:
        lines.append(_("Priority: medium (Intune shows none)."))
    if activity.mitigation != Mitigation.NONE:
        lines.append(_("Until it is done, please: %(mitigation)s.") % {"mitigation": activity.get_mitigation_display()})
    return "\n".join(lines)
