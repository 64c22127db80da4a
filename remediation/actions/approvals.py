"""Whose approvals count, asked in the same words when people decide and when workers claim."""

from django.db import connection

from portal.access.roles import Capability, roles_with
from remediation.actions.models import RemediationAction

COUNT = """(
    SELECT count(DISTINCT d.user_id) FROM actions_decision d
    WHERE d.tenant_id = a.tenant_id AND d.action_id = a.id AND d.answer = 'approve'
      AND d.parameters_sha256 = a.parameters_sha256 AND d.user_id IS DISTINCT FROM a.requested_by_id
      AND (SELECT count(*) FROM roles_of_person(d.user_id) r
           WHERE r.tenant_id = a.tenant_id AND r.role = ANY (%(deciders)s::text[])) > 0)"""
"""SQL over an action `a`: how many different people, other than who asked, approved exactly this and still may."""


def count_approvals(action: RemediationAction) -> int:
    """Return how many approvals of the action count today."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COUNT} FROM actions_remediationaction a WHERE a.tenant_id = %(tenant)s AND a.id = %(action)s",  # noqa: S608 our own constant
            {
                "deciders": roles_with(Capability.DECIDE_ACTION),
                "tenant": action.tenant_id,
                "action": action.pk,
            },
        )
        return int(cursor.fetchone()[0])
