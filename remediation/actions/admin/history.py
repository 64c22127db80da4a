"""The History tab: everything that no longer waits for approval."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.models import Device
from portal.access.admin_site import Card
from portal.access.display import labelled, show_age
from portal.access.scoped_admin import BY_TENANT, WordFilter
from portal.tenancy.scope import has_scope
from remediation.actions.admin.center import ActionCenterAdmin, TypeFilter
from remediation.actions.admin.columns import TO_DO_BY_HAND
from remediation.actions.admin.corrections import correction_urls
from remediation.actions.admin.results import show_result
from remediation.actions.by_hand import WAITS_FOR_HANDS
from remediation.actions.models import HistoryAction
from remediation.actions.states import State

BY_HAND: Final = "by_hand"
"""In an address: what waits for a person in the Defender portal."""


class StateFilter(WordFilter):
    """By state, of those an action on this tab can have."""

    title = gettext_lazy("state")
    parameter_name = "state"
    words = [
        (BY_HAND, TO_DO_BY_HAND),
        *(choice for choice in State.choices if choice[0] != State.PENDING_APPROVAL),
    ]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        """Narrow the list; what waits for a person is not what Microsoft has accepted."""
        if self.value() == BY_HAND:
            return queryset.filter(WAITS_FOR_HANDS)
        narrowed = super().queryset(request, queryset)
        return narrowed.exclude(WAITS_FOR_HANDS) if self.value() == State.ACCEPTED else narrowed


class DeviceFilter(admin.SimpleListFilter):
    """By the device that a page of it led here from; there are too many to choose from."""

    title = gettext_lazy("device")
    parameter_name = "device"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        """Return the device that was asked for, none where none was."""
        wanted = request.GET.get("device", "")
        device = Device.objects.filter(pk=key).first() if (key := _as_uuid(wanted)) and has_scope() else None
        return [(wanted, str(device or _("Unknown device")))] if wanted else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet) -> models.QuerySet:
        """Narrow the list."""
        if not self.value():
            return queryset
        key = _as_uuid(self.value())
        return queryset.filter(device=key) if key else queryset.none()


def _as_uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


@admin.register(HistoryAction)
class HistoryActionAdmin(ActionCenterAdmin):
    """Actions that were decided, by people or by automation, newest first."""

    menu_place = 11
    list_display = (
        "action", "state_badge", "target_shown", "tenant", "why", "decided_by", "changed",
    )  # fmt: skip
    list_filter = (StateFilter, BY_TENANT, TypeFilter, "source", DeviceFilter)
    bulk_verbs = ("undo",)
    sortable_by = ("action", "state_badge", "changed")
    empty_message = gettext_lazy("No action has been decided yet. What waits for a decision is under Pending.")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return what was decided."""
        return super().get_queryset(request).decided() if has_scope() else HistoryAction.objects.none()

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a result is fetched, and those of corrections."""
        view = self.admin_site.admin_view(self.result_view)
        own = [path("<uuid:object_id>/result/", view, name="actions_historyaction_result"), *correction_urls(self)]
        return [*own, *super().get_urls()]

    def result_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask Microsoft for a link to what the action brought back, wait for it, and lead there once."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(object_id))
        if row is None:
            raise Http404
        return show_result(self, request, row)

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count what went wrong or may have."""
        counts = self._counts() if has_scope() else {"attention": 0, "unknown": 0, "by_hand": 0}
        page = "admin:actions_historyaction_changelist"
        yield Card(
            label=gettext_lazy("Needs attention"),
            count=counts["attention"],
            url=page,
            query=f"state={State.NEEDS_ATTENTION}",
            hint=gettext_lazy("Quell cannot tell what became of these and may not repeat them: somebody has to look."),
            tone="bad" if counts["attention"] else "good",
        )
        yield Card(
            label=gettext_lazy("Unknown"),
            count=counts["unknown"],
            url=page,
            query=f"state={State.UNKNOWN}",
            hint=gettext_lazy("Sent without a clear answer. Quell is looking them up at Microsoft."),
            tone="waiting" if counts["unknown"] else "good",
        )
        yield Card(
            label=TO_DO_BY_HAND,
            count=counts["by_hand"],
            url=page,
            query=f"state={BY_HAND}",
            hint=gettext_lazy("Microsoft has no API for these: a person does them in the Defender portal."),
            tone="waiting" if counts["by_hand"] else "good",
        )

    def _counts(self) -> dict[str, int]:
        told = models.Q(state__in=[State.NEEDS_ATTENTION, State.UNKNOWN]) | WAITS_FOR_HANDS
        return HistoryAction.objects.filter(told).aggregate(
            attention=models.Count("id", filter=models.Q(state=State.NEEDS_ATTENTION)),
            unknown=models.Count("id", filter=models.Q(state=State.UNKNOWN)),
            by_hand=models.Count("id", filter=WAITS_FOR_HANDS),
        )

    @admin.display(description=gettext_lazy("last change"), ordering="changed_at")
    def changed(self, row: HistoryAction) -> str:
        """Show when it last changed."""
        return labelled(_("Last change"), show_age(row.changed_at))
