"""The only two writers of an action's state: `move()` for one locked row, `claim()` for the next row to send."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from portal.access.roles import Capability, roles_with
from portal.audit.recording import SYSTEM, ActorStamp, record
from portal.tenancy.scope import acting_for
from remediation.actions import approvals
from remediation.actions.exceptions import IllegalMove, LostClaim
from remediation.actions.models import RemediationAction
from remediation.actions.states import MOVES, OPEN_STATES, State
from remediation.safeguards import caps, freezes


def lock(action_id: UUID) -> RemediationAction:
    """Return the action's row, locked until the transaction ends. Raises RemediationAction.DoesNotExist."""
    return RemediationAction.objects.select_for_update().get(pk=action_id)


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
    before = State(action.state)
    if to not in MOVES.get(before, frozenset()):
        raise IllegalMove(
            _("This action is “%(before)s” and cannot become “%(after)s”. Reload it to see what happened meanwhile.")
            % {"before": before.label, "after": to.label}
        )
    written = {"state": to, "changed_at": Now(), **(changes or {})}
    if to not in OPEN_STATES:
        written["ended_at"] = Now()
    RemediationAction.objects.filter(pk=action.pk).update(**written)
    action.state = to
    for name, value in (changes or {}).items():
        setattr(action, name, value)
    note_step(action, before=before, actor=actor, reason=reason)


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


@dataclass(frozen=True, slots=True)
class Claim:
    """An action taken by one worker. `fence` is the proof of it: a later claim has a higher one."""

    action_id: UUID
    tenant_id: UUID
    fence: int
    type: str
    machine_id: str
    parameters: dict[str, Any]
    parameters_sha256: str
    reason: str
    sent_at: datetime


_TAKE_TURN: Final = f"SELECT {freezes.SHARED_LOCK}, pg_advisory_xact_lock(hashtextextended(%s, 0))"

# Everything that must hold at the moment of sending is inside this one statement, so nothing can change between the
# check and the claim. A type whose hour is full is passed over and keeps no other waiting; what is taken is counted,
# and not taken if the count is full after all. On one device an action waits for those of its conflict group that are
# out, and never overtakes an older one: isolate, then release must not end isolated. Scalar sub-selects, not NOT
# EXISTS: the planner then keeps walking the index of rows to send. OFFSET 0 keeps it from asking for cap and count
# wherever they are used.
_CLAIM: Final = f"""
WITH due AS (
    SELECT a.id, a.tenant_id, a.type, hour.cap, hour.used
    FROM actions_remediationaction a
    CROSS JOIN LATERAL (SELECT {caps.CAP} AS cap, {caps.USED} AS used OFFSET 0) hour
    WHERE a.tenant_id = %(tenant)s AND a.state = 'approved' AND a.type = ANY (%(types)s::text[])
      AND a.not_before <= now() AND a.execute_before > now()
      AND (SELECT t.is_active FROM tenancy_tenant t WHERE t.id = a.tenant_id)
      AND {freezes.COUNT} = 0
      AND (SELECT count(*) FROM actions_remediationaction o
           WHERE o.tenant_id = a.tenant_id AND o.device_id = a.device_id AND o.conflict_group = a.conflict_group
             AND o.conflict_group <> ''
             AND (o.state IN ('sending', 'accepted', 'unknown') OR (o.state = 'approved' AND o.id < a.id))) = 0
      AND (a.requested_by_id IS NULL OR (
           SELECT count(*) FROM roles_of_person(a.requested_by_id) r WHERE r.tenant_id = a.tenant_id
             AND r.role = ANY (
                 CASE a.required_approvals WHEN 0 THEN %(deciders)s::text[] ELSE %(requesters)s::text[] END)) > 0)
      AND {approvals.APPROVED}
      AND (coalesce(hour.used < hour.cap, true) OR {approvals.PASSES_LIMIT})
    ORDER BY a.priority, a.not_before, a.id
    LIMIT 1 FOR UPDATE OF a SKIP LOCKED
), counted AS ({caps.COUNT_UP})
UPDATE actions_remediationaction a
SET state = 'sending', fence = a.fence + 1, attempt = a.attempt + 1, owner = %(owner)s, sent_at = now(),
    lease_until = now() + make_interval(secs => %(lease)s), changed_at = now(), absent_count = 0, error_code = ''
FROM due WHERE a.id = due.id AND a.state = 'approved' AND (due.cap IS NULL OR (SELECT count(*) FROM counted) = 1)
RETURNING a.id, a.fence, a.type, a.parameters, a.parameters_sha256, a.reason, a.sent_at, a.target,
    (SELECT d.machine_id FROM investigations_device d WHERE d.tenant_id = a.tenant_id AND d.id = a.device_id)
"""  # noqa: S608 our own constants


def claim(tenant_id: UUID, *, owner: str, types: Collection[str]) -> Claim | None:
    """Take the tenant's next action to send, or return None. Its own short transaction, committed before any send.

    Claims of one tenant take turns, and none goes on beside a freeze that is being made: the locks are a statement of
    their own, so that the claim's snapshot comes after them. The shared one comes first: who holds a tenant's turn
    never waits for a freeze.
    """
    with acting_for(tenant_id), connection.cursor() as cursor:
        cursor.execute(_TAKE_TURN, [f"claim:{tenant_id}"])
        cursor.execute(
            _CLAIM,
            {
                "tenant": tenant_id,
                "types": sorted(types),
                "owner": owner,
                "lease": settings.ACTION_LEASE_SECONDS,
                **approvals.sql_parameters(),
                "requesters": roles_with(Capability.REQUEST_ACTION),
                "routes": freezes.ROUTES,
                "caps": caps.DEFAULTS,
                "use": uuid7(),
            },
        )
        row = cursor.fetchone()
        if row is None:
            return None
        action_id, fence, type_name, parameters, digest, reason, sent_at, target, machine_id = row
        record(
            tenant_id,
            "action.sending",
            object_type="remediation action",
            object_id=action_id,
            actor=SYSTEM,
            data={"type": type_name, "target": target, "before": "approved", "after": "sending", "fence": fence},
        )
    return Claim(
        action_id, tenant_id, fence, type_name, machine_id or "", _as_dict(parameters), digest, reason, sent_at
    )


def lock_claimed(claimed: Claim) -> RemediationAction:
    """Return the claimed action's row, locked. Raises LostClaim if another worker or the sweep has taken it over."""
    action = lock(claimed.action_id)
    if action.state != State.SENDING or action.fence != claimed.fence:
        raise LostClaim(f"action {claimed.action_id} fence {claimed.fence} is now {action.state} fence {action.fence}")
    return action


def _as_dict(parameters: Any) -> dict[str, Any]:
    """A raw cursor of Django leaves jsonb as text."""
    return dict(json.loads(parameters) if isinstance(parameters, str) else parameters)
