"""What workers do with actions: send one that was claimed, find out what became of those out there, tidy up.

Every database step opens its own short scope; no call to a vendor happens inside one. A time-out is never taken for a
no: the action becomes `unknown`, and only a look-up after the quiet period decides.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from connectors.protocol import (
    ActionRequest,
    AlreadyInProgress,
    Connector,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    Throttled,
)
from portal.audit.recording import SYSTEM
from portal.tenancy.scope import acting_for
from remediation.actions.binding import fingerprint
from remediation.actions.exceptions import LostClaim
from remediation.actions.models import RemediationAction
from remediation.actions.outcomes import settle_investigations_of
from remediation.actions.states import State
from remediation.actions.transitions import Claim, lock_claimed, move
from remediation.safeguards.caps import give_back
from remediation.safeguards.freezes import is_frozen

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30.0
"""How long to wait when a vendor asks for patience without saying how long."""


class ClaimTooOld(NotSent):
    """The claim is a quarter of its lease old and nothing has been sent: somebody else should take it anew."""


class FrozenMeanwhile(NotSent):
    """Sending was frozen after the claim and before the first byte: the action waits for the freeze to be lifted."""


def send(claimed: Claim, connector: Connector) -> float | None:
    """Ask the vendor once to carry out a claimed action, and record the answer under the claim's fence.

    Returns None, or the seconds the whole tenant should wait because the vendor is throttling.
    """
    guard = partial(_guard, claimed, time.monotonic())
    if (
        fingerprint(claimed.tenant_id, claimed.type, claimed.machine_id, claimed.parameters)
        != claimed.parameters_sha256
    ):
        _record(claimed, State.FAILED, _("What it does was changed after it was decided; it was not sent."))
        return None
    try:
        receipt = connector.send(_request(claimed), before_sending=guard)
    except NotSent as error:
        wait = error.retry_after if error.retry_after is not None else RETRY_AFTER_SECONDS
        _record(claimed, State.APPROVED, str(error), _later(wait, error.code))
        return wait if isinstance(error, Throttled) else None
    except AlreadyInProgress as error:
        _record(claimed, State.UNKNOWN, str(error), _quiet("ActiveRequestAlreadyExists"))
    except Refused as error:
        _record(claimed, State.FAILED, str(error), {"error_code": error.code[:100]})
    except OutcomeUnknown as error:
        _record(claimed, State.UNKNOWN, str(error), _quiet(""))
    else:
        _record(claimed, State.ACCEPTED, receipt.detail, accepted_by(receipt))
    return None


def finish_here(claimed: Claim, carry_out: Callable[[], None]) -> None:
    """Carry out an action that is Quell's own, in one transaction with its record; raises what `carry_out` does."""
    with acting_for(claimed.tenant_id):
        action = lock_claimed(claimed)
        carry_out()
        move(action, State.ACCEPTED, actor=SYSTEM, changes={"accepted_at": Now(), "lease_until": None})
        move(action, State.SUCCEEDED, actor=SYSTEM)
        settle_investigations_of([action])


def accepted_by(receipt: Receipt) -> dict[str, Any]:
    """Return what changes on an action when the vendor has it."""
    return {
        "remote_id": receipt.remote_id[:200],
        "accepted_at": Now(),
        "unknown_since": None,
        "absent_count": 0,
        "error_code": "",
        "lease_until": None,
        "next_check_at": Now() + timedelta(seconds=settings.ACTION_POLL_SECONDS),
    }


def _guard(claimed: Claim, started: float) -> None:
    """Ask the last questions before the socket; the age comes last, for the other one takes time too."""
    if is_frozen(claimed.tenant_id, claimed.type):
        raise FrozenMeanwhile(_("Sending was frozen before it went out; it waits."), code="Frozen", retry_after=0)
    if time.monotonic() - started > settings.ACTION_LEASE_SECONDS / 4:
        raise ClaimTooOld(_("Preparing to send took too long; it will be sent later."), retry_after=0)


def _quiet(code: str) -> dict[str, Any]:
    return {
        "error_code": code,
        "unknown_since": Now(),
        "absent_count": 0,
        "lease_until": None,
        "next_check_at": Now() + timedelta(seconds=settings.ACTION_QUIET_SECONDS),
    }


def _later(wait_seconds: float, code: str) -> dict[str, Any]:
    return {"not_before": Now() + timedelta(seconds=wait_seconds), "error_code": code[:100], "lease_until": None}


def _request(claimed: Claim) -> ActionRequest:
    return ActionRequest(
        action_id=claimed.action_id,
        type=claimed.type,
        machine_id=claimed.machine_id,
        parameters=claimed.parameters,
        comment=claimed.reason,
        sent_at=claimed.sent_at,
    )


def _record(claimed: Claim, to: State, detail: str, changes: Mapping[str, Any] | None = None) -> None:
    """Write the answer, unless the claim was lost meanwhile: then this worker is a ghost and touches nothing."""
    try:
        with acting_for(claimed.tenant_id):
            action = lock_claimed(claimed)
            move(action, to, actor=SYSTEM, reason=detail, changes={"detail": detail, **(changes or {})})
            if to == State.APPROVED:
                give_back(claimed.tenant_id, claimed.type, claimed.sent_at)
            if to == State.FAILED:
                settle_investigations_of([action])
    except LostClaim as lost:
        logger.warning("An answer came too late to count: %s", lost)


def tidy(tenant_id: UUID) -> None:
    """End what has waited too long: leases become `unknown`, unanswered and unsent actions expire."""

    with acting_for(tenant_id):
        late = (
            RemediationAction.objects.select_for_update(skip_locked=True)
            .filter(
                Q(state=State.SENDING, lease_until__lte=Now())
                | Q(state=State.PENDING_APPROVAL, approve_before__lte=Now())
                | Q(state=State.APPROVED, execute_before__lte=Now())
            )
            .order_by("id")[:500]
        )
        ended = []
        for action in late:
            if action.state == State.SENDING:
                words = _("The worker that was sending it stopped; it may or may not have been sent.")
                move(action, State.UNKNOWN, actor=SYSTEM, reason=words, changes={"detail": words, **_quiet("")})
            else:
                words = (
                    _("Nobody decided in time; this counts as a rejection.")
                    if action.state == State.PENDING_APPROVAL
                    else _("It could not be sent in time, so its approval lapsed.")
                )
                move(action, State.EXPIRED, actor=SYSTEM, reason=words, changes={"detail": words})
                ended.append(action)
        settle_investigations_of(ended)
