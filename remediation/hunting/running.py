"""What workers do with hunts: claim one, ask Microsoft outside any transaction, record what came.

A query acts on nothing, so one that ended in doubt is simply asked again, at most three times in all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from connectors.protocol import HuntingResult, NotSent, OutcomeUnknown, Refused, Throttled
from connectors.storable import as_storable
from portal.access.actors import actor_for
from portal.access.roles import Capability
from portal.audit.recording import SYSTEM, record
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.draining import way_out_of
from remediation.hunting import clusters
from remediation.hunting.kql import MOST_ROWS
from remediation.hunting.models import Hunt
from remediation.hunting.services import no_connection
from remediation.hunting.states import HuntState

LEASE_SECONDS: Final = settings.HUNTING_DEADLINE_SECONDS + 60
"""Longer than a worker may take over one (`tasks.hunt`): only one that died still holds it then."""

MOST_FAILURES: Final = 3
AGAIN_SECONDS: Final = 10.0
RETRY_AFTER_SECONDS: Final = 30.0
"""How long to wait when Microsoft asks for patience without saying how long."""

PATIENCE: Final = timedelta(days=1)
"""How long a hunt waits for its turn under Microsoft's quota before it is given up."""

MOST_CHARACTERS: Final = 4_000_000
"""The most that is kept of one answer, as JSON: rows beyond it are left out like those beyond the thousandth."""

KEPT_FOR: Final = timedelta(days=30)
PURGED_AT_ONCE: Final = 500

_DUE: Final = Q(state=HuntState.QUEUED, not_before__lte=Now()) | Q(state=HuntState.RUNNING, lease_until__lte=Now())

_IN_TURN: Final = (F("evidence_id").asc(nulls_last=True), "id")
"""Look-ups of automation go first, those of the oldest evidence before others; then what people asked, by age."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A hunt that is this worker's until its lease is over."""

    hunt_id: UUID
    tenant_id: UUID
    fence: int
    query: str
    timespan: str
    most_rows: int


def run_next(tenant_id: UUID) -> bool:
    """Ask the tenant's next due hunt once, and record what came of it; return whether there was one."""
    claimed = _claim(tenant_id)
    if claimed is None:
        return False
    way = way_out_of(tenant_id, deadline_seconds=settings.HUNTING_DEADLINE_SECONDS)
    if way.connector is None:
        _not_usable(claimed, way.trouble)
        return True
    try:
        found = way.connector.hunt(claimed.query, timespan=claimed.timespan, most_rows=claimed.most_rows)
    except NotSent as error:
        _put_off(claimed, error)
    except Refused as error:
        _fail(claimed, str(error), error.code)
    except OutcomeUnknown as error:
        _try_again(claimed, str(error))
    else:
        _finish(claimed, found)
    return True


def has_due(tenant_id: UUID) -> bool:
    """Return whether the tenant has another hunt that could run now."""
    with acting_for(tenant_id):
        return Hunt.objects.filter(_DUE).exists()


def purge(tenant_id: UUID) -> None:
    """Delete the tenant's hunts of more than 30 days ago, some at a time; the next sweep takes the next ones."""
    with acting_for(tenant_id):
        old = Hunt.objects.filter(created_at__lte=Now() - KEPT_FOR).order_by("created_at").values("pk")
        Hunt.objects.filter(pk__in=old[:PURGED_AT_ONCE]).delete()


def _claim(tenant_id: UUID) -> Claim | None:
    with acting_for(tenant_id):
        due = Hunt.objects.defer("rows").select_for_update(skip_locked=True).filter(_DUE).order_by(*_IN_TURN)
        while (hunt := due.first()) is not None:
            if hunt.state == HuntState.RUNNING:
                hunt.failures += 1
            if obstacle := _obstacle(hunt):
                _end(hunt, HuntState.FAILED, error=obstacle, error_code="NotRun", failures=hunt.failures)
            else:
                return _take(hunt)
    return None


def _take(hunt: Hunt) -> Claim:
    _write(
        hunt,
        state=HuntState.RUNNING,
        fence=F("fence") + 1,
        failures=hunt.failures,
        started_at=Now(),
        lease_until=Now() + timedelta(seconds=LEASE_SECONDS),
    )
    most_rows = clusters.MOST_MESSAGES + 1 if hunt.evidence_id else MOST_ROWS
    return Claim(hunt.pk, hunt.tenant_id, hunt.fence + 1, hunt.query, hunt.timespan, most_rows)


def _obstacle(hunt: Hunt) -> str:
    """Say why the hunt is not to run after all, "" where it is: asking and running are two moments."""
    if hunt.failures >= MOST_FAILURES:
        return _("It was begun three times and came to no end. Narrow the query or its time span, and run it again.")
    if not hunt.tenant.is_active:
        return _("This tenant is switched off, so nothing was asked.")
    asker = hunt.asked_by
    if asker is not None and not actor_for(asker, by_key=False).may(Capability.REQUEST_ACTION, hunt.tenant_id):
        return _("%(person)s may no longer hunt in this tenant, so nothing was asked.") % {"person": asker}
    return ""


def _not_usable(claimed: Claim, trouble: str) -> None:
    """End a hunt of a tenant whose connection cannot be used, or that has none."""
    if trouble:
        words = _("The tenant's connection cannot be used: %(error)s Correct it under Connections, then run it again.")
        _fail(claimed, words % {"error": trouble}, "ConnectionUnusable")
    else:
        _fail(claimed, no_connection(), "NoConnection")


def _finish(claimed: Claim, found: HuntingResult) -> None:
    with acting_for(claimed.tenant_id):
        hunt = _held(claimed)
        if hunt is None:
            return
        columns = [[as_storable(name), as_storable(kind)] for name, kind in found.columns]
        _end(hunt, HuntState.DONE, columns=columns, rows=_kept(found), row_count=found.row_count)
        if hunt.evidence_id:
            clusters.keep_recipients(hunt, hunt.evidence_id, found)


def _fail(claimed: Claim, words: str, code: str) -> None:
    with acting_for(claimed.tenant_id):
        hunt = _held(claimed)
        if hunt is not None:
            _end(hunt, HuntState.FAILED, error=words, error_code=code[:100])


def _try_again(claimed: Claim, words: str, code: str = "", wait_seconds: float = AGAIN_SECONDS) -> None:
    with acting_for(claimed.tenant_id):
        hunt = _held(claimed)
        if hunt is None:
            return
        failures = hunt.failures + 1
        if failures >= MOST_FAILURES:
            advice = _("It was tried three times. Narrow the query or its time span, and run it again.")
            _end(hunt, HuntState.FAILED, error=f"{words} {advice}", error_code=code[:100], failures=failures)
        else:
            _queue(hunt, words, code, wait_seconds, failures=failures)


def _put_off(claimed: Claim, error: NotSent) -> None:
    """Wait as long as Microsoft says; what is no matter of quota counts as an attempt."""
    wait_seconds = error.retry_after if error.retry_after is not None else RETRY_AFTER_SECONDS
    if not isinstance(error, Throttled) and error.code != "QuotaSpent":
        _try_again(claimed, str(error), error.code, max(wait_seconds, AGAIN_SECONDS))
        return
    with acting_for(claimed.tenant_id):
        hunt = _held(claimed)
        if hunt is None:
            return
        if hunt.created_at + PATIENCE <= database_now():
            words = _("Microsoft's quota for hunting left no room for it for a day. Run it again later.")
            _end(hunt, HuntState.FAILED, error=f"{error} {words}", error_code=error.code[:100])
        else:
            _queue(hunt, str(error), error.code, wait_seconds, failures=hunt.failures)


def _held(claimed: Claim) -> Hunt | None:
    """Return the hunt, locked, unless somebody else has it by now: then this worker is a ghost and writes nothing."""
    held = (
        Hunt.objects.defer("rows")
        .select_for_update()
        .filter(pk=claimed.hunt_id, fence=claimed.fence, state=HuntState.RUNNING)
    )
    return held.first()


def _queue(hunt: Hunt, words: str, code: str, wait_seconds: float, *, failures: int) -> None:
    _write(
        hunt,
        state=HuntState.QUEUED,
        not_before=Now() + timedelta(seconds=wait_seconds),
        lease_until=None,
        failures=failures,
        error=words,
        error_code=code[:100],
    )


def _end(hunt: Hunt, state: HuntState, *, error: str = "", error_code: str = "", **changes: Any) -> None:
    _write(hunt, state=state, ended_at=Now(), lease_until=None, error=error, error_code=error_code, **changes)
    record(
        hunt.tenant_id,
        "hunt.ended",
        object_type="hunt",
        object_id=hunt.pk,
        actor=SYSTEM,
        data={"state": str(state), "rows": changes.get("row_count"), "reason": error},
    )
    if hunt.evidence_id and state == HuntState.FAILED:
        clusters.note_failure(hunt.tenant_id, hunt.evidence_id, error)


def _write(hunt: Hunt, **changes: Any) -> None:
    Hunt.objects.filter(pk=hunt.pk).update(**changes)


def _kept(found: HuntingResult) -> list[Mapping[str, Any]]:
    """Return the first rows, as PostgreSQL can hold them, up to the most that is kept of one answer."""
    kept: list[Mapping[str, Any]] = []
    room = MOST_CHARACTERS
    for row in found.rows[:MOST_ROWS]:
        storable = as_storable(row)
        room -= len(json.dumps(storable))
        if room < 0:
            break
        kept.append(storable)
    return kept
