"""The page of the audit: everything that happened."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.timezone import now
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Card
from portal.access.audit_filters import DayFilter, EventFilter, KindFilter, WhoFilter
from portal.access.display import NOTHING, labelled, show_time
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of
from portal.audit.models import AuditEvent, Sealing

LATE_MINUTES: Final = 5


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Everything that happened, newest first."""

    menu_place = 60
    list_display = ("time", "verb", "object_type", "what", "who", "whose", "seq")
    list_display_links = ("verb",)
    list_filter = (BY_TENANT, EventFilter, WhoFilter, KindFilter, DayFilter)
    search_fields = ("verb", "actor_label")
    sortable_by = ()
    empty_message = gettext_lazy(
        "Nothing has happened yet in your tenants. What people and automation do there is listed here, and stays."
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[AuditEvent]:
        """Fetch tenants apart: joined, PostgreSQL would sort all of history instead of reading its newest end."""
        return super().get_queryset(request).prefetch_related("tenant")

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Tell provider admins when history is not sealed, or is shorter than its seals say."""
        if not actor_of(request).administers_provider:
            return
        sealing = Sealing.objects.first()
        minutes = int((now() - sealing.sealed_at).total_seconds() // 60) if sealing else 0
        page = "admin:audit_auditevent_changelist"
        if sealing is None or minutes >= LATE_MINUTES:
            label = gettext_lazy("Minutes since history was sealed") if sealing else gettext_lazy("Seals of history")
            hint = gettext_lazy("It should be every minute. The log of the workers says why it is not.")
            yield Card(label=label, count=minutes, url=page, hint=hint, tone="bad")
        if sealing and sealing.shortened:
            yield Card(
                label=gettext_lazy("Histories cut short"),
                count=sealing.shortened,
                url=page,
                hint=gettext_lazy("Events that were sealed are gone. The workers' log names the tenants."),
                tone="bad",
            )

    @admin.display(description=gettext_lazy("time"))
    def time(self, row: AuditEvent) -> str:
        """Show when it happened."""
        return show_time(row.at)

    @admin.display(description=gettext_lazy("tenant"))
    def whose(self, row: AuditEvent) -> str:
        """Name the tenant."""
        return row.tenant.name

    @admin.display(description=gettext_lazy("to what"))
    def what(self, row: AuditEvent) -> str:
        """Say what it happened to, in words where the event has them."""
        return labelled(gettext_lazy("To what"), row.data.get("target") or NOTHING)

    @admin.display(description=gettext_lazy("actor"))
    def who(self, row: AuditEvent) -> str:
        """Name who did it."""
        return labelled(gettext_lazy("Actor"), row.actor_label)

    def sections(self, request: HttpRequest, row: AuditEvent) -> Sequence[Section]:
        """Return the event, and its values before and after."""
        facts = (
            (gettext_lazy("Time"), show_time(row.at)),
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Number"), row.seq),
            (gettext_lazy("By"), row.actor_label),
            (gettext_lazy("Object"), f"{row.object_type} {row.object_id}"),
        )
        details = [(name, _show(value)) for name, value in row.data.items() if name not in ("before", "after")]
        return [
            Section(gettext_lazy("Event"), facts),
            Section(
                gettext_lazy("Before and after"),
                (
                    (gettext_lazy("Before"), _show(row.data.get("before"))),
                    (gettext_lazy("After"), _show(row.data.get("after"))),
                ),
            ),
            Section(gettext_lazy("Details"), details),
            Section(
                gettext_lazy("Proof"),
                (
                    (gettext_lazy("Hash (SHA-256)"), _hex(row.hash)),
                    (gettext_lazy("Hash of the event before"), _hex(row.previous_hash)),
                ),
            ),
        ]


def _hex(digest: bytes | memoryview | None) -> str:
    return bytes(digest).hex() if digest is not None else NOTHING


def _show(value: Any) -> str:
    """Show a value of an event's details: its fields one a line, anything deeper as JSON."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, dict):
        return format_html_join("\n", "<div><b>{}</b> {}</div>", ((name, _show(part)) for name, part in value.items()))
    if isinstance(value, list):
        return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))
    return str(value)
