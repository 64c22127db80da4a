"""The only writers of an action's state: `move()` and `move_all()` for locked rows, `claim()` for the next to send."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Func, JSONField, TextField, Value
from django.db.models.functions import Cast, Now
from django.utils.translation import gettext as _

from portal.access.roles import Capability, roles_with
from portal.audit.recording import SYSTEM, ActorStamp, record
from portal.tenancy.scope import acting_for
from remediation.actions import approvals
from remediation.actions.exceptions import IllegalMove, LostClaim
from remediation.actions.models import RemediationAction
from remediation.actions.states import MOVES, OPEN_STATES, State
from remediation.catalogue import CATALOGUE
from remediation.safeguards import caps, freezes

FREE: Final = [name for name, kind in CATALOGUE.items() if kind.is_free]
"""The types that whoever asked for them gets, as long as they may still ask."""


def lock(action_id: UUID) -> RemediationAction:
    """Return the action's row, locked until the transaction ends. Raises RemediationAction.DoesNotExist."""
    return RemediationAction.objects.select_for_update().get(pk=action_id)


@dataclass(frozen=True, slots=True)
class Step:
    """One locked action on its way to a state. `changes` are other columns that change with it.

    Steps of one kind have the same `changes`; `texts` are columns whose text is each action's own.
    """

    action: RemediationAction
    to: State
    reason: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def move(
    action: RemediationAction,
    to: State,
    *,
    actor: ActorStamp,
    reason: str = "",
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Take a locked action one step and write its history in the same transaction.

    `changes` are other columns that change with the step. Raises IllegalMove.
    """
    move_all([Step(action, to, reason, changes or {})], actor=actor)


def move_all(steps: Sequence[Step], *, actor: ActorStamp) -> None:
    """Take many locked actions one step each, in one statement for those that change alike; raises IllegalMove."""
    for step in steps:
        _require_move(State(step.action.state), step.to)
    for group in _grouped(steps):
        _write(group)
    for step in steps:
        before = State(step.action.state)
        step.action.state = step.to
        for name, value in {**step.changes, **step.texts}.items():
            setattr(step.action, name, value)
        note_step(step.action, before=before, actor=actor, reason=step.reason)


def _require_move(before: State, to: State) -> None:
    if to not in MOVES.get(before, frozenset()):
        raise IllegalMove(
            _("This action is “%(before)s” and cannot become “%(after)s”. Reload it to see what happened meanwhile.")
            % {"before": before.label, "after": to.label}
        )


def _grouped(steps: Sequence[Step]) -> list[list[Step]]:
    """Put together the steps that one statement can take."""
    groups: list[tuple[object, list[Step]]] = []
    for step in steps:
        kind = (step.to, step.changes, step.texts.keys())
        group = next((found for known, found in groups if known == kind), None)
        if group is None:
            groups.append((kind, [step]))
        else:
            group.append(step)
    return [group for _kind, group in groups]


def _write(steps: Sequence[Step]) -> None:
    first = steps[0]
    written = {"state": first.to, "changed_at": Now(), **first.changes}
    if first.to not in OPEN_STATES:
        written["ended_at"] = Now()
    for name in first.texts:
        written[name] = TextOfRow({str(step.action.pk): step.texts[name] for step in steps})
    RemediationAction.objects.filter(pk__in=[step.action.pk for step in steps]).update(**written)


class TextOfRow(Func):
    """SQL for a text that differs from row to row: looked up by the row's id in a table given with the statement."""

    template, arg_joiner, output_field = "(%(expressions)s)", " ->> ", TextField()

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__(Value(dict(texts), output_field=JSONField()), Cast("pk", TextField()))


def note_step(action: RemediationAction, *, before: State | None, actor: ActorStamp, reason: str) -> None:
    """Record one step of an action's life; `before` is None at its birth."""
    record(
        action.tenant_id,
        f"action.{action.state}" if before else "action.created",
        object_type="remediation action",
        object_id=action.pk,
        actor=actor,
        data={
            "type": action.type,
            "target": action.target,
            "before": before.value if before else None,
            "after": State(action.state).value,
            "reason": reason,
            "fence": action.fence,
            "remote_id": action.remote_id,
        },
    )


_TAKE_TURN: Final = f"SELECT {freezes.SHARED_LOCK}, pg_advisory_xact_lock(hashtextextended(%s, 0))"

# Everything that must hold at the moment of sending is inside this one statement, so nothing can change between the
# check and the claim. A type whose hour is full is passed over and keeps no other waiting; what is taken is counted,
# and not taken if the count is full after all. On one device an action waits for those of its conflict group that are
# out, and never overtakes an older one: isolate, then release must not end isolated. Scalar sub-selects, not NOT
# EXISTS: the planner then keeps walking the index of rows to send. OFFSET 0 keeps it from asking for cap and count
# wherever they are used. `place` is each one's place among those of its type in what is locked, as if they were taken
# one after the other.
_CLAIM: Final = f"""
WITH frozen AS MATERIALIZED ({freezes.IN_FORCE}), due AS (
    SELECT a.id, a.tenant_id, a.type, a.priority, a.not_before, a.requested_by_id, a.parameters_sha256,
        hour.cap, hour.used
    FROM actions_remediationaction a
    CROSS JOIN LATERAL (SELECT {caps.CAP} AS cap, {caps.USED} AS used OFFSET 0) hour
    WHERE a.tenant_id = %(tenant)s AND a.state = 'approved' AND a.type = ANY (%(types)s::text[])
      AND a.not_before <= now() AND a.execute_before > now()
      AND (SELECT t.is_active FROM tenancy_tenant t WHERE t.id = %(tenant)s)
      AND {freezes.COUNT} = 0
      AND (SELECT count(*) FROM actions_remediationaction o
           WHERE o.tenant_id = a.tenant_id AND o.device_id = a.device_id AND o.conflict_group = a.conflict_group
             AND o.conflict_group <> ''
             AND (o.state IN ('sending', 'accepted', 'unknown') OR (o.state = 'approved' AND o.id < a.id))) = 0
      AND (a.requested_by_id IS NULL OR (
           SELECT count(*) FROM roles_of_person(a.requested_by_id) r WHERE r.tenant_id = a.tenant_id
             AND r.role = ANY (CASE WHEN a.required_approvals = 0 AND a.type <> ALL (%(free)s::text[])
                 THEN %(deciders)s::text[] ELSE %(requesters)s::text[] END)) > 0)
      AND {approvals.APPROVED}
      AND (coalesce(hour.used < hour.cap, true) OR {approvals.PASSES_LIMIT})
    ORDER BY a.priority, a.not_before, a.id
    LIMIT %(most)s FOR UPDATE OF a SKIP LOCKED
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY type ORDER BY priority, not_before, id) AS place FROM due
), taken AS (
    SELECT * FROM placed a WHERE true
      AND (coalesce(a.used + a.place <= a.cap, true) OR {approvals.PASSES_LIMIT})
), counted AS ({caps.COUNT_UP})
UPDATE actions_remediationaction a
SET state = 'sending', fence = a.fence + 1, attempt = a.attempt + 1, owner = %(owner)s, sent_at = now(),
    lease_until = now() + make_interval(secs => %(lease)s), changed_at = now(), absent_count = 0, error_code = ''
FROM taken WHERE a.id = taken.id AND a.tenant_id = taken.tenant_id AND a.state = 'approved'
  AND (taken.cap IS NULL OR taken.type IN (SELECT action_type FROM counted))
RETURNING a.priority, a.not_before, a.id, a.fence, a.type, a.parameters, a.parameters_sha256, a.reason, a.sent_at,
    a.target, a.findings, a.undoes_id,
    (SELECT d.machine_id FROM investigations_device d WHERE d.tenant_id = a.tenant_id AND d.id = a.device_id)
"""  # noqa: S608 our own constants


@dataclass(frozen=True, slots=True)
class Claim:
    """An action taken by one worker. `fence` is the proof of it: a later claim has a higher one.

    `begun_at` is when claiming it began, by the worker's own monotonic clock: its lease began no sooner.
    """

    action_id: UUID
    tenant_id: UUID
    fence: int
    type: str
    machine_id: str
    parameters: dict[str, Any]
    parameters_sha256: str
    reason: str
    sent_at: datetime
    findings: dict[str, Any] | None
    undoes: UUID | None
    begun_at: float


def claim(tenant_id: UUID, *, owner: str, types: Collection[str]) -> Claim | None:
    """Take the tenant's next action to send, or return None, as `claim_batch` does."""
    return next(iter(claim_batch(tenant_id, owner=owner, types=types, most=1)), None)


def claim_batch(tenant_id: UUID, *, owner: str, types: Collection[str], most: int) -> list[Claim]:
    """Take the tenant's next actions to send, `most` at most, each under a fence and a lease of its own.

    One short transaction, committed before any send. Claims of one tenant take turns, and none goes on beside a freeze
    that is being made: the locks are a statement of their own, so that the claim's snapshot comes after them. The
    shared one comes first: who holds a tenant's turn never waits for a freeze.
    """
    begun_at = time.monotonic()
    with acting_for(tenant_id), connection.cursor() as cursor:
        cursor.execute(_TAKE_TURN, [f"claim:{tenant_id}"])
        cursor.execute(
            _CLAIM,
            {
                "tenant": tenant_id,
                "types": sorted(types),
                "most": most,
                "owner": owner,
                "lease": settings.ACTION_LEASE_SECONDS,
                **approvals.sql_parameters(),
                "requesters": roles_with(Capability.REQUEST_ACTION),
                "free": FREE,
                "routes": freezes.ROUTES,
                "caps": caps.DEFAULTS,
            },
        )
        return [_claimed(tenant_id, begun_at, *row[2:]) for row in sorted(cursor.fetchall(), key=lambda row: row[:3])]


def _claimed(tenant_id: UUID, begun_at: float, *row: Any) -> Claim:
    """Return what was claimed, and put it on record."""
    action_id, fence, type_name, parameters, digest, reason, sent_at, target, findings, undoes, machine_id = row
    record(
        tenant_id,
        "action.sending",
        object_type="remediation action",
        object_id=action_id,
        actor=SYSTEM,
        data={"type": type_name, "target": target, "before": "approved", "after": "sending", "fence": fence},
    )
    return Claim(
        action_id,
        tenant_id,
        fence,
        type_name,
        machine_id or "",
        _as_dict(parameters),
        digest,
        reason,
        sent_at,
        None if findings is None else _as_dict(findings),
        undoes,
        begun_at,
    )


def lock_claimed(claimed: Claim) -> RemediationAction:
    """Return the claimed action's row, locked. Raises LostClaim if another worker or the sweep has taken it over."""
    found = lock_still_claimed([claimed])
    if not found:
        raise LostClaim(f"action {claimed.action_id} is no longer claimed under fence {claimed.fence}")
    return found[claimed.action_id]


def lock_still_claimed(claims: Sequence[Claim]) -> dict[UUID, RemediationAction]:
    """Return, by id and locked in that order, the rows of those claims that nobody else has taken over."""
    fences = {claimed.action_id: claimed.fence for claimed in claims}
    rows = RemediationAction.objects.select_for_update().filter(pk__in=fences).order_by("pk")
    return {row.pk: row for row in rows if row.state == State.SENDING and row.fence == fences[row.pk]}


def _as_dict(parameters: Any) -> dict[str, Any]:
    """A raw cursor of Django leaves jsonb as text."""
    return dict(json.loads(parameters) if isinstance(parameters, str) else parameters)
