"""The questions asked about actions. The tenants in scope come from the manager, never from here."""

from typing import Self, TypeVar

from django.db import models
from django.db.models.functions import Coalesce, Greatest

from remediation.actions.states import UNSENT_STATES, Answer, State
from remediation.safeguards.models import ApprovalRule

Row = TypeVar("Row", bound=models.Model, covariant=True)


class ActionQuerySet(models.QuerySet[Row]):
    """Remediation actions, by where they are in their lives."""

    def awaiting_approval(self) -> Self:
        """Actions on the Pending tab."""
        return self.filter(state=State.PENDING_APPROVAL)

    def decided(self) -> Self:
        """Actions on the History tab: everything that no longer waits for approval."""
        return self.exclude(state=State.PENDING_APPROVAL)

    def unsent(self) -> Self:
        """Actions of which nothing has left the house."""
        return self.filter(state__in=UNSENT_STATES)

    def with_undo(self) -> Self:
        """Add `is_undone`: whether an undo of the action has succeeded."""
        undo = self.model._base_manager.filter(undoes=models.OuterRef("pk"), state=State.SUCCEEDED)
        return self.annotate(is_undone=models.Exists(undo))

    def with_approvals(self) -> Self:
        """Add `approvals_given`, how many people approved exactly this, and `approvals_needed` by the rule of today.

        Whether they still may, and whether the device is protected by now, is asked at sending.
        """
        decisions = self.model._meta.get_field("decisions").related_model._base_manager  # type: ignore[union-attr]
        given = (
            decisions.filter(
                action=models.OuterRef("pk"),
                answer=Answer.APPROVE,
                parameters_sha256=models.OuterRef("parameters_sha256"),
            )
            .order_by()
            .values("action")
            .annotate(count=models.Count("*"))
            .values("count")
        )
        rule = ApprovalRule._base_manager.filter(tenant=models.OuterRef("tenant"), action_type=models.OuterRef("type"))
        return self.annotate(
            approvals_given=Coalesce(models.Subquery(given), 0),
            approvals_needed=Greatest("required_approvals", models.Subquery(rule.values("approvers"))),
        )

    def for_lists(self) -> Self:
        """Bring along what a list shows, in one query."""
        return self.with_undo().select_related("tenant", "device__group", "investigation", "requested_by")
