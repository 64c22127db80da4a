"""Approval rules: how many people must approve each type of action for a tenant, and where that number comes from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest
from portal.audit.recording import ActorStamp, record
from remediation.catalogue import CATALOGUE, ActionType
from remediation.safeguards.models import ApprovalRule

FEWEST: Final = 1
MOST: Final = 5

RULE_OF_TODAY: Final = """coalesce((
    SELECT r.approvers FROM safeguards_approvalrule r
    WHERE r.tenant_id = a.tenant_id AND r.action_type = a.type), 0)"""
"""SQL over an action `a`: how many approvals the tenant asks for by now, 0 where it left the default alone."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How many people must approve one type of action. `is_default` when the tenant has said nothing else."""

    kind: ActionType
    approvers: int
    is_default: bool


def required_approvals(tenant_id: UUID, types: Collection[str]) -> dict[str, int]:
    """Return how many people must approve an action of each of these types that waits for approval: at least one."""
    set_here = _set_here([tenant_id], types)
    return {name: set_here.get((tenant_id, name), max(CATALOGUE[name].approvers, FEWEST)) for name in types}


def rules_of(tenant_ids: Collection[UUID]) -> dict[UUID, list[Rule]]:
    """Return every action type's rule for each of these tenants, in one query."""
    set_here = _set_here(tenant_ids, CATALOGUE)
    return {
        tenant_id: [
            Rule(kind, set_here.get((tenant_id, name), kind.approvers), (tenant_id, name) not in set_here)
            for name, kind in CATALOGUE.items()
        ]
        for tenant_id in tenant_ids
    }


def check_rule(tenant_id: UUID, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of a new rule as they are kept.

    Raises BadRequest for an unknown type, one that needs nobody's approval, or a number that is not 1 to 5.
    """
    kind = CATALOGUE.get(str(details.get("action_type", "")))
    if kind is None:
        raise BadRequest(_("There is no action “%(type)s”.") % {"type": details.get("action_type", "")})
    if kind.is_ordered_alone:
        raise BadRequest(
            _("“%(action)s” is never put to others: who may order it orders it alone.") % {"action": kind.label}
        )
    approvers = details.get("approvers")
    if not isinstance(approvers, int) or isinstance(approvers, bool) or not FEWEST <= approvers <= MOST:
        raise BadRequest(
            _("The number of people who must approve is from %(fewest)d to %(most)d.")
            % {"fewest": FEWEST, "most": MOST}
        )
    return {"action_type": kind.name, "approvers": approvers}


def describe_rule(tenant_id: UUID, details: Mapping[str, Any]) -> str:
    """Say in one sentence what the new rule does, and what is so today."""
    name = details["action_type"]
    today = required_approvals(tenant_id, [name])[name]
    words = (
        _("“%(action)s” will need %(after)d approvals (today %(before)d), also where it waits or is not sent yet.")
        if details["approvers"] > today
        else _("“%(action)s” will need %(after)d approvals (today %(before)d); what waits already needs what it did.")
    )
    return words % {"action": CATALOGUE[name].label, "after": details["approvers"], "before": today}


def make_rule(tenant_id: UUID, details: Mapping[str, Any], actor: ActorStamp) -> None:
    """Set the rule and record it with the number before and after."""
    name = details["action_type"]
    before = required_approvals(tenant_id, [name])[name]
    rule, _is_new = ApprovalRule.objects.update_or_create(
        tenant_id=tenant_id, action_type=name, defaults={"approvers": details["approvers"]}
    )
    record(
        tenant_id,
        "approval_rule.changed",
        object_type="approval rule",
        object_id=rule.pk,
        actor=actor,
        data={"type": name, "before": {"approvers": before}, "after": {"approvers": rule.approvers}},
    )


def _set_here(tenant_ids: Collection[UUID], types: Collection[str]) -> dict[tuple[UUID, str], int]:
    rows = ApprovalRule.objects.filter(tenant__in=tenant_ids, action_type__in=list(types))
    return {
        (tenant_id, name): count for tenant_id, name, count in rows.values_list("tenant", "action_type", "approvers")
    }
