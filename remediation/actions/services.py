"""What people do with actions: request, approve, reject, cancel, undo, and settle one that needs attention."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from investigations.models import Device, Investigation
from investigations.services import stop_investigation as stop_below
from portal.access.actors import Actor
from portal.access.exceptions import Conflict
from portal.access.roles import Capability
from portal.tenancy.scope import database_now
from remediation.actions.answering import (
    answered_among,
    pass_on,
    require_may_answer,
    require_unedited,
    require_waiting,
    stated,
    turn_down,
    write_answers,
)
from remediation.actions.approvals import is_approved
from remediation.actions.asking import (
    find_requestable,
    needed_capability,
    require_fitting_device,
    require_offered,
    source_of,
)
from remediation.actions.bells import ring_after_commit
from remediation.actions.by_hand import waits_for_hands
from remediation.actions.exceptions import IllegalMove
from remediation.actions.models import RemediationAction
from remediation.actions.outcomes import settle_investigations, settle_investigations_of
from remediation.actions.parameters import check_parameters, describe_target
from remediation.actions.proposing import SEND_APPROVED_WITHIN, Proposal, propose
from remediation.actions.states import UNSENT_STATES, Answer, Source, State
from remediation.actions.stopping import ask_to_stop, reason_against_stopping
from remediation.actions.transitions import lock, move
from remediation.actions.undoing import STILL_COUNTS, inverse_of, reason_against_undo, undo_parameters
from remediation.safeguards.break_glass import require_open
from remediation.safeguards.protection import protected_among
from remediation.safeguards.refusals import refusals_on_record


def request_action(
    *,
    tenant_id: UUID,
    type_name: str,
    device: Device | None,
    parameters: Mapping[str, Any],
    reason: str,
    actor: Actor,
    source: Source | None = None,
) -> tuple[RemediationAction, bool]:
    """Ask for an action by hand; return it and whether it is new (the same one may be open already).

    It waits for approval, except a release, which an approver may order with a reason alone, and what touches no device
    and no mailbox. Raises BadRequest for a type that cannot be requested, wrong parameters, or a device or cloud for
    which Microsoft does not do it; Forbidden without the right.
    """
    kind = find_requestable(type_name)
    actor.require(needed_capability(kind), tenant_id)
    checked = check_parameters(kind, parameters)
    require_fitting_device(kind, device, checked)
    require_offered(kind, tenant_id)
    proposal = Proposal(
        tenant_id=tenant_id,
        type=kind.name,
        source=source or source_of(kind),
        target=describe_target(kind, device, checked),
        parameters=checked,
        reason=stated(reason),
        is_approved=kind.is_ordered_alone,
        device=device,
        requested_by_id=actor.id,
    )
    actions, born = propose(tenant_id, [proposal], actor=actor.stamp)
    return actions[proposal.sha256], proposal.sha256 in born


def approve_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Give one person's approval of exactly this action; with the last one needed it is sent.

    Raises Forbidden for who asked for it, SecondFactorNeeded for a destructive one without a fresh second factor,
    Conflict for a second answer by the same person or an action that was edited, IllegalMove when it no longer waits.
    A refusal goes on record.
    """
    action = lock(action_id)
    with _refusals_of(action, actor):
        _answer(action, Answer.APPROVE, actor=actor, reason=reason)
    if is_approved(action):
        pass_on([action], actor=actor, reason=stated(reason))
    return action


def approve_in_emergency(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Approve exactly this action alone, one's own too, while one's break-glass use is open; it is sent.

    Raises Forbidden without the right, SecondFactorNeeded without a fresh second factor, Conflict without an open use
    or for a second answer by the same person, IllegalMove when it no longer waits. A refusal goes on record.
    """
    action = lock(action_id)
    with _refusals_of(action, actor):
        actor.require(Capability.BREAK_GLASS, action.tenant_id)
        actor.require_second_factor()
        require_unedited(action)
        use = require_open(action.tenant_id, actor.id)
        if action.kind.is_destructive and protected_among([action.device_id] if action.device_id else []):
            raise Conflict(_("This device is protected: it takes two people, in break-glass too."))
        require_waiting(action, now=database_now(), has_answered=bool(answered_among([action], actor)))
        write_answers([action], Answer.APPROVE, actor=actor, reason=stated(reason), break_glass=use)
    pass_on([action], actor=actor, reason=stated(reason))
    return action


def reject_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Reject an action: one rejection ends it, whoever else approved. It takes no second factor.

    Raises Forbidden for who asked for it, Conflict and IllegalMove as approve_action does.
    """
    action = lock(action_id)
    _answer(action, Answer.REJECT, actor=actor, reason=reason)
    turn_down([action], actor=actor, reason=stated(reason))
    return action


def cancel_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Take back an action, one's own or any with the right to decide; what Microsoft has, Microsoft is asked to stop.

    What came of asking, the next look-up tells: it may come too late. Raises IllegalMove for an action that is on its
    way or that Microsoft does not stop.
    """
    action = lock(action_id)
    is_own = action.requested_by_id == actor.id
    actor.require(Capability.REQUEST_ACTION if is_own else Capability.DECIDE_ACTION, action.tenant_id)
    reason = stated(reason)
    if action.state in UNSENT_STATES:
        move(action, State.CANCELLED, actor=actor.stamp, reason=reason, changes={"detail": reason})
        settle_investigations_of([action])
    elif against := reason_against_stopping(action):
        raise IllegalMove(against)
    else:
        ask_to_stop(action, actor=actor.stamp, reason=reason)
    return action


def undo_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Order the inverse of an action that succeeded and return it; undoing twice returns the same one.

    Raises Conflict where nothing can undo it, or not yet.
    """
    action = lock(action_id)
    actor.require(Capability.DECIDE_ACTION, action.tenant_id)
    earlier = action.undone_by.filter(state__in=STILL_COUNTS).first()
    if earlier is not None:
        return earlier
    inverse, against = inverse_of(action.kind), reason_against_undo(action)
    if inverse is None or against:
        raise Conflict(against)
    proposal = Proposal(
        tenant_id=action.tenant_id,
        type=inverse.name,
        source=source_of(inverse),
        target=action.target,
        parameters=undo_parameters(action, inverse),
        reason=stated(reason),
        is_approved=True,
        device=action.device,
        investigation_id=action.investigation_id,
        requested_by_id=actor.id,
        undoes_id=action.pk,
    )
    actions, _born = propose(action.tenant_id, [proposal], actor=actor.stamp)
    return actions[proposal.sha256]


def resolve_action(action_id: UUID, to: State, *, actor: Actor, reason: str) -> RemediationAction:
    """Say what became of an action that needs attention: it succeeded, it failed, or it is to be sent anew.

    Sending a destructive one anew takes a fresh second factor: raises SecondFactorNeeded. Of an action that a person
    does in the Defender portal, whoever works on investigations says whether it was done; an API key does not.
    """
    action = lock(action_id)
    is_by_hand = waits_for_hands(action)
    actor.require(Capability.WORK_ON_INVESTIGATIONS if is_by_hand else Capability.DECIDE_ACTION, action.tenant_id)
    actor.require_person()
    if action.state != State.NEEDS_ATTENTION and not (is_by_hand and to in (State.SUCCEEDED, State.FAILED)):
        raise IllegalMove(_("This action does not wait for anybody's attention."))
    changes: dict[str, Any] = {"detail": reason}
    if to == State.APPROVED:
        if action.kind.is_destructive:
            actor.require_second_factor()
        changes |= {"execute_before": Now() + SEND_APPROVED_WITHIN, "not_before": Now(), "unknown_since": None}
        ring_after_commit("drain", action.tenant_id)
    move(action, to, actor=actor.stamp, reason=stated(reason), changes=changes)
    settle_investigations_of([action])
    return action


def stop_investigation(investigation: Investigation, *, actor: Actor, reason: str) -> None:
    """End an investigation by hand: actions not yet sent are cancelled, those under way run to their end."""
    actor.require(Capability.WORK_ON_INVESTIGATIONS, investigation.tenant_id)
    unsent = RemediationAction.objects.unsent().filter(investigation=investigation).select_for_update().order_by("id")
    for action in unsent:
        move(action, State.CANCELLED, actor=actor.stamp, reason=reason, changes={"detail": reason})
    stop_below(investigation, actor=actor, reason=stated(reason))
    settle_investigations([investigation.pk])


def _refusals_of(action: RemediationAction, actor: Actor) -> AbstractContextManager[None]:
    return refusals_on_record(
        action.tenant_id,
        "action.approval_refused",
        object_type="remediation action",
        object_id=action.pk,
        actor=actor,
    )


def _answer(action: RemediationAction, answer: Answer, *, actor: Actor, reason: str) -> None:
    has_answered = bool(answered_among([action], actor))
    require_may_answer(action, answer, actor=actor, now=database_now(), has_answered=has_answered)
    write_answers([action], answer, actor=actor, reason=stated(reason))
