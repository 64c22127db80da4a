"""What people do with actions: request, approve, reject, cancel, undo, and settle one that needs attention."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from investigations.models import Device, Investigation
from investigations.services import stop_investigation as stop_below
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.scope import database_now
from remediation.actions.approvals import is_approved
from remediation.actions.bells import ring_after_commit
from remediation.actions.binding import fingerprint
from remediation.actions.exceptions import IllegalMove
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.outcomes import settle_investigations, settle_investigations_of
from remediation.actions.parameters import check_parameters, describe_target
from remediation.actions.proposing import SEND_APPROVED_WITHIN, Proposal, propose
from remediation.actions.states import Answer, Source, State
from remediation.actions.transitions import lock, move
from remediation.catalogue import CATALOGUE, REQUESTABLE, WIRED, ActionType, Area
from remediation.safeguards.break_glass import require_open
from remediation.safeguards.models import BreakGlass
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

    It waits for approval, except a release, which an approver may order with a reason alone. Raises BadRequest for a
    type that cannot be requested or wrong parameters, Forbidden without the right.
    """
    kind = _requestable(type_name)
    actor.require(Capability.DECIDE_ACTION if kind.is_release else Capability.REQUEST_ACTION, tenant_id)
    if kind.area is Area.DEVICE and device is None:
        raise BadRequest(_("This action needs a device."))
    if kind.area is Area.MAIL and device is not None:
        raise BadRequest(_("This action is on mail and takes no device."))
    checked = check_parameters(kind, parameters)
    proposal = Proposal(
        tenant_id=tenant_id,
        type=kind.name,
        source=source or (Source.MANUAL_DEVICE if kind.area is Area.DEVICE else Source.MANUAL_EMAIL),
        target=describe_target(kind, device, checked),
        parameters=checked,
        reason=_stated(reason),
        is_approved=kind.is_release,
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
        _require_decider(action, actor)
        if action.kind.is_destructive:
            actor.require_second_factor()
        _require_unedited(action)
        _write_decision(action, Answer.APPROVE, actor=actor, reason=reason)
    if is_approved(action):
        _pass_on(action, actor=actor, reason=reason)
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
        _require_unedited(action)
        use = require_open(action.tenant_id, actor.id)
        if action.kind.is_destructive and protected_among([action.device_id] if action.device_id else []):
            raise Conflict(_("This device is protected: it takes two people, in break-glass too."))
        _write_decision(action, Answer.APPROVE, actor=actor, reason=reason, break_glass=use)
    _pass_on(action, actor=actor, reason=reason)
    return action


def reject_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Reject an action: one rejection ends it, whoever else approved. It takes no second factor.

    Raises Forbidden for who asked for it, Conflict and IllegalMove as approve_action does.
    """
    action = lock(action_id)
    _require_decider(action, actor)
    _write_decision(action, Answer.REJECT, actor=actor, reason=reason)
    move(action, State.REJECTED, actor=actor.stamp, reason=reason, changes={"detail": reason})
    settle_investigations_of([action])
    return action


def cancel_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Take back an action of which nothing has been sent: one's own, or any with the right to decide.

    Raises IllegalMove once it is on its way.
    """
    action = lock(action_id)
    if action.requested_by_id != actor.id:
        actor.require(Capability.DECIDE_ACTION, action.tenant_id)
    if action.state not in (State.PENDING_APPROVAL, State.APPROVED):
        raise IllegalMove(_("This action has already been sent; it can no longer be cancelled here."))
    move(action, State.CANCELLED, actor=actor.stamp, reason=_stated(reason), changes={"detail": reason})
    settle_investigations_of([action])
    return action


def undo_action(action_id: UUID, *, actor: Actor, reason: str) -> RemediationAction:
    """Order the inverse of an action that succeeded and return it; undoing twice returns the same one.

    Raises Conflict where nothing can undo it, or not yet.
    """
    action = lock(action_id)
    actor.require(Capability.DECIDE_ACTION, action.tenant_id)
    earlier = action.undone_by.filter(state__in=[*STILL_COUNTS]).first()
    if earlier is not None:
        return earlier
    inverse = _inverse(action)
    proposal = Proposal(
        tenant_id=action.tenant_id,
        type=inverse.name,
        source=Source.MANUAL_DEVICE if inverse.area is Area.DEVICE else Source.MANUAL_EMAIL,
        target=action.target,
        parameters={parameter.name: action.parameters[parameter.name] for parameter in inverse.parameters},
        reason=_stated(reason),
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

    Sending a destructive one anew takes a fresh second factor: raises SecondFactorNeeded.
    """
    action = lock(action_id)
    actor.require(Capability.DECIDE_ACTION, action.tenant_id)
    if action.state != State.NEEDS_ATTENTION:
        raise IllegalMove(_("This action does not wait for anybody's attention."))
    changes: dict[str, Any] = {"detail": reason}
    if to == State.APPROVED:
        if action.kind.is_destructive:
            actor.require_second_factor()
        changes |= {"execute_before": Now() + SEND_APPROVED_WITHIN, "not_before": Now(), "unknown_since": None}
        ring_after_commit("drain", action.tenant_id)
    move(action, to, actor=actor.stamp, reason=_stated(reason), changes=changes)
    settle_investigations_of([action])
    return action


def stop_investigation(investigation: Investigation, *, actor: Actor, reason: str) -> None:
    """End an investigation by hand: actions not yet sent are cancelled, those under way run to their end."""
    actor.require(Capability.WORK_ON_INVESTIGATIONS, investigation.tenant_id)
    unsent = RemediationAction.objects.unsent().filter(investigation=investigation).select_for_update().order_by("id")
    for action in unsent:
        move(action, State.CANCELLED, actor=actor.stamp, reason=reason, changes={"detail": reason})
    stop_below(investigation, actor=actor, reason=_stated(reason))
    settle_investigations([investigation.pk])


STILL_COUNTS = frozenset({State.APPROVED, State.SENDING, State.ACCEPTED, State.UNKNOWN, State.NEEDS_ATTENTION,
                           State.SUCCEEDED})  # fmt: skip


def _requestable(type_name: str) -> ActionType:
    kind = CATALOGUE.get(type_name)
    if kind is None:
        raise BadRequest(_("There is no action “%(type)s”.") % {"type": type_name})
    if kind.name not in WIRED:
        raise BadRequest(_("“%(action)s” is not available yet.") % {"action": kind.label})
    if kind.name not in REQUESTABLE:
        raise BadRequest(_("“%(action)s” is proposed by Quell and cannot be requested.") % {"action": kind.label})
    return kind


def _inverse(action: RemediationAction) -> ActionType:
    if not action.kind.inverse:
        raise Conflict(_("“%(action)s” cannot be undone.") % {"action": action.kind.label})
    inverse = CATALOGUE[action.kind.inverse]
    if not inverse.is_wired:
        raise Conflict(
            _("“%(action)s” is undone by “%(inverse)s”, which is not available yet; use the Defender portal.")
            % {"action": action.kind.label, "inverse": inverse.label}
        )
    if action.state != State.SUCCEEDED:
        raise Conflict(_("Only an action that has been completed can be undone."))
    return inverse


def _stated(reason: str) -> str:
    if not reason.strip():
        raise BadRequest(_("Give a reason; it goes on record."))
    return reason.strip()


def _refusals_of(action: RemediationAction, actor: Actor) -> AbstractContextManager[None]:
    return refusals_on_record(
        action.tenant_id,
        "action.approval_refused",
        object_type="remediation action",
        object_id=action.pk,
        actor=actor,
    )


def _require_decider(action: RemediationAction, actor: Actor) -> None:
    actor.require(Capability.DECIDE_ACTION, action.tenant_id)
    if action.requested_by_id == actor.id:
        raise Forbidden(_("You asked for this action yourself; somebody else has to decide."))


def _require_unedited(action: RemediationAction) -> None:
    machine_id = action.device.machine_id if action.device else ""
    if fingerprint(action.tenant_id, action.type, machine_id, action.parameters) != action.parameters_sha256:
        raise Conflict(_("What this action does was changed after it was asked for. Reject it, and ask for it anew."))


def _pass_on(action: RemediationAction, *, actor: Actor, reason: str) -> None:
    changes = {"execute_before": Now() + SEND_APPROVED_WITHIN, "not_before": Now()}
    move(action, State.APPROVED, actor=actor.stamp, reason=reason, changes=changes)
    settle_investigations_of([action])
    ring_after_commit("drain", action.tenant_id)


def _write_decision(
    action: RemediationAction, answer: Answer, *, actor: Actor, reason: str, break_glass: BreakGlass | None = None
) -> None:
    if action.state != State.PENDING_APPROVAL:
        raise IllegalMove(
            _("This action no longer waits for approval: it is “%(state)s”.") % {"state": State(action.state).label}
        )
    if action.approve_before is not None and action.approve_before <= database_now():
        raise IllegalMove(_("Nobody decided about this action in time; it has expired. Ask for it again."))
    try:
        with transaction.atomic():
            Decision.objects.create(
                tenant_id=action.tenant_id,
                action=action,
                user_id=actor.id,
                answer=answer,
                reason=_stated(reason),
                parameters_sha256=action.parameters_sha256,
                break_glass=break_glass,
            )
    except IntegrityError as error:
        raise Conflict(_("You have already decided about this action; it takes another person.")) from error
    record(
        action.tenant_id,
        f"action.{answer.value}_given" if break_glass is None else "action.emergency_approve_given",
        object_type="remediation action",
        object_id=action.pk,
        actor=actor.stamp,
        data={
            "reason": reason,
            "parameters_sha256": action.parameters_sha256,
            **({"break_glass": break_glass.pk} if break_glass else {}),
        },
    )
