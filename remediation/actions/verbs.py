"""What people can do with an action from its pages: the question asked, the service called, what is said afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.roles import Capability
from remediation.actions import services
from remediation.actions.approvals import count_approvals, count_needed
from remediation.actions.by_hand import waits_for_hands
from remediation.actions.models import RemediationAction
from remediation.actions.states import UNSENT_STATES, State
from remediation.actions.stopping import reason_against_stopping
from remediation.actions.undoing import STILL_COUNTS, reason_against_undo
from remediation.safeguards.break_glass import find_open
from remediation.safeguards.freezes import describe, holding

Run = Callable[[UUID, Actor, str], RemediationAction]


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to do with actions in one of `states`. `tells_effect` when something happens to a device or mail.

    `is_for_one` when it is never done to several at once; `sends` when it can let an action go, which takes a fresh
    second factor for a destructive one. `warning` is told before it is done.
    """

    name: str
    label: Promise
    question: Promise
    button: Promise
    done: Promise
    states: frozenset[State]
    run: Run
    tells_effect: bool = False
    is_for_one: bool = False
    sends: bool = False
    warning: Promise | str = ""


_WAITS: Final = frozenset({State.PENDING_APPROVAL})
_ATTENTION: Final = frozenset({State.NEEDS_ATTENTION})
_IN_DOUBT: Final = frozenset({State.NEEDS_ATTENTION, State.ACCEPTED})
"""People alone know what became of it; of what was accepted, only where it is done by hand."""


def _resolve(to: State) -> Run:
    return lambda key, actor, reason: services.resolve_action(key, to, actor=actor, reason=reason)


_VERBS: Final = (
    Verb(
        "approve", gettext_lazy("Approve"), gettext_lazy("Approve?"), gettext_lazy("Approve"),
        gettext_lazy("Approved"), _WAITS,
        lambda key, actor, reason: services.approve_action(key, actor=actor, reason=reason), tells_effect=True,
        sends=True,
    ),
    Verb(
        "break_glass", gettext_lazy("Approve in break-glass"), gettext_lazy("Approve alone, in break-glass?"),
        gettext_lazy("Approve and send"), gettext_lazy("Approved in break-glass"), _WAITS,
        lambda key, actor, reason: services.approve_in_emergency(key, actor=actor, reason=reason), tells_effect=True,
        is_for_one=True, sends=True,
    ),
    Verb(
        "reject", gettext_lazy("Reject"), gettext_lazy("Reject?"), gettext_lazy("Reject"),
        gettext_lazy("Rejected"), _WAITS,
        lambda key, actor, reason: services.reject_action(key, actor=actor, reason=reason),
    ),
    Verb(
        "undo", gettext_lazy("Undo"), gettext_lazy("Undo?"), gettext_lazy("Undo"),
        gettext_lazy("Undo ordered"), frozenset({State.SUCCEEDED}),
        lambda key, actor, reason: services.undo_action(key, actor=actor, reason=reason),
    ),
    Verb(
        "cancel", gettext_lazy("Cancel"), gettext_lazy("Cancel before it is sent?"),
        gettext_lazy("Cancel it"), gettext_lazy("Cancelled"), UNSENT_STATES,
        lambda key, actor, reason: services.cancel_action(key, actor=actor, reason=reason),
    ),
    Verb(
        "stop", gettext_lazy("Cancel at Microsoft"), gettext_lazy("Ask Microsoft to stop it?"),
        gettext_lazy("Ask to stop it"), gettext_lazy("Microsoft is asked to stop it"), frozenset({State.ACCEPTED}),
        lambda key, actor, reason: services.cancel_action(key, actor=actor, reason=reason),
        warning=gettext_lazy(
            "Microsoft has it already, so this may come too late: what has happened by then stays as it is. "
            "How it ended shows here."
        ),
    ),
    Verb(
        "mark_succeeded", gettext_lazy("It was done"), gettext_lazy("Put on record that this was done?"),
        gettext_lazy("It was done"), gettext_lazy("Marked as done"), _IN_DOUBT, _resolve(State.SUCCEEDED),
    ),
    Verb(
        "mark_failed", gettext_lazy("It was not done"), gettext_lazy("Put on record that this was not done?"),
        gettext_lazy("It was not done"), gettext_lazy("Marked as failed"), _IN_DOUBT, _resolve(State.FAILED),
    ),
    Verb(
        "send_again", gettext_lazy("Send again"), gettext_lazy("Send once more?"),
        gettext_lazy("Send again"), gettext_lazy("Will be sent again"), _ATTENTION, _resolve(State.APPROVED),
        tells_effect=True, sends=True,
    ),
)  # fmt: skip

VERBS: Final[Mapping[str, Verb]] = {verb.name: verb for verb in _VERBS}


def offered(action: RemediationAction, actor: Actor) -> list[Verb]:
    """Return what this person can do with the action now. The services check it all again."""
    return [verb for verb in _VERBS if action.state in verb.states and _makes_sense(verb, action, actor)]


def _makes_sense(verb: Verb, action: RemediationAction, actor: Actor) -> bool:
    is_own = action.requested_by_id == actor.id
    if verb.name == "break_glass":
        return _has_emergency(action, actor)
    if verb.name in ("mark_succeeded", "mark_failed") and action.state == State.ACCEPTED:
        return waits_for_hands(action) and actor.may(Capability.WORK_ON_INVESTIGATIONS, action.tenant_id)
    may_decide = actor.may(Capability.DECIDE_ACTION, action.tenant_id)
    if verb.name == "cancel":
        return is_own or (action.state == State.APPROVED and may_decide)
    if verb.name == "stop":
        return (is_own or may_decide) and not reason_against_stopping(action)
    if not may_decide:
        return False
    if verb.name == "undo":
        return not reason_against_undo(action) and not action.undone_by.filter(state__in=STILL_COUNTS).exists()
    if verb.states == _WAITS:
        return not is_own and not action.decisions.filter(user_id=actor.id).exists()
    return True


def _has_emergency(action: RemediationAction, actor: Actor) -> bool:
    return actor.may(Capability.BREAK_GLASS, action.tenant_id) and find_open(action.tenant_id, actor.id) is not None


def say_result(verb: Verb, action: RemediationAction) -> str:
    """Return one line about what came of the verb."""
    words = {"done": verb.done, "action": action.kind.label, "target": action.target}
    if verb.name == "approve" and action.state == State.PENDING_APPROVAL:
        return _(
            "Your approval is on record, %(given)d of %(needed)d: %(action)s · %(target)s. It waits for another."
        ) % {
            **words,
            "given": count_approvals(action),
            "needed": count_needed(action),
        }
    told = _("%(done)s: %(action)s · %(target)s") % words
    frozen = say_frozen(action.tenant_id, action.type) if verb.sends else ""
    return f"{told}. {frozen}" if frozen else told


def say_frozen(tenant_id: UUID, action_type: str) -> str:
    """Say that sending is stopped for this type of action, "" where it is not: approving is allowed, and it waits."""
    found = holding(tenant_id, action_type)
    if found is None:
        return ""
    words = _("Sending is frozen (%(what)s): what is approved waits, and lapses if the freeze outlasts it.")
    return words % {"what": describe(found)}
