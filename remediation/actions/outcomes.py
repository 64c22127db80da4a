"""Tells the floor below what became of actions, in the transaction in which it became so."""

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from investigations.services import OutcomeFacts, leave_out_devices, note_outcomes
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.states import OPEN_STATES, State

_NOT_DONE = (State.REJECTED, State.EXPIRED, State.CANCELLED)


def settle_investigations_of(actions: Collection[RemediationAction]) -> None:
    """Let every investigation that rests on these actions take the state it now has.

    A widening that was not approved leaves its devices out first.
    """
    if not actions:
        return
    for action in actions:
        if action.type == "widen_investigation" and action.state in _NOT_DONE and action.investigation_id:
            leave_out_devices(
                action.investigation_id,
                [UUID(device) for device in action.parameters["devices"]],
                reason=str(State(action.state).label),
            )
    linked = ActionEvidence.objects.filter(action__in=[action.pk for action in actions])
    found = {action.investigation_id for action in actions} | set(
        linked.values_list("evidence__investigation_id", flat=True)
    )
    settle_investigations({investigation_id for investigation_id in found if investigation_id is not None})


def settle_investigations(investigation_ids: Collection[UUID]) -> None:
    """Recount the actions of these investigations and pass the counts on, in a few queries for all of them."""
    if investigation_ids:
        note_outcomes(_facts(set(investigation_ids)))


def _facts(investigation_ids: set[UUID]) -> dict[UUID, OutcomeFacts]:
    """Count the states of each investigation's actions: its own, and those that answer its evidence."""
    linked = ActionEvidence.objects.filter(evidence__investigation__in=investigation_ids)
    pairs = set(linked.values_list("evidence__investigation_id", "action_id"))
    own = RemediationAction.objects.filter(investigation__in=investigation_ids)
    pairs |= set(own.values_list("investigation_id", "pk"))
    actions = RemediationAction.objects.filter(pk__in={action_id for _found, action_id in pairs}, undoes=None)
    states = dict(actions.values_list("pk", "state"))
    counts: dict[UUID, Counter[str]] = {investigation_id: Counter() for investigation_id in investigation_ids}
    for investigation_id, action_id in pairs:
        if action_id in states:
            counts[investigation_id][_COUNTED_AS[State(states[action_id])]] += 1
    return {investigation_id: OutcomeFacts(**counted) for investigation_id, counted in counts.items()}


_COUNTED_AS = {
    **dict.fromkeys(OPEN_STATES, "open"),
    State.PENDING_APPROVAL: "pending",
    State.SUCCEEDED: "succeeded",
    State.REJECTED: "rejected",
    State.FAILED: "failed",
    State.TIMED_OUT: "failed",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
}
