"""Rules: how long a tenant keeps each kind. Keeping longer holds at once; keeping shorter takes a confirmed number."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.answering import stated
from remediation.retention.holds import held
from remediation.retention.kinds import KINDS, Kind
from remediation.retention.models import RetentionRule


def kind_named(name: str) -> Kind:
    """Return the kind of this name. Raises BadRequest."""
    kind = KINDS.get(name)
    if kind is None:
        raise BadRequest(
            _("There is no kind “%(kind)s”; there is %(known)s.") % {"kind": name, "known": ", ".join(KINDS)}
        )
    return kind


def days_kept(tenant_id: UUID) -> dict[str, int]:
    """Return how many days the tenant in scope keeps each kind, by name: its own rule, else the default."""
    own = dict(RetentionRule.objects.filter(tenant=tenant_id).values_list("kind", "days"))
    return {kind.name: kind.days if kind.is_fixed else own.get(kind.name, kind.days) for kind in KINDS.values()}


def cutoff_of(days: int) -> datetime:
    """Return the moment (UTC) before which a clock must have begun for its row to leave now."""
    return database_now() - timedelta(days=days)


def due_rows(tenant_id: UUID, kind: Kind, cutoff: datetime) -> QuerySet[Any]:
    """Return the rows of the tenant in scope that leave: older than the cutoff, and under no legal hold."""
    return kind.older_than(cutoff).filter(~held(kind), tenant=tenant_id)


def set_rule(
    tenant_id: UUID, name: str, days: int | None, *, actor: Actor, reason: str, confirmed_rows: int | None = None
) -> int:
    """Keep a kind for so many days, None for the default; return the days that hold now.

    Keeping shorter needs a second factor, and `confirmed_rows`: the most rows the person agreed would leave at once.
    Raises BadRequest for days out of bounds, Forbidden, SecondFactorNeeded, and Conflict that says how many rows
    would leave.
    """
    actor.require(Capability.MANAGE_RETENTION, tenant_id)
    kind = kind_named(name)
    wanted = _within_bounds(kind, days)
    reason = stated(reason)
    with acting_for(tenant_id):
        rule = RetentionRule.objects.select_for_update().filter(tenant=tenant_id, kind=name).first()
        before = rule.days if rule else kind.days
        if wanted < before:
            actor.require_second_factor()
            _require_confirmed(tenant_id, kind, wanted, confirmed_rows)
        if days is None:
            RetentionRule.objects.filter(tenant=tenant_id, kind=name).delete()
        else:
            values = {"days": days, "reason": reason, "changed_by": actor.label, "changed_at": database_now()}
            RetentionRule.objects.update_or_create(tenant_id=tenant_id, kind=name, defaults=values)
        record(
            tenant_id,
            "retention.rule_changed",
            object_type="tenant",
            object_id=tenant_id,
            actor=actor.stamp,
            data={
                "target": name,
                "before": {"days": before, "is_default": rule is None},
                "after": {"days": wanted, "is_default": days is None},
                "reason": reason,
            },
        )
    return wanted


def _within_bounds(kind: Kind, days: int | None) -> int:
    if kind.is_fixed:
        raise BadRequest(
            _("%(kind)s are kept for %(days)d days everywhere; there is no rule for them.")
            % {"kind": kind.label, "days": kind.days}
        )
    wanted = kind.days if days is None else days
    if not kind.shortest <= wanted <= kind.longest:
        raise BadRequest(
            _("%(kind)s can be kept for %(shortest)d to %(longest)d days, not for %(days)d.")
            % {"kind": kind.label, "shortest": kind.shortest, "longest": kind.longest, "days": wanted}
        )
    return wanted


def _require_confirmed(tenant_id: UUID, kind: Kind, days: int, confirmed_rows: int | None) -> None:
    rows = due_rows(tenant_id, kind, cutoff_of(days)).count()
    if confirmed_rows is None or rows > confirmed_rows:
        raise Conflict(
            ngettext(
                "Keeping them for %(days)d days makes %(rows)d row leave at once, for good. Confirm this number to go"
                " on.",
                "Keeping them for %(days)d days makes %(rows)d rows leave at once, for good. Confirm this number to go"
                " on.",
                rows,
            )
            % {"days": days, "rows": rows}
        )
