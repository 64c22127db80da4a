"""What workers do with actions: send those that were claimed, record what came back, tidy up.

Every database step opens its own short scope; no call to a vendor happens inside one. A time-out is never taken for a
no: the action becomes `unknown`, and only a look-up after the quiet period decides.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from threading import Lock
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, DataError, connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from connectors.circuit import TROUBLES, is_trouble
from connectors.protocol import (
    ActionRequest,
    AlreadyInProgress,
    Connector,
    ConnectorError,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
)
from portal.audit.recording import SYSTEM
from portal.tenancy.scope import acting_for
from remediation.actions.binding import fingerprint
from remediation.actions.exceptions import LostClaim
from remediation.actions.models import RemediationAction
from remediation.actions.outcomes import settle_investigations_of
from remediation.actions.states import OPEN_STATES, State
from remediation.actions.transitions import Claim, Step, lock_claimed, lock_still_claimed, move, move_all
from remediation.safeguards.caps import give_back
from remediation.safeguards.freezes import held_types

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 30.0
"""How long to wait when a vendor asks for patience without saying how long."""

SENDERS: Final = 4
"""How many calls of one tenant's turn are under way at a time: a slow one keeps no other waiting."""

RECORD_SECONDS: Final = 0.4
"""What has been answered is recorded at least so often, whatever still hangs; and freezes are read again."""

READ_FREEZES_SECONDS: Final = 0.5
"""A freeze that was made so long ago is known to every sender right before it writes to its socket."""

ACCEPTED_LIMIT: Final = timedelta(days=3)
"""Microsoft keeps trying an offline device for three days, then gives up (Defender: response actions).

So long a person has, too, to say what came of what is done in the Defender portal.
"""

ENDS: Final = {
    RemoteState.SUCCEEDED: State.SUCCEEDED,
    RemoteState.FAILED: State.FAILED,
    RemoteState.TIMED_OUT: State.TIMED_OUT,
    RemoteState.CANCELLED: State.CANCELLED,
}
"""How an action ends here that has ended at the vendor."""


class ClaimTooOld(NotSent):
    """The claim is a quarter of its lease old and nothing has been sent: somebody else should take it anew."""


class FrozenMeanwhile(NotSent):
    """Sending was frozen after the claim and before the first byte: the action waits for the freeze to be lifted."""


@dataclass(slots=True)
class FreezeWatch:
    """What is frozen for a tenant as of a moment ago; many senders may ask at once."""

    tenant_id: UUID
    _read_at: float = -1.0
    _held: frozenset[str] = frozenset()
    _lock: Lock = field(default_factory=Lock)

    def look(self, *, older_than: float = 0.0) -> frozenset[str]:
        """Return the types that are held back, read anew where the last reading is older than so many seconds."""
        with self._lock:
            now = time.monotonic()
            if now - self._read_at > older_than:
                self._held, self._read_at = held_types(self.tenant_id), now
            return self._held

    def guard(self, claimed: Claim) -> None:
        """Ask the last questions before the socket; the age comes last, for the other one takes time too."""
        if claimed.type in self.look(older_than=READ_FREEZES_SECONDS):
            raise FrozenMeanwhile(_("Sending was frozen before it went out; it waits."), code="Frozen", retry_after=0)
        if time.monotonic() - claimed.begun_at > settings.ACTION_LEASE_SECONDS / 4:
            raise ClaimTooOld(_("Preparing to send took too long; it will be sent later."), retry_after=0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back for a claimed action: the state it goes to, and from there its `end` if it has ended at once.

    `changes` and `texts` are as a `Step` has them; `error` is what the connector raised.
    """

    claimed: Claim
    to: State
    detail: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    end: State | None = None
    error: ConnectorError | None = None


def send(claimed: Claim, connector: Connector) -> Outcome:
    """Ask the vendor once to carry out a claimed action, record the answer under the claim's fence, and return it."""
    outcome = _ask(claimed, connector, FreezeWatch(claimed.tenant_id))
    record_all([outcome])
    return outcome


def send_all(claims: Sequence[Claim], connector: Connector) -> Iterator[list[Outcome]]:
    """Ask the vendor once for each of a tenant's claims, a few at a time.

    Yields every RECORD_SECONDS, or sooner, what has come back since and is recorded: it never waits for what has not.
    Raises DatabaseError, once all have been asked, where an answer could not be recorded; RuntimeError inside a
    transaction: senders could not see it.
    """
    if len(claims) == 1:
        yield [send(claims[0], connector)]
        return
    if connection.in_atomic_block:
        raise RuntimeError("Nothing is sent inside a database transaction; commit the claims first.")
    watch = FreezeWatch(claims[0].tenant_id)
    broken: list[BaseException] = []
    unanswered = 0
    with ThreadPoolExecutor(min(SENDERS, len(claims))) as senders:
        asked = {senders.submit(_ask_in_thread, claimed, connector, watch): claimed for claimed in claims}
        while asked:
            watch.look()
            done, _waiting = wait(asked, timeout=RECORD_SECONDS)
            broken += [error for answer in done if (error := answer.exception())]
            outcomes = [answer.result() for answer in done if answer.exception() is None]
            unanswered = unanswered + len(outcomes) if all(is_trouble(item.error) for item in outcomes) else 0
            if unanswered >= TROUBLES:
                called_off = [answer for answer in asked if answer.cancel()]
                outcomes += [_called_off(asked.pop(answer)) for answer in called_off]
            asked = {answer: claimed for answer, claimed in asked.items() if answer not in done}
            try:
                record_all(outcomes)
            except DatabaseError as unrecorded:
                broken.append(unrecorded)  # later answers are recorded all the same
            yield outcomes
    for error in broken:
        raise error  # its claim ends with its lease, and is looked up


def _called_off(claimed: Claim) -> Outcome:
    words = _("Calls before it were not answered, so it was not sent; it waits.")
    return Outcome(claimed, State.APPROVED, words, _later(0), error=NotSent(words, code="CalledOff"))


def _ask_in_thread(claimed: Claim, connector: Connector, watch: FreezeWatch) -> Outcome:
    try:
        return _ask(claimed, connector, watch)
    finally:
        connection.close()  # a thread has a connection to the database of its own where it asked it something


def _ask(claimed: Claim, connector: Connector, watch: FreezeWatch) -> Outcome:
    if (
        fingerprint(claimed.tenant_id, claimed.type, claimed.machine_id, claimed.parameters)
        != claimed.parameters_sha256
    ):
        return Outcome(claimed, State.FAILED, _("What it does was changed after it was decided; it was not sent."))
    try:
        request = _prepared(claimed, connector)
        receipt = connector.send(request, before_sending=partial(watch.guard, claimed))
    except NotSent as error:
        wait_seconds = error.retry_after if error.retry_after is not None else RETRY_AFTER_SECONDS
        return _said(claimed, State.APPROVED, error, _later(wait_seconds), error.code)
    except AlreadyInProgress as error:
        return _said(claimed, State.UNKNOWN, error, _quiet(), "ActiveRequestAlreadyExists")
    except Refused as error:
        return _said(claimed, State.FAILED, error, {}, error.code)
    except OutcomeUnknown as error:
        return _said(claimed, State.UNKNOWN, error, _quiet(), "")
    return Outcome(
        claimed,
        State.ACCEPTED,
        receipt.detail,
        changes=accepted_by(receipt, findings=claimed.findings),
        texts={"remote_id": receipt.remote_id[:200]},
        end=ENDS.get(receipt.state),
    )


def _prepared(claimed: Claim, connector: Connector) -> ActionRequest:
    """Return the request, with what has to be known of the state before: read once, and kept before anything is sent.

    Raises what `Connector.prepare` raises; where its outcome is unknown, nothing was sent for certain, nor for a claim
    that was lost meanwhile. Raises Refused where the database cannot hold what was read.
    """
    request = ActionRequest(
        action_id=claimed.action_id,
        type=claimed.type,
        machine_id=claimed.machine_id,
        parameters=claimed.parameters,
        comment=claimed.reason,
        sent_at=claimed.sent_at,
        findings=claimed.findings,
        undoes=claimed.undoes,
    )
    if claimed.findings is not None:
        return request
    try:
        findings = connector.prepare(request)
    except OutcomeUnknown as error:
        raise NotSent(str(error), code="ReadFailed") from error
    if findings is None:
        return request
    try:
        with acting_for(claimed.tenant_id):
            lock_claimed(claimed)
            RemediationAction.objects.filter(pk=claimed.action_id, findings__isnull=True).update(
                findings=dict(findings)
            )
    except LostClaim as error:
        raise NotSent(str(error), code="LostClaim") from error
    except DataError as error:
        words = _("What was read before sending cannot be stored, and undo would need it; nothing was sent.")
        raise Refused(words, code="Unstorable") from error
    return replace(request, findings=findings)


def _said(claimed: Claim, to: State, error: ConnectorError, changes: Mapping[str, Any], code: str) -> Outcome:
    return Outcome(claimed, to, str(error), changes=changes, texts={"error_code": code[:100]}, error=error)


def accepted_by(receipt: Receipt, *, findings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what changes on an action when the vendor has it, besides its id there; `findings` are those it has."""
    read = {"findings": dict(receipt.data)} if receipt.data is not None and findings is None else {}
    return {
        "accepted_at": Now(),
        "unknown_since": None,
        "absent_count": 0,
        "error_code": "",
        "lease_until": None,
        "next_check_at": Now() + timedelta(seconds=settings.ACTION_POLL_SECONDS),
        **read,
    }


def _quiet() -> dict[str, Any]:
    return {
        "unknown_since": Now(),
        "absent_count": 0,
        "lease_until": None,
        "next_check_at": Now() + timedelta(seconds=settings.ACTION_QUIET_SECONDS),
    }


def _later(wait_seconds: float) -> dict[str, Any]:
    return {"not_before": Now() + timedelta(seconds=wait_seconds), "lease_until": None}


def record_all(outcomes: Sequence[Outcome]) -> None:
    """Write what came back for claims of one tenant, together where that can be done, each under its own fence.

    Where a claim was lost meanwhile this worker is a ghost and touches nothing. Raises the first DatabaseError, after
    all have been tried: what could not be stored stays claimed until its lease ends, and is looked up.
    """
    try:
        if outcomes:
            _record_together(outcomes)
    except DatabaseError:
        if len(outcomes) == 1:
            raise
        broken: list[DatabaseError] = []
        for outcome in outcomes:  # what one of them brought back must not keep the others from being known
            try:
                record_all([outcome])
            except DatabaseError as error:
                broken.append(error)
        if broken:
            raise broken[0] from None


def _record_together(outcomes: Sequence[Outcome]) -> None:
    with acting_for(outcomes[0].claimed.tenant_id):
        rows = lock_still_claimed([outcome.claimed for outcome in outcomes])
        kept = [(rows[outcome.claimed.action_id], outcome) for outcome in outcomes if outcome.claimed.action_id in rows]
        move_all([_step(row, outcome) for row, outcome in kept], actor=SYSTEM)
        ended = [Step(row, outcome.end, outcome.detail) for row, outcome in kept if outcome.end is not None]
        move_all(ended, actor=SYSTEM)
        unsent = Counter(
            (outcome.claimed.type, outcome.claimed.sent_at) for _row, outcome in kept if outcome.to == State.APPROVED
        )
        for (type_name, sent_at), count in sorted(unsent.items()):
            give_back(outcomes[0].claimed.tenant_id, type_name, sent_at, count)
        settle_investigations_of([row for row, _outcome in kept if row.state not in OPEN_STATES])
    for outcome in outcomes:
        if outcome.claimed.action_id not in rows:
            logger.warning("An answer came too late to count: action %s, %s", outcome.claimed.action_id, outcome.to)


def _step(row: RemediationAction, outcome: Outcome) -> Step:
    return Step(row, outcome.to, outcome.detail, outcome.changes, {"detail": outcome.detail, **outcome.texts})


def hand_over(claims: Sequence[Claim]) -> None:
    """Give claimed actions to people: nothing is called; they do it in the Defender portal and say what came of it."""
    words = _("A person has to do this in the Defender portal, then say here what came of it.")
    changes = {"accepted_at": Now(), "lease_until": None, "next_check_at": None}
    record_all([Outcome(claimed, State.ACCEPTED, words, changes) for claimed in claims])


def finish_here(claimed: Claim, carry_out: Callable[[], None]) -> None:
    """Carry out an action that is Quell's own, in one transaction with its record; raises what `carry_out` does."""
    with acting_for(claimed.tenant_id):
        action = lock_claimed(claimed)
        carry_out()
        move(action, State.ACCEPTED, actor=SYSTEM, changes={"accepted_at": Now(), "lease_until": None})
        move(action, State.SUCCEEDED, actor=SYSTEM)
        settle_investigations_of([action])


def tidy(tenant_id: UUID) -> None:
    """End what has waited too long: leases become `unknown`; what nobody decided, sent or answered in time, ends."""
    with acting_for(tenant_id):
        late = (
            RemediationAction.objects.select_for_update(skip_locked=True)
            .filter(
                Q(state=State.SENDING, lease_until__lte=Now())
                | Q(state=State.PENDING_APPROVAL, approve_before__lte=Now())
                | Q(state=State.APPROVED, execute_before__lte=Now())
                | Q(state=State.ACCEPTED, next_check_at=None, accepted_at__lte=Now() - ACCEPTED_LIMIT)
            )
            .order_by("id")[:500]
        )
        steps = [_too_late(action) for action in late]
        move_all(steps, actor=SYSTEM)
        settle_investigations_of([step.action for step in steps if step.to not in OPEN_STATES])


def _too_late(action: RemediationAction) -> Step:
    to, words = {
        State.SENDING: (
            State.UNKNOWN,
            _("The worker that was sending it stopped; it may or may not have been sent."),
        ),
        State.PENDING_APPROVAL: (State.EXPIRED, _("Nobody decided in time; this counts as a rejection.")),
        State.APPROVED: (State.EXPIRED, _("It could not be sent in time, so its approval lapsed.")),
        State.ACCEPTED: (State.TIMED_OUT, _("Nobody said within three days what came of it in the Defender portal.")),
    }[State(action.state)]
    return Step(action, to, words, {"detail": words, **(_quiet() if to == State.UNKNOWN else {})})
