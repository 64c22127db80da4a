"""What became of actions that are with the vendor, or may be: look up, then record, each under its fence."""

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Greatest, Least, Now
from django.utils.translation import gettext as _

from connectors.circuit import note_calls
from connectors.protocol import (
    ActionRequest,
    Connector,
    ConnectorError,
    LookUp,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
)
from portal.audit.recording import SYSTEM, record
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.execution import ACCEPTED_LIMIT, ENDS, accepted_by
from remediation.actions.models import RemediationAction
from remediation.actions.outcomes import settle_investigations_of
from remediation.actions.states import OPEN_STATES, State
from remediation.actions.transitions import Step, move_all

logger = logging.getLogger(__name__)

BATCH: Final = 500
LONGEST_POLL_SECONDS: Final = 300.0

UNKNOWN_LIMIT: Final = timedelta(minutes=15)
"""How long look-ups may go unanswered before a person has to look."""

_LOOKED_UP: Final = (State.ACCEPTED, State.UNKNOWN)


def settle_batch(tenant_id: UUID, connector: Connector) -> int:
    """Look up the tenant's due actions once and record what was found; return how many were due.

    What is to be stopped is asked to stop first: the look then tells what came of it.
    """
    due = _due(tenant_id)
    if not due:
        return 0
    requests = {row.pk: _request(row) for row in due}
    refusals = _ask_to_stop([requests[row.pk] for row in due if _is_to_stop(row)], connector)
    try:
        answers = connector.look_up(list(requests.values()))
    except ConnectorError as error:
        logger.warning("The look-up for tenant %s was not answered: %s", tenant_id, error)
        answers = LookUp(found={}, unanswered=frozenset(requests))
    note_calls(tenant_id, [OutcomeUnknown("Look-up.") if answers.unanswered.issuperset(requests) else None])
    fences = {row.pk: row.fence for row in due}
    with acting_for(tenant_id):
        rows = RemediationAction.objects.select_for_update().filter(pk__in=fences, next_check_at__lte=Now())
        out = [row for row in rows.order_by("id") if row.fence == fences[row.pk] and row.state in _LOOKED_UP]
        for row in out:
            if row.pk in refusals:
                _note_refusal(row, refusals[row.pk])
        _record(out, answers)
        settle_investigations_of([row for row in out if row.state not in OPEN_STATES])
    return len(due)


def _due(tenant_id: UUID) -> list[RemediationAction]:
    with acting_for(tenant_id):
        rows = RemediationAction.objects.filter(state__in=_LOOKED_UP, next_check_at__lte=Now())
        return list(rows.select_related("device").order_by("next_check_at")[:BATCH])


def _request(action: RemediationAction) -> ActionRequest:
    return ActionRequest(
        action_id=action.pk,
        type=action.type,
        machine_id=action.device.machine_id if action.device else "",
        parameters=action.parameters,
        comment=action.reason,
        sent_at=action.sent_at,
        remote_id=action.remote_id if action.state == State.ACCEPTED else "",
        findings=action.findings,
        undoes=action.undoes_id,
    )


def _is_to_stop(action: RemediationAction) -> bool:
    return action.state == State.ACCEPTED and action.cancel_asked_at is not None


def _ask_to_stop(requests: Sequence[ActionRequest], connector: Connector) -> dict[UUID, str]:
    """Ask the vendor to stop these actions; return its words where it says no. What was in doubt is asked again."""
    refusals = {}
    for request in requests:
        try:
            connector.cancel(request)
        except NotSent as error:
            logger.info("Action %s could not be asked to stop yet: %s", request.action_id, error)
        except Refused as error:
            refusals[request.action_id] = str(error)
        except ConnectorError as error:
            logger.warning("Whether action %s was asked to stop is not known: %s", request.action_id, error)
    return refusals


def _note_refusal(action: RemediationAction, words: str) -> None:
    """Note that the vendor does not stop it: it runs to its end, and somebody may ask again."""
    detail = _("It was not stopped: %(words)s") % {"words": words}
    RemediationAction.objects.filter(pk=action.pk).update(cancel_asked_at=None, detail=detail)
    record(
        action.tenant_id,
        "action.stop_refused",
        object_type="remediation action",
        object_id=action.pk,
        actor=SYSTEM,
        data={"type": action.type, "target": action.target, "reason": words, "remote_id": action.remote_id},
    )


def _record(out: Sequence[RemediationAction], answers: LookUp) -> None:
    """Take each locked action where the answers send it; what they send nowhere yet is looked at again later."""
    now = database_now()
    overdue = {row.pk for row in out if row.state == State.ACCEPTED and _is_past(row.accepted_at, ACCEPTED_LIMIT, now)}
    move_all([_adopted(row, answers.found[row.pk]) for row in out if _is_found_in_doubt(row, answers)], actor=SYSTEM)
    with_vendor = [row for row in out if row.state == State.ACCEPTED]
    in_doubt = [row for row in out if row.state == State.UNKNOWN]
    unanswered = [row for row in in_doubt if row.pk in answers.unanswered]
    absent = [row for row in in_doubt if row.pk not in answers.unanswered]
    steps = {row.pk: _after_acceptance(row, answers, row.pk in overdue) for row in with_vendor}
    steps |= {row.pk: _after_no_answer(row, _is_past(row.unknown_since, UNKNOWN_LIMIT, now)) for row in unanswered}
    steps |= {row.pk: _after_absence(row) for row in absent}
    move_all([step for step in steps.values() if step is not None], actor=SYSTEM)
    still_out = [row.pk for row in with_vendor if steps[row.pk] is None]
    _check_again([key for key in still_out if key not in answers.unanswered], _next_poll())
    unasked = [key for key in still_out if key in answers.unanswered]
    unasked += [row.pk for row in unanswered if steps[row.pk] is None]
    _check_again(unasked, _in(settings.ACTION_POLL_SECONDS))
    once = [row.pk for row in absent if steps[row.pk] is None]
    _check_again(once, _in(settings.ACTION_QUIET_SECONDS), absent_count=1)


def _is_past(moment: Any, limit: timedelta, now: Any) -> bool:
    return moment is not None and moment <= now - limit


def _is_found_in_doubt(action: RemediationAction, answers: LookUp) -> bool:
    return action.state == State.UNKNOWN and action.pk in answers.found


def _adopted(action: RemediationAction, receipt: Receipt) -> Step:
    words = _("Found at the vendor: it had been accepted.")
    changes = accepted_by(receipt, findings=action.findings)
    return Step(action, State.ACCEPTED, words, changes, {"remote_id": receipt.remote_id[:200]})


def _after_acceptance(action: RemediationAction, answers: LookUp, is_overdue: bool) -> Step | None:
    receipt = answers.found.get(action.pk)
    end = ENDS.get(receipt.state) if receipt else None
    if receipt is not None and end is not None:
        read = {"findings": dict(receipt.data)} if receipt.data is not None and action.findings is None else {}
        return Step(action, end, receipt.detail, read, {"detail": receipt.detail})
    if is_overdue and action.pk not in answers.unanswered:
        return _step(action, State.TIMED_OUT, _("The device did not answer for three days."))
    return None


def _after_absence(action: RemediationAction) -> Step | None:
    """Absent once may be the vendor's slowness; absent twice, a quiet period apart, is an answer."""
    if action.absent_count == 0:
        return None
    if action.error_code:
        words = _("The device was busy with the same kind of action, asked for by somebody else; nothing was sent.")
        return _step(action, State.FAILED, words)
    if action.kind.repeat_is_harmless:
        words = _("Looked for twice at the vendor and not there: it was never accepted, so it is sent again.")
        return _step(action, State.APPROVED, words, unknown_since=None)
    words = _("Not found at the vendor, and doing it twice would do harm: please look yourself.")
    return _step(action, State.NEEDS_ATTENTION, words)


def _after_no_answer(action: RemediationAction, is_overdue: bool) -> Step | None:
    words = _("The vendor could not be asked for 15 minutes: please look yourself.")
    return _step(action, State.NEEDS_ATTENTION, words) if is_overdue else None


def _step(action: RemediationAction, to: State, words: str, **changes: Any) -> Step:
    return Step(action, to, words, {"detail": words, **changes})


def _check_again(action_ids: Collection[UUID], at: Any, **changes: Any) -> None:
    if action_ids:
        RemediationAction.objects.filter(pk__in=action_ids).update(next_check_at=at, **changes)


def _in(seconds: float) -> Any:
    return Now() + timedelta(seconds=seconds)


def _next_poll() -> Any:
    """Ask again after as long as it has been out already, within bounds: new actions often, old ones seldom."""
    waited = Greatest(Now() - F("accepted_at"), timedelta(seconds=settings.ACTION_POLL_SECONDS))
    return Now() + Least(waited, timedelta(seconds=LONGEST_POLL_SECONDS))
