"""Tells the floor below what became of actions, in the transaction in which it became so."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Count, Q

from investigations.services import OutcomeFacts, leave_out_devices, note_outcome
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.states import OPEN_STATES, State

_NOT_DONE = (State.REJECTED, State.EXPIRED, State.CANCELLED)


def settle_investigations_of(actions: Collection[RemediationAction]) -> None:
    """Let every investigation that rests on these actions take the state it now has.

    A widening that was not approved leaves its devices out first.
    """
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
    """Recount each investigation's actions and pass them on. In id order, so that two transactions never cross."""
    for investigation_id in sorted(set(investigation_ids)):
        note_outcome(investigation_id, _facts(investigation_id))


def _facts(investigation_id: UUID) -> OutcomeFacts:
    linked = ActionEvidence.objects.filter(evidence__investigation_id=investigation_id).values("action_id")
    counts = RemediationAction.objects.filter(
        Q(investigation_id=investigation_id) | Q(pk__in=linked), undoes=None
    ).aggregate(
        pending=Count("id", filter=Q(state=State.PENDING_APPROVAL)),
        open=Count("id", filter=Q(state__in=OPEN_STATES - {State.PENDING_APPROVAL})),
        succeeded=Count("id", filter=Q(state=State.SUCCEEDED)),
        rejected=Count("id", filter=Q(state=State.REJECTED)),
        failed=Count("id", filter=Q(state__in=[State.FAILED, State.TIMED_OUT])),
        expired=Count("id", filter=Q(state=State.EXPIRED)),
        cancelled=Count("id", filter=Q(state=State.CANCELLED)),
    )
    return OutcomeFacts(**counts)
