"""The pages of alerts."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.showing import evidence_rows, link_to_investigation, show_raw
from investigations.models import Alert
from portal.access.display import NOTHING, labelled, show_age
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, WordFilter


class SeverityFilter(WordFilter):
    """Alerts by severity."""

    title = gettext_lazy("severity")
    parameter_name = "severity"
    words = (
        ("high", gettext_lazy("High")),
        ("medium", gettext_lazy("Medium")),
        ("low", gettext_lazy("Low")),
        ("informational", gettext_lazy("Informational")),
    )


class StatusFilter(WordFilter):
    """Alerts by status."""

    title = gettext_lazy("status")
    parameter_name = "status"
    words = (
        ("new", gettext_lazy("New")),
        ("inProgress", gettext_lazy("In progress")),
        ("resolved", gettext_lazy("Resolved")),
    )


class AlertPages(ReadOnlyAdmin):
    """Alerts, as Microsoft sent them. The floor above adds what can be asked for and registers them."""

    menu_place = 21
    detail_template = "investigations/alert.html"
    list_display = ("title", "tenant", "severity", "status", "service_source", "updated")
    list_filter = (BY_TENANT, SeverityFilter, StatusFilter)
    list_select_related = ("tenant",)
    search_fields = ("title", "alert_id")
    ordering = ("-id",)
    empty_message = gettext_lazy("No alerts yet. They come with the sync of the tenant's connection, or by ingest.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Leave the payload out of lists."""
        return super().get_queryset(request).defer("raw")

    @admin.display(description=gettext_lazy("last updated"), ordering="updated_at_source")
    def updated(self, row: Alert) -> str:
        """Show Microsoft's time of the last update."""
        return labelled(_("Updated"), show_age(row.updated_at_source))

    def sections(self, request: HttpRequest, row: Alert) -> Sequence[Section]:
        """Return the alert."""
        return [
            Section(
                gettext_lazy("Alert"),
                (
                    (gettext_lazy("Tenant"), row.tenant),
                    (gettext_lazy("Investigation"), link_to_investigation(row.investigation)),
                    (gettext_lazy("Severity"), row.severity or NOTHING),
                    (gettext_lazy("Status"), row.status or NOTHING),
                    (gettext_lazy("Category"), row.category or NOTHING),
                    (gettext_lazy("Source"), row.service_source or NOTHING),
                    (gettext_lazy("Classification"), row.classification or NOTHING),
                    (gettext_lazy("Determination"), row.determination or NOTHING),
                    (gettext_lazy("Created"), show_age(row.created_at_source)),
                    (gettext_lazy("Last updated"), show_age(row.updated_at_source)),
                    (gettext_lazy("Received"), show_age(row.received_at)),
                    (gettext_lazy("Alert id"), row.alert_id),
                    (gettext_lazy("Incident"), row.incident_id or NOTHING),
                ),
            )
        ]

    def detail_context(self, request: HttpRequest, row: Alert) -> dict[str, Any]:
        """Return the alert's evidence and the payload."""
        return {"evidence": evidence_rows(row.evidence.all()), "payload": show_raw(row.raw)}
