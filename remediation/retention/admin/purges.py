"""The page of purges: the receipts of what left, and which of it came back with a restored backup."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import NOTHING, badge, labelled, show_age, show_time
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, WordFilter, events_of
from remediation.retention.kinds import KIND_CHOICES, label_of
from remediation.retention.models import Purge


class KindFilter(WordFilter):
    """By kind of row."""

    title = gettext_lazy("kind")
    parameter_name = "kind"
    words = KIND_CHOICES


@admin.register(Purge)
class PurgeAdmin(ReadOnlyAdmin):
    """Receipts, newest first."""

    menu_place = 36
    detail_template = "retention/purge.html"
    list_display = ("what", "tenant", "row_count", "purged", "cutoff_day", "days", "state_badge")
    list_filter = (BY_TENANT, KindFilter, ("returned_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant",)
    ordering = ("-id",)
    sortable_by = ("purged", "row_count")
    empty_message = gettext_lazy(
        "Nothing has been purged. What would leave next stands on the page of retention rules."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Purge]:
        """Return the receipts without the ids of their rows."""
        rows: QuerySet[Purge] = super().get_queryset(request).defer("row_ids")
        return rows

    @admin.display(description=gettext_lazy("kind"))
    def what(self, row: Purge) -> str:
        """Say what left."""
        return label_of(row.kind)

    @admin.display(description=gettext_lazy("purged"), ordering="id")
    def purged(self, row: Purge) -> str:
        """Show when."""
        return labelled(_("Purged"), show_age(row.purged_at))

    @admin.display(description=gettext_lazy("older than"))
    def cutoff_day(self, row: Purge) -> str:
        """Show the cutoff."""
        return labelled(_("Older than"), show_time(row.cutoff))

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: Purge) -> str:
        """Say whether the rows are gone."""
        return _show_state(row)

    def sections(self, request: HttpRequest, row: Purge) -> Sequence[Section]:
        """Return what left, by which rule, and how the receipt vouches for it."""
        left = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Kind"), label_of(row.kind)),
            (gettext_lazy("Rows"), row.row_count),
            (gettext_lazy("With them"), ", ".join(f"{count} {name}" for name, count in row.part_counts.items())),
            (gettext_lazy("Kept for days"), row.days),
            (gettext_lazy("Older than"), show_time(row.cutoff)),
            (gettext_lazy("Purged"), show_age(row.purged_at)),
        ]
        receipt = [
            (gettext_lazy("Receipt"), row.pk),
            (gettext_lazy("SHA-256 of the rows"), row.sha256),
            (gettext_lazy("First row"), row.first_id),
            (gettext_lazy("Last row"), row.last_id),
            (gettext_lazy("In the file outside the database since"), show_age(row.filed_at)),
            (gettext_lazy("Came back"), show_age(row.returned_at)),
        ]
        return [
            Section(gettext_lazy("What left"), [(label, NOTHING if value == "" else value) for label, value in left]),
            Section(gettext_lazy("Receipt"), receipt),
        ]

    def detail_context(self, request: HttpRequest, row: Purge) -> dict[str, Any]:
        """Return what came back, and the receipt's history."""
        words = _(
            "%(count)d of these rows were there again on %(time)s UTC: a backup was restored. Nothing more of this kind"
            " leaves for a day after that; a legal hold keeps what should stay."
        )
        shown = {"count": row.returned_count, "time": f"{row.returned_at:%Y-%m-%d %H:%M}" if row.returned_at else ""}
        return {
            "title": label_of(row.kind),
            "state": _show_state(row),
            "returned": words % shown if row.returned_count else "",
            "events": events_of(row.pk),
        }


def _show_state(row: Purge) -> str:
    if row.returned_count:
        return badge(_("Came back: %(count)d") % {"count": row.returned_count}, "bad")
    return badge(_("Gone"), "good") if row.filed_at else badge(_("Gone, receipt not filed yet"), "waiting")
