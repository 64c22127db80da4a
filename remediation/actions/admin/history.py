"""The History tab: everything that no longer waits for approval."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Card
from portal.access.display import labelled, show_age
from portal.access.scoped_admin import BY_TENANT, WordFilter
from portal.tenancy.scope import has_scope
from remediation.actions.admin.center import ActionCenterAdmin, TypeFilter
from remediation.actions.models import HistoryAction
from remediation.actions.states import State


class StateFilter(WordFilter):
    """By state, of those an action on this tab can have."""

    title = gettext_lazy("state")
    parameter_name = "state"
    words = [choice for choice in State.choices if choice[0] != State.PENDING_APPROVAL]


@admin.register(HistoryAction)
class HistoryActionAdmin(ActionCenterAdmin):
    """Actions that were decided, by people or by automation, newest first."""

    menu_place = 11
    list_display = (
        "action", "state_badge", "target_shown", "tenant", "why", "decided_by", "changed",
    )  # fmt: skip
    list_filter = (StateFilter, BY_TENANT, TypeFilter, "source")
    bulk_verbs = ("undo",)
    sortable_by = ("action", "state_badge", "changed")
    empty_message = gettext_lazy("No action has been decided yet. What waits for a decision is under Pending.")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return what was decided."""
        return super().get_queryset(request).decided() if has_scope() else HistoryAction.objects.none()

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count what went wrong or may have."""
        counts = self._counts() if has_scope() else {"attention": 0, "unknown": 0}
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

    def _counts(self) -> dict[str, int]:
        doubtful = HistoryAction.objects.filter(state__in=[State.NEEDS_ATTENTION, State.UNKNOWN])
        return doubtful.aggregate(
            attention=models.Count("id", filter=models.Q(state=State.NEEDS_ATTENTION)),
            unknown=models.Count("id", filter=models.Q(state=State.UNKNOWN)),
        )

    @admin.display(description=gettext_lazy("last change"), ordering="changed_at")
    def changed(self, row: HistoryAction) -> str:
        """Show when it last changed."""
        return labelled(_("Last change"), show_age(row.changed_at))
