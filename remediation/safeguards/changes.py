"""Four eyes: what loosens a safeguard is asked for by one person and made by another, with every step on record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor, actor_for
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.roles import Capability
from portal.audit.recording import SYSTEM, ActorStamp, record
from portal.tenancy.scope import database_now
from remediation.safeguards import caps, freezes, protection, rules
from remediation.safeguards.models import GuardedChange
from remediation.safeguards.refusals import refusals_on_record

State = GuardedChange.State
Details = Mapping[str, Any]

WAITS_FOR: Final = timedelta(days=7)
"""A change nobody confirmed by then expires."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of guarded change.

    `capability` is what both people need in the tenant. `check(tenant_id, details)` returns the details as they are
    kept, plain JSON values, or raises a Refusal; it is asked again when the change is confirmed. `describe` says the
    effect in words. `make(tenant_id, details, actor)` makes it so and records it with before and after.
    """

    label: Promise
    capability: Capability
    check: Callable[[UUID, Details], dict[str, Any]]
    describe: Callable[[UUID, Details], str]
    make: Callable[[UUID, Details, ActorStamp], None]


KINDS: Final[Mapping[str, Kind]] = {
    "set_approval_rule": Kind(
        gettext_lazy("Change an approval rule"), Capability.MANAGE_APPROVAL_POLICY,
        rules.check_rule, rules.describe_rule, rules.make_rule,
    ),
    "lift_freeze": Kind(
        gettext_lazy("Lift a freeze"), Capability.FREEZE,
        freezes.check_lift_freeze, freezes.describe_lift_freeze, freezes.make_lift_freeze,
    ),
    "set_hourly_cap": Kind(
        gettext_lazy("Change an hourly limit"), Capability.MANAGE_APPROVAL_POLICY,
        caps.check_hourly_cap, caps.describe_hourly_cap, caps.make_hourly_cap,
    ),
    "unprotect_device": Kind(
        gettext_lazy("Take a device's protection away"), Capability.MANAGE_APPROVAL_POLICY,
        protection.check_unprotect, protection.describe_unprotect, protection.make_unprotect,
    ),
}  # fmt: skip


def ask_for_change(tenant_id: UUID, kind: str, details: Details, *, actor: Actor, reason: str) -> GuardedChange:
    """Ask for a change that somebody else with the same right has to confirm within seven days.

    Raises BadRequest for what makes no sense, Forbidden without the right, SecondFactorNeeded without a fresh second
    factor, Conflict when the same change waits already.
    """
    what = KINDS.get(kind)
    if what is None:
        raise BadRequest(_("There is no change “%(kind)s”.") % {"kind": kind})
    actor.require(what.capability, tenant_id)
    actor.require_second_factor()
    checked = what.check(tenant_id, details)
    try:
        with transaction.atomic():
            change = GuardedChange.objects.create(
                tenant_id=tenant_id, kind=kind, details=checked, reason=_stated(reason), requested_by_id=actor.id
            )
    except IntegrityError as error:
        raise Conflict(_("Exactly this change waits for a second person already.")) from error
    _note(change, "asked", before=None, actor=actor.stamp, reason=change.reason)
    return change


def confirm_change(change_id: UUID, *, actor: Actor, reason: str) -> GuardedChange:
    """Make a change that somebody else asked for. Raises Forbidden, SecondFactorNeeded and Conflict."""
    change = _lock(change_id)
    what = KINDS[change.kind]
    with _refusals_of(change, actor):
        actor.require(what.capability, change.tenant_id)
        if change.requested_by_id == actor.id:
            raise Forbidden(_("You asked for this change yourself; somebody else has to confirm it."))
        actor.require_second_factor()
        _require_waiting(change)
        asker = actor_for(change.requested_by, by_key=False)
        if not asker.may(what.capability, change.tenant_id):
            raise Conflict(
                _("%(person)s asked for this and may no longer do so. Reject it; who wants it asks anew.")
                % {"person": asker.label}
            )
        what.check(change.tenant_id, change.details)
        _decide(change, State.MADE, actor=actor, reason=reason)
        what.make(change.tenant_id, change.details, actor.stamp)
    return change


def reject_change(change_id: UUID, *, actor: Actor, reason: str) -> GuardedChange:
    """Turn down a change that waits; it takes no second factor. Raises Forbidden and Conflict."""
    change = _lock(change_id)
    actor.require(KINDS[change.kind].capability, change.tenant_id)
    if change.requested_by_id == actor.id:
        raise Forbidden(_("You asked for this change yourself; withdraw it instead."))
    _require_waiting(change)
    _decide(change, State.REJECTED, actor=actor, reason=reason)
    return change


def withdraw_change(change_id: UUID, *, actor: Actor, reason: str) -> GuardedChange:
    """Take back a change one asked for oneself. Raises Forbidden and Conflict."""
    change = _lock(change_id)
    if change.requested_by_id != actor.id:
        raise Forbidden(_("Only who asked for this change can withdraw it; you can reject it."))
    _require_waiting(change)
    _decide(change, State.WITHDRAWN, actor=actor, reason=reason)
    return change


def expire_changes() -> None:
    """End the changes in scope that waited too long."""
    late = GuardedChange.objects.select_for_update(skip_locked=True).filter(
        state=State.WAITING, requested_at__lte=Now() - WAITS_FOR
    )
    for change in late.order_by("id"):
        words = _("Nobody confirmed it in time.")
        _write(change, State.EXPIRED, {"decision_reason": words})
        _note(change, "expired", before=State.WAITING, actor=SYSTEM, reason=words)


def _lock(change_id: UUID) -> GuardedChange:
    return GuardedChange.objects.select_for_update().get(pk=change_id)


def _require_waiting(change: GuardedChange) -> None:
    if change.state != State.WAITING:
        raise Conflict(_("This change no longer waits: it is “%(state)s”.") % {"state": State(change.state).label})
    if change.requested_at + WAITS_FOR <= database_now():
        raise Conflict(_("Nobody confirmed this change in time; it has expired. Ask for it again."))


def _decide(change: GuardedChange, to: GuardedChange.State, *, actor: Actor, reason: str) -> None:
    stated = _stated(reason)
    _write(change, to, {"decided_by_id": actor.id, "decided_at": database_now(), "decision_reason": stated})
    _note(change, to.value, before=State.WAITING, actor=actor.stamp, reason=stated)


def _write(change: GuardedChange, to: GuardedChange.State, values: dict[str, Any]) -> None:
    for name, value in {"state": to, **values}.items():
        setattr(change, name, value)
    change.save(update_fields=["state", *values])


def _note(
    change: GuardedChange, step: str, *, before: GuardedChange.State | None, actor: ActorStamp, reason: str
) -> None:
    record(
        change.tenant_id,
        f"guarded_change.{step}",
        object_type="guarded change",
        object_id=change.pk,
        actor=actor,
        data={
            "kind": change.kind,
            "details": change.details,
            "requested_by": str(change.requested_by_id),
            "before": {"state": before.value} if before else None,
            "after": {"state": State(change.state).value},
            "reason": reason,
        },
    )


def _refusals_of(change: GuardedChange, actor: Actor) -> Any:
    return refusals_on_record(
        change.tenant_id,
        "guarded_change.confirmation_refused",
        object_type="guarded change",
        object_id=change.pk,
        actor=actor,
    )


def _stated(reason: str) -> str:
    if not reason.strip():
        raise BadRequest(_("Give a reason; it goes on record."))
    return reason.strip()
