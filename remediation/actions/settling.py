"""What became of actions that are with the vendor, or may be: look up, then record, each under its fence."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Greatest, Least, Now
from django.utils.translation import gettext as _

from connectors.protocol import ActionRequest, Connector, ConnectorError, LookUp, Receipt, RemoteState
from portal.audit.recording import SYSTEM
from portal.tenancy.scope import acting_for
from remediation.actions.execution import accepted_by
from remediation.actions.models import RemediationAction
from remediation.actions.outcomes import settle_investigations_of
from remediation.actions.states import State
from remediation.actions.transitions import move

logger = logging.getLogger(__name__)

BATCH = 500
LONGEST_POLL_SECONDS = 300.0
ACCEPTED_LIMIT = timedelta(days=3)
"""Microsoft keeps trying an offline device for three days, then gives up (Defender: response actions)."""

UNKNOWN_LIMIT = timedelta(minutes=15)
"""How long look-ups may go unanswered before a person has to look."""

_ENDS = {
    RemoteState.SUCCEEDED: State.SUCCEEDED,
    RemoteState.FAILED: State.FAILED,
    RemoteState.TIMED_OUT: State.TIMED_OUT,
    RemoteState.CANCELLED: State.CANCELLED,
}


def settle_batch(tenant_id: UUID, connector: Connector) -> int:
    """Look up the tenant's due actions once and record what was found; return how many were due."""
    requests, fences = _due(tenant_id)
    if not requests:
        return 0
    try:
        answers = connector.look_up(requests)
    except ConnectorError as error:
        logger.warning("The look-up for tenant %s was not answered: %s", tenant_id, error)
        answers = LookUp(found={}, unanswered=frozenset(fences))
    with acting_for(tenant_id):
        ended = []
        rows = RemediationAction.objects.select_for_update().filter(pk__in=fences, next_check_at__lte=Now())
        for action in rows.order_by("id"):
            if action.fence == fences[action.pk] and action.state in (State.ACCEPTED, State.UNKNOWN):
                _apply(action, answers)
                ended.append(action)
        settle_investigations_of(ended)
    return len(requests)


def _due(tenant_id: UUID) -> tuple[list[ActionRequest], dict[UUID, int]]:
    with acting_for(tenant_id):
        rows = (
            RemediationAction.objects.filter(state__in=[State.ACCEPTED, State.UNKNOWN], next_check_at__lte=Now())
            .select_related("device")
            .order_by("next_check_at")[:BATCH]
        )
        requests = [
            ActionRequest(
                action_id=action.pk,
                type=action.type,
                machine_id=action.device.machine_id if action.device else "",
                parameters=action.parameters,
                comment=action.reason,
                sent_at=action.sent_at,
                remote_id=action.remote_id if action.state == State.ACCEPTED else "",
            )
            for action in rows
        ]
        return requests, {action.pk: action.fence for action in rows}


def _apply(action: RemediationAction, answers: LookUp) -> None:
    receipt = answers.found.get(action.pk)
    if receipt is not None:
        _apply_found(action, receipt)
    elif action.state == State.ACCEPTED:
        _poll_again(action)
    elif action.pk in answers.unanswered:
        _apply_unanswered(action)
    else:
        _apply_absent(action)


def _apply_found(action: RemediationAction, receipt: Receipt) -> None:
    if action.state == State.UNKNOWN:
        words = _("Found at the vendor: it had been accepted.")
        move(action, State.ACCEPTED, actor=SYSTEM, reason=words, changes=accepted_by(receipt))
    end = _ENDS.get(receipt.state)
    if end is not None:
        move(action, end, actor=SYSTEM, reason=receipt.detail, changes={"detail": receipt.detail})
        return
    limit = {"pk": action.pk, "accepted_at__lte": Now() - ACCEPTED_LIMIT}
    if RemediationAction.objects.filter(**limit).exists():
        words = _("The device did not answer for three days.")
        move(action, State.TIMED_OUT, actor=SYSTEM, reason=words, changes={"detail": words})
    else:
        _poll_again(action)


def _apply_absent(action: RemediationAction) -> None:
    """Absent once may be the vendor's slowness; absent twice, a quiet period apart, is an answer."""
    if action.absent_count == 0:
        _check_later(action, settings.ACTION_QUIET_SECONDS, absent_count=1)
    elif action.error_code:
        words = _("The device was busy with the same kind of action, asked for by somebody else; nothing was sent.")
        move(action, State.FAILED, actor=SYSTEM, reason=words, changes={"detail": words})
    elif action.kind.repeat_is_harmless:
        words = _("Looked for twice at the vendor and not there: it was never accepted, so it is sent again.")
        changes = {"detail": words, "unknown_since": None}
        move(action, State.APPROVED, actor=SYSTEM, reason=words, changes=changes)
    else:
        _ask_for_attention(
            action, _("Not found at the vendor, and doing it twice would do harm: please look yourself.")
        )


def _apply_unanswered(action: RemediationAction) -> None:
    old = {"pk": action.pk, "unknown_since__lte": Now() - UNKNOWN_LIMIT}
    if RemediationAction.objects.filter(**old).exists():
        _ask_for_attention(action, _("The vendor could not be asked for 15 minutes: please look yourself."))
    else:
        _check_later(action, settings.ACTION_POLL_SECONDS)


def _ask_for_attention(action: RemediationAction, words: str) -> None:
    move(action, State.NEEDS_ATTENTION, actor=SYSTEM, reason=words, changes={"detail": words})


def _poll_again(action: RemediationAction) -> None:
    """Ask again after as long as it has been out already, within bounds: new actions often, old ones seldom."""
    waited = Now() - F("accepted_at")
    RemediationAction.objects.filter(pk=action.pk).update(next_check_at=Now() + _bounded(waited))


def _bounded(waited: Any) -> Any:
    return Least(
        Greatest(waited, timedelta(seconds=settings.ACTION_POLL_SECONDS)), timedelta(seconds=LONGEST_POLL_SECONDS)
    )


def _check_later(action: RemediationAction, wait_seconds: float, **changes: Any) -> None:
    RemediationAction.objects.filter(pk=action.pk).update(
        next_check_at=Now() + timedelta(seconds=wait_seconds), **changes
    )
