"""Freezes: sending stopped at once for everything, a tenant, a type of action or a way out of the house.

One person freezes, two lift it. A freeze takes its lock alone where claims share it, so that no claim that did not see
the freeze commits after it; workers ask once more right before they write to the vendor's socket.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for, database_now
from remediation.catalogue import CATALOGUE, Route
from remediation.safeguards.models import Freeze

_KEY: Final = "hashtextextended('freezes', 0)"
SHARED_LOCK: Final = f"pg_advisory_xact_lock_shared({_KEY})"
"""SQL that a claim runs before its own statement: while it holds the lock no freeze commits, and many claims do."""

ROUTES: Final = json.dumps({name: kind.route.value for name, kind in CATALOGUE.items()})
"""The way out of each type of action, as JSON for `COUNT`."""

IN_FORCE: Final = "SELECT f.action_type, f.connector FROM freezes_over(%(tenant)s) f"
"""SQL for the freezes over the tenant `%(tenant)s`."""

COUNT: Final = """(
    SELECT count(*) FROM frozen f
    WHERE f.action_type IN ('', a.type) AND f.connector IN ('', %(routes)s::jsonb ->> a.type))"""
"""SQL over an action `a`, beside `frozen`, which holds IN_FORCE of its tenant: how many freezes hold it back."""


_IN_FORCE: Final = """
SELECT 1 AS place, f.* FROM provider_freezes() f
UNION ALL
SELECT 2, f.id, f.tenant_id, f.action_type, f.connector, f.reason, f.frozen_by, f.frozen_at FROM safeguards_freeze f
WHERE f.lifted_at IS NULL AND f.tenant_id = ANY (%(tenants)s) AND f.tenant_id <> %(provider)s
ORDER BY place, id
"""


def freeze(tenant_id: UUID, *, actor: Actor, reason: str, action_type: str = "", connector: str = "") -> Freeze:
    """Stop sending: all of it for the tenant, or one type of action, or one way out of the house (a `Route`).

    On the provider's reserved tenant it holds for all tenants. Nothing that was approved is lost: it waits, and lapses
    by its own time. Raises BadRequest, Forbidden, and Conflict for what is frozen already.
    """
    actor.require(Capability.FREEZE, tenant_id)
    return stop_sending(tenant_id, by=actor.stamp, reason=reason, action_type=action_type, connector=connector)


def stop_sending(tenant_id: UUID, *, by: ActorStamp, reason: str, action_type: str = "", connector: str = "") -> Freeze:
    """Freeze as `freeze` does, asking for nobody's rights: for the command line."""
    check_level(action_type, connector)
    if not reason.strip():
        raise BadRequest(_("Say why sending is stopped; everybody it concerns reads it."))
    row = Freeze(
        tenant_id=tenant_id,
        action_type=action_type,
        connector=connector,
        reason=reason.strip(),
        frozen_by=by.label,
    )
    with acting_for(tenant_id):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({_KEY})")
        row.frozen_at = database_now()
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(_("%(what)s: this is frozen already.") % {"what": describe(row)}) from error
        _note(row, "frozen", by, before=None, after=_values(row))
    return row


def check_level(action_type: str, connector: str) -> None:
    """Raise BadRequest unless this names a type of action, a way out of the house, or neither."""
    if action_type and connector:
        raise BadRequest(_("Freeze a type of action or a connector; for both, freeze twice."))
    if action_type and action_type not in CATALOGUE:
        raise BadRequest(_("There is no action “%(type)s”.") % {"type": action_type})
    if connector and connector not in set(Route):
        raise BadRequest(
            _("There is no connector “%(connector)s”; there is %(known)s.")
            % {"connector": connector, "known": ", ".join(Route)}
        )


def types_held(action_type: str, connector: str) -> list[str]:
    """Return the names of the types of action that a freeze of this level holds back."""
    return [
        name for name, kind in CATALOGUE.items() if action_type in ("", name) and connector in ("", kind.route.value)
    ]


def held_types(tenant_id: UUID) -> frozenset[str]:
    """Return the types of action that freezes hold back for the tenant, as of this moment. Needs no scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT f.action_type, f.connector FROM freezes_over(%s) f", [tenant_id])
        levels = cursor.fetchall()
    return frozenset(name for level in levels for name in types_held(*level))


def in_force(tenant_ids: Collection[UUID]) -> list[Freeze]:
    """Return the freezes that hold for these tenants, those over all tenants first; one query where there are none.

    Those over all are told to everybody they hold, though the rows themselves are the provider's.
    """
    found = Freeze.objects.raw(_IN_FORCE, {"tenants": list(tenant_ids), "provider": PROVIDER_TENANT_ID})
    return list(found.prefetch_related("tenant"))


def holding(tenant_id: UUID, action_type: str) -> Freeze | None:
    """Return the widest freeze that holds this type of action of a tenant in scope back."""
    held = (row for row in in_force([tenant_id]) if action_type in types_held(row.action_type, row.connector))
    return next(held, None)


def holding_route(tenant_id: UUID, route: Route) -> Freeze | None:
    """Return the widest freeze that holds all back which leaves a tenant in scope by this way, no type alone."""
    held = (row for row in in_force([tenant_id]) if not row.action_type and row.connector in ("", route.value))
    return next(held, None)


def keep_out_freezes() -> None:
    """Let no freeze commit until the open transaction ends, as a claim does that looks for freezes after it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {SHARED_LOCK}")


def describe(row: Freeze) -> str:
    """Say what a freeze holds back, without whose."""
    if row.action_type:
        kind = CATALOGUE.get(row.action_type)
        return _("Action “%(action)s”") % {"action": kind.label if kind else row.action_type}
    if row.connector:
        return _("Everything by way of %(connector)s") % {"connector": row.connector}
    return _("Everything")


def describe_whole(row: Freeze) -> str:
    """Say what a freeze holds back, and for whom."""
    whom = _("all tenants") if row.tenant_id == PROVIDER_TENANT_ID else str(row.tenant)
    return _("%(what)s, for %(whom)s") % {"what": describe(row), "whom": whom}


def check_lift_freeze(tenant_id: UUID, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of lifting a freeze as they are kept. Raises BadRequest, and Conflict if it is lifted."""
    row = _find(tenant_id, details)
    if row is None:
        raise BadRequest(_("There is no such freeze."))
    _require_in_force(row)
    return {"freeze": str(row.pk)}


def describe_lift_freeze(tenant_id: UUID, details: Mapping[str, Any]) -> str:
    """Say in one sentence what lifting the freeze does."""
    row = _find(tenant_id, details)
    if row is None:
        return _("A freeze that is no longer there is lifted.")
    words = _("%(what)s: sending goes on, and what was approved meanwhile and has not lapsed is sent at once.")
    return words % {"what": describe_whole(row)}


def make_lift_freeze(tenant_id: UUID, details: Mapping[str, Any], actor: ActorStamp) -> None:
    """Lift the freeze and put it on record."""
    lift(tenant_id, UUID(details["freeze"]), by=actor)


def lift(tenant_id: UUID, freeze_id: UUID, *, by: ActorStamp) -> Freeze:
    """End a freeze, asking for nobody's rights. Raises BadRequest if there is none, Conflict if it is lifted."""
    with acting_for(tenant_id):
        row = _of_tenant(tenant_id).select_for_update().filter(pk=freeze_id).first()
        if row is None:
            raise BadRequest(_("There is no such freeze."))
        _require_in_force(row)
        row.lifted_by, row.lifted_at = by.label, database_now()
        row.save(update_fields=["lifted_by", "lifted_at"])
        _note(row, "lifted", by, before=_values(row), after=None)
    return row


def _of_tenant(tenant_id: UUID) -> QuerySet[Freeze]:
    return Freeze.objects.filter(tenant=tenant_id)


def _find(tenant_id: UUID, details: Mapping[str, Any]) -> Freeze | None:
    try:
        wanted = UUID(str(details.get("freeze", "")))
    except ValueError:
        return None
    return _of_tenant(tenant_id).select_related("tenant").filter(pk=wanted).first()


def _require_in_force(row: Freeze) -> None:
    if row.lifted_at is not None:
        raise Conflict(_("This freeze has been lifted already, by %(person)s.") % {"person": row.lifted_by})


def _values(row: Freeze) -> dict[str, str]:
    return {"action_type": row.action_type, "connector": row.connector, "reason": row.reason}


def _note(
    row: Freeze, step: str, by: ActorStamp, *, before: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    record(
        row.tenant_id,
        f"sending.{step}",
        object_type="freeze",
        object_id=row.pk,
        actor=by,
        data={"target": describe(row), "before": before, "after": after, "reason": row.reason},
    )
