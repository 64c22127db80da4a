"""Whose approvals count, asked in the same words when people decide and when workers claim."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection

from portal.access.roles import Capability, roles_with
from portal.tenancy.scope import current_scope
from remediation.actions.models import RemediationAction
from remediation.safeguards.caps import APPROVALS_TO_PASS
from remediation.safeguards.protection import APPROVALS_NEEDED, DESTRUCTIVE, IS_SHIELDED
from remediation.safeguards.rules import RULE_OF_TODAY

OF_PERSON: Final = "roles_of_person(d.user_id)"
HELD: Final = "(SELECT h.tenant_id, h.role FROM held h WHERE h.user_id = d.user_id)"
"""SQL for the roles of who decided: asked for each decision, or found beforehand for many (`standings`)."""


def _count(roles: str) -> str:
    return f"""(
    SELECT count(DISTINCT d.user_id) FROM actions_decision d
    WHERE d.tenant_id = a.tenant_id AND d.action_id = a.id AND d.answer = 'approve' AND d.break_glass_id IS NULL
      AND d.parameters_sha256 = a.parameters_sha256 AND d.user_id IS DISTINCT FROM a.requested_by_id
      AND (SELECT count(*) FROM {roles} r
           WHERE r.tenant_id = a.tenant_id AND r.role = ANY (%(deciders)s::text[])) > 0)"""  # noqa: S608 our own constants


def _emergencies(roles: str) -> str:
    return f"""(
    SELECT count(*) FROM actions_decision d
    JOIN safeguards_breakglass g ON g.tenant_id = d.tenant_id AND g.id = d.break_glass_id
    WHERE d.tenant_id = a.tenant_id AND d.action_id = a.id AND d.answer = 'approve'
      AND d.parameters_sha256 = a.parameters_sha256
      AND g.user_id = d.user_id AND g.opened_at <= d.decided_at AND d.decided_at < g.ends_at
      AND (SELECT count(*) FROM {roles} r
           WHERE r.tenant_id = a.tenant_id AND r.role = ANY (%(emergency_roles)s::text[])) > 0)"""  # noqa: S608 our own constants


def _approved(roles: str) -> str:
    return f"""(
    (a.required_approvals = 0 AND NOT {IS_SHIELDED})
    OR ({REJECTIONS} = 0
        AND ({_count(roles)} >= {NEEDED} OR ({_emergencies(roles)} > 0 AND NOT {IS_SHIELDED}))))"""


COUNT: Final = _count(OF_PERSON)
"""SQL over an action `a`: how many different people, other than who asked, approved exactly this and still may."""

NEEDED: Final = f"""greatest(
    a.required_approvals, {RULE_OF_TODAY}, CASE WHEN {IS_SHIELDED} THEN {APPROVALS_NEEDED} ELSE 0 END)"""
"""SQL over an action `a` that needs approval: of how many people, by what was asked of it and by what holds today."""

REJECTIONS: Final = """(
    SELECT count(*) FROM actions_decision d
    WHERE d.tenant_id = a.tenant_id AND d.action_id = a.id AND d.answer = 'reject')"""

APPROVED: Final = _approved(OF_PERSON)
"""SQL condition over an action `a`: it needs nobody's approval, or has all it needs at this instant.

In an emergency one person is enough, but not for what harms a protected device: that takes two, always.
"""

PASSES_LIMIT: Final = f"({COUNT} >= {APPROVALS_TO_PASS})"
"""SQL condition over an action `a`: so many stand behind it that it is sent though the hour's limit is reached.

An emergency does not pass it: the limit is what keeps one person from doing great harm.
"""


def sql_parameters() -> dict[str, Any]:
    """Return what the pieces of SQL above are to be run with."""
    return {
        "deciders": roles_with(Capability.DECIDE_ACTION),
        "emergency_roles": roles_with(Capability.BREAK_GLASS),
        "destructive": DESTRUCTIVE,
    }


def count_approvals(action: RemediationAction) -> int:
    """Return how many approvals of the action count today."""
    return int(_ask(action, COUNT))


def count_needed(action: RemediationAction) -> int:
    """Return how many approvals the action needs today, 0 where nobody is asked."""
    return int(_ask(action, f"CASE a.required_approvals WHEN 0 THEN 0 ELSE {NEEDED} END"))


@dataclass(frozen=True, slots=True)
class Standing:
    """How an action stands at this instant: whether it may be sent, and how many of how many approvals count."""

    is_approved: bool
    given: int
    needed: int


_STANDINGS: Final = f"""
WITH held AS MATERIALIZED (
    SELECT p.user_id, r.tenant_id, r.role
    FROM (SELECT DISTINCT d.user_id FROM actions_decision d
          WHERE d.tenant_id = ANY (%(tenants)s) AND d.action_id = ANY (%(actions)s::uuid[])) p
    CROSS JOIN LATERAL roles_of_person(p.user_id) r WHERE r.tenant_id = ANY (%(tenants)s)
)
SELECT a.id, {_approved(HELD)}, {_count(HELD)}, {NEEDED} FROM actions_remediationaction a
WHERE a.tenant_id = ANY (%(tenants)s) AND a.id = ANY (%(actions)s::uuid[])
"""  # noqa: S608 our own constants


def standings(action_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Return how each of these actions of the tenants in scope stands, in one query."""
    if not action_ids:
        return {}
    named = {"tenants": sorted(current_scope().tenant_ids), "actions": list(action_ids)}
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS, sql_parameters() | named)
        return {key: Standing(*found) for key, *found in cursor.fetchall()}


def is_approved(action: RemediationAction) -> bool:
    """Return whether the action has the approvals it needs, as the claim would find now."""
    return bool(_ask(action, APPROVED))


def _ask(action: RemediationAction, question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {question} FROM actions_remediationaction a WHERE a.tenant_id = %(tenant)s AND a.id = %(action)s",  # noqa: S608 our own constants
            {**sql_parameters(), "tenant": action.tenant_id, "action": action.pk},
        )
        return cursor.fetchone()[0]
