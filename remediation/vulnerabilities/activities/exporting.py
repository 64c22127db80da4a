"""The columns of CSV files about remediation activities: Microsoft documents none, so they are its API's and ours.

Where nothing is measured (attention required), progress and ticket are empty, as on the page.
"""

from typing import Any, Final

from django.db.models import Case, F, IntegerField, OuterRef, Subquery, Value, When
from django.db.models.functions import NullIf

from portal.api.csv_export import Column
from remediation.vulnerabilities.models import SecurityTask
from remediation.vulnerabilities.querysets import IS_MEASURED


def newest_ticket(field: str) -> Subquery:
    """Return a field of an activity's newest security task, NULL where it has none."""
    tasks = SecurityTask.objects.filter(tenant=OuterRef("tenant"), activity=OuterRef("pk")).order_by("-id")
    return Subquery(tasks.values(field)[:1])


def _measured(value: Any) -> Case:
    return Case(When(IS_MEASURED, then=value), output_field=IntegerField())


_PERCENT: Final = Value(100) * (F("devices_at_start") - F("devices_exposed")) / NullIf("devices_at_start", Value(0))

ACTIVITY_COLUMNS: Final = (
    Column("id", "id"),
    Column("tenant", "tenant__name"),
    Column("activity", "title"),
    Column("recommendation_id", "recommendation__recommendation_id"),
    Column("related_component", "related_component"),
    Column("remediation_type", "option"),
    Column("mitigation", "mitigation"),
    Column("priority", "priority"),
    Column("due_on", "due_on"),
    Column("device_groups", "group_names"),
    Column("requested_by", "requested_by_label"),
    Column("requested_at", "requested_at"),
    Column("made_in", "origin"),
    Column("status", "state"),
    Column("completed_by", "completed_by_label"),
    Column("completed_at", "completed_at"),
    Column("completion_note", "completion_note"),
    Column("devices_at_start", "devices_at_start"),
    Column("devices_fixed", _measured(F("devices_fixed"))),
    Column("devices_still_exposed", _measured(F("devices_exposed"))),
    Column("devices_gone", _measured(F("devices_gone"))),
    Column("progress_percent", _measured(_PERCENT)),
    Column("progress_as_of", "progress_at"),
    Column("exposed_again_since", "exposed_again_at"),
    Column("devices_exposed_again", "exposed_again_count"),
    Column("devices_sent_to_intune", "devices_sent"),
    Column("devices_without_entra_id", "devices_without_entra_id"),
    Column("ticket_status", newest_ticket("status")),
    Column("ticket_note", newest_ticket("admin_note")),
    Column("notes", "notes"),
)
"""Of activities; the words are the API's."""

DEVICE_COLUMNS: Final = (
    Column("device", "device__name"),
    Column("defender_device_id", "device__machine_id"),
    Column("entra_device_id", "device__entra_device_id"),
    Column("os_platform", "device__os_platform"),
    Column("os_version", "device__os_version"),
    Column("device_group", "device__group__name"),
    Column("last_seen", "device__last_seen_at"),
    Column("standing", "standing"),
    Column("standing_since", "changed_at"),
    Column("exposed_again", "is_exposed_again"),
    Column("sent_to_intune", "sent_to_intune"),
)
"""Of the devices of one activity."""
