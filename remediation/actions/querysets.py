"""The questions asked about actions. The tenants in scope come from the manager, never from here."""

from typing import Self, TypeVar

from django.db import models

from remediation.actions.states import OPEN_STATES, UNSENT_STATES, State

Row = TypeVar("Row", bound=models.Model, covariant=True)


class ActionQuerySet(models.QuerySet[Row]):
    """Remediation actions, by where they are in their lives."""

    def awaiting_approval(self) -> Self:
        """Actions on the Pending tab."""
        return self.filter(state=State.PENDING_APPROVAL)

    def decided(self) -> Self:
        """Actions on the History tab: everything that no longer waits for approval."""
        return self.exclude(state=State.PENDING_APPROVAL)

    def open(self) -> Self:
        """Actions that may still change."""
        return self.filter(state__in=OPEN_STATES)

    def unsent(self) -> Self:
        """Actions of which nothing has left the house."""
        return self.filter(state__in=UNSENT_STATES)

    def with_undo(self) -> Self:
        """Add `is_undone`: whether an undo of the action has succeeded."""
        undo = self.model._base_manager.filter(undoes=models.OuterRef("pk"), state=State.SUCCEEDED)
        return self.annotate(is_undone=models.Exists(undo))

    def for_lists(self) -> Self:
        """Bring along what a list shows, in one query."""
        return self.with_undo().select_related("tenant", "device__group", "investigation", "requested_by")
