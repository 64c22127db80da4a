"""Legal holds: what they cover does not leave, from the moment one is placed until two people have lifted it.

One person places a hold, since it only keeps. Lifting takes two, since what it kept leaves with the next purge and
nothing brings it back: the same four eyes as lifting a freeze.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from investigations.models import Investigation
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.models import Tenant, TenantModel
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.answering import stated
from remediation.actions.models import RemediationAction
from remediation.retention.kinds import Kind
from remediation.retention.models import LegalHold
from remediation.vulnerabilities.models import RemediationActivity

Covers = LegalHold.Covers

ROWS: Final[dict[str, type[TenantModel]]] = {
    Covers.ACTIVITY: RemediationActivity,
    Covers.ACTION: RemediationAction,
    Covers.INVESTIGATION: Investigation,
}
"""What a hold over one row can name."""

_KEY: Final = "hashtextextended('retention:' || %s::text, 0)"


def share_with_purges(tenant_id: UUID) -> None:
    """Let no hold be placed until this transaction ends: a batch sees every hold that stood when it began."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock_shared({_KEY})", [tenant_id])


def held(kind: Kind) -> Q:
    """Return the condition that a hold in force covers a row of the kind."""
    in_force = LegalHold.objects.filter(tenant=OuterRef("tenant"), lifted_at=None)
    condition = Q(Exists(in_force.filter(covers=Covers.TENANT)))
    for covers, column in kind.held_by.items():
        condition |= Q(Exists(in_force.filter(covers=covers, object_id=OuterRef(column))))
    return condition


def place_hold(
    tenant_id: UUID, *, actor: Actor, reason: str, covers: str = Covers.TENANT, object_id: UUID | None = None
) -> LegalHold:
    """Keep all of a tenant, or one row, until two people lift the hold.

    A batch that is being purged ends first, which takes a moment. Raises BadRequest, Forbidden, and Conflict for what
    is held already.
    """
    actor.require(Capability.MANAGE_RETENTION, tenant_id)
    reason = stated(reason)
    with acting_for(tenant_id):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({_KEY})", [tenant_id])
        hold = LegalHold(
            tenant_id=tenant_id,
            covers=covers,
            object_id=object_id,
            target=_name(tenant_id, covers, object_id),
            reason=reason,
            placed_by_id=actor.id,
            placed_at=database_now(),
        )
        try:
            with transaction.atomic():
                hold.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(_("%(target)s: this is held already.") % {"target": hold.target}) from error
        _note(hold, "placed", actor, before=None, after=_values(hold))
    return hold


def lift_hold(hold_id: UUID, *, actor: Actor, reason: str) -> LegalHold:
    """Ask for a hold in scope to be lifted; asked again by somebody else, lift it.

    Raises BadRequest without a reason, Forbidden, SecondFactorNeeded, and Conflict for one that is lifted.
    """
    hold = _lock_in_force(hold_id, actor)
    actor.require_second_factor()
    reason = stated(reason)
    if hold.lift_asked_by_id is None:
        hold.lift_asked_by_id, hold.lift_asked_at, hold.lift_reason = actor.id, database_now(), reason
        hold.save(update_fields=["lift_asked_by", "lift_asked_at", "lift_reason"])
        _note(hold, "lift_asked", actor, before=None, after={"reason": hold.lift_reason})
        return hold
    if hold.lift_asked_by_id == actor.id:
        raise Forbidden(_("You asked for this hold to be lifted yourself; somebody else has to lift it."))
    hold.lifted_by_id, hold.lifted_at = actor.id, database_now()
    hold.save(update_fields=["lifted_by", "lifted_at"])
    _note(hold, "lifted", actor, before=_values(hold), after={"reason": reason})
    return hold


def keep_hold(hold_id: UUID, *, actor: Actor, reason: str) -> LegalHold:
    """Turn down, or take back, that a hold in scope be lifted. Raises Forbidden, and Conflict if nobody asked."""
    hold = _lock_in_force(hold_id, actor)
    if hold.lift_asked_by_id is None:
        raise Conflict(_("Nobody asked for this hold to be lifted."))
    before = {"reason": hold.lift_reason}
    hold.lift_asked_by_id, hold.lift_asked_at, hold.lift_reason = None, None, ""
    hold.save(update_fields=["lift_asked_by", "lift_asked_at", "lift_reason"])
    _note(hold, "kept", actor, before=before, after={"reason": reason.strip()})
    return hold


def describe_effect(hold: LegalHold) -> str:
    """Say what the hold keeps."""
    if hold.covers == Covers.TENANT:
        return _("Nothing of this tenant leaves, of no kind.")
    if hold.covers == Covers.INVESTIGATION:
        return _("The remediation actions of this investigation stay, with their decisions.")
    return _("This one stays, with all that belongs to it.")


def _lock_in_force(hold_id: UUID, actor: Actor) -> LegalHold:
    hold = LegalHold.objects.select_for_update().get(pk=hold_id)
    actor.require(Capability.MANAGE_RETENTION, hold.tenant_id)
    if hold.lifted_at is not None:
        raise Conflict(_("This hold has been lifted already."))
    return hold


def _name(tenant_id: UUID, covers: str, object_id: UUID | None) -> str:
    """Return what is held in words. Raises BadRequest for what does not exist in the tenant."""
    if covers == Covers.TENANT and object_id is None:
        return _("All of %(tenant)s") % {"tenant": Tenant.objects.get(pk=tenant_id)}
    model = ROWS.get(covers)
    row = model._default_manager.filter(tenant=tenant_id, pk=object_id).first() if model and object_id else None
    if row is None:
        raise BadRequest(_("There is no such row in this tenant; name one row, or the whole tenant."))
    return f"{Covers(covers).label}: {row}"


def _values(hold: LegalHold) -> dict[str, str | None]:
    return {
        "covers": hold.covers,
        "object": str(hold.object_id) if hold.object_id else None,
        "reason": hold.reason,
    }


def _note(
    hold: LegalHold,
    step: str,
    actor: Actor,
    *,
    before: Mapping[str, str | None] | None,
    after: Mapping[str, str | None] | None,
) -> None:
    record(
        hold.tenant_id,
        f"legal_hold.{step}",
        object_type="legal hold",
        object_id=hold.pk,
        actor=actor.stamp,
        data={"target": hold.target, "before": before, "after": after, "reason": (after or {}).get("reason")},
    )
