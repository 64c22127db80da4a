"""Whether this person may answer this action now, and how the answer is put down: the same for one and for many."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.roles import Capability
from portal.audit.recording import record
from remediation.actions.bells import ring_after_commit
from remediation.actions.binding import fingerprint
from remediation.actions.exceptions import IllegalMove
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.outcomes import settle_investigations_of
from remediation.actions.proposing import SEND_APPROVED_WITHIN
from remediation.actions.states import Answer, State
from remediation.actions.transitions import Step, move_all
from remediation.safeguards.models import BreakGlass


def require_may_answer(
    action: RemediationAction, answer: Answer, *, actor: Actor, now: datetime, has_answered: bool
) -> None:
    """Raise unless this person may give this answer about the locked action at this instant.

    Forbidden without the right and for who asked for it, SecondFactorNeeded for approving a destructive one without a
    fresh second factor, Conflict for approving what was edited and for a second answer by the same person, IllegalMove
    when it no longer waits.
    """
    actor.require(Capability.DECIDE_ACTION, action.tenant_id)
    if action.requested_by_id == actor.id:
        raise Forbidden(_("You asked for this action yourself; somebody else has to decide."))
    if answer is Answer.APPROVE:
        if action.kind.is_destructive:
            actor.require_second_factor()
        require_unedited(action)
    require_waiting(action, now=now, has_answered=has_answered)


def require_unedited(action: RemediationAction) -> None:
    """Raise Conflict where what the action does is no longer what was asked for."""
    machine_id = action.device.machine_id if action.device else ""
    if fingerprint(action.tenant_id, action.type, machine_id, action.parameters) != action.parameters_sha256:
        raise Conflict(_("What this action does was changed after it was asked for. Reject it, and ask for it anew."))


def require_waiting(action: RemediationAction, *, now: datetime, has_answered: bool) -> None:
    """Raise IllegalMove unless the action waits for approval, Conflict if this person has answered it."""
    if action.state != State.PENDING_APPROVAL:
        raise IllegalMove(
            _("This action no longer waits for approval: it is “%(state)s”.") % {"state": State(action.state).label}
        )
    if action.approve_before is not None and action.approve_before <= now:
        raise IllegalMove(_("Nobody decided about this action in time; it has expired. Ask for it again."))
    if has_answered:
        raise Conflict(_("You have already decided about this action; it takes another person."))


def answered_among(actions: Sequence[RemediationAction], actor: Actor) -> set[UUID]:
    """Return which of these actions the person has answered already."""
    own = Decision.objects.filter(action__in=[action.pk for action in actions], user=actor.id)
    return set(own.values_list("action_id", flat=True))


def write_answers(
    actions: Sequence[RemediationAction],
    answer: Answer,
    *,
    actor: Actor,
    reason: str,
    break_glass: BreakGlass | None = None,
) -> None:
    """Put one person's answer about each of these locked actions down, bound to what exactly it does."""
    Decision.objects.bulk_create(
        [
            Decision(
                tenant_id=action.tenant_id,
                action=action,
                user_id=actor.id,
                answer=answer,
                reason=reason,
                parameters_sha256=action.parameters_sha256,
                break_glass=break_glass,
            )
            for action in actions
        ]
    )
    for action in actions:
        data: dict[str, Any] = {"reason": reason, "parameters_sha256": action.parameters_sha256}
        record(
            action.tenant_id,
            f"action.{answer.value}_given" if break_glass is None else "action.emergency_approve_given",
            object_type="remediation action",
            object_id=action.pk,
            actor=actor.stamp,
            data=data if break_glass is None else data | {"break_glass": break_glass.pk},
        )


def pass_on(actions: Sequence[RemediationAction], *, actor: Actor, reason: str) -> None:
    """Let these actions, which have all the approvals they need, go to the workers."""
    changes = {"execute_before": Now() + SEND_APPROVED_WITHIN, "not_before": Now()}
    move_all([Step(action, State.APPROVED, reason, changes) for action in actions], actor=actor.stamp)
    settle_investigations_of(actions)
    for tenant_id in {action.tenant_id for action in actions}:
        ring_after_commit("drain", tenant_id)


def turn_down(actions: Sequence[RemediationAction], *, actor: Actor, reason: str) -> None:
    """End these actions: they were rejected."""
    changes = {"detail": reason}
    move_all([Step(action, State.REJECTED, reason, changes) for action in actions], actor=actor.stamp)
    settle_investigations_of(actions)


def stated(reason: str) -> str:
    """Return the reason as it goes on record. Raises BadRequest where there is none."""
    if not reason.strip():
        raise BadRequest(_("Give a reason; it goes on record."))
    return reason.strip()
