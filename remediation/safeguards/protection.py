"""Protected devices: nothing cuts one off, stops or deletes anything on it, unless two people approved exactly that.

Protecting a device takes one person and holds at once; taking the protection away takes two.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from investigations.models import Device
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import ActorStamp, record
from portal.tenancy.scope import database_now
from remediation.catalogue import CATALOGUE
from remediation.safeguards.models import ProtectedDevice

APPROVALS_NEEDED: Final = 2
DESTRUCTIVE: Final = sorted(name for name, kind in CATALOGUE.items() if kind.is_destructive)
"""The types of action a protected device is protected from, for `IS_SHIELDED`."""

IS_SHIELDED: Final = """(a.type = ANY (%(destructive)s::text[]) AND (
    SELECT count(*) FROM safeguards_protecteddevice p
    WHERE p.tenant_id = a.tenant_id AND p.device_id = a.device_id) > 0)"""
"""SQL over an action `a`: whether it would harm a device that is protected by now."""


def protect(device: Device, *, actor: Actor, reason: str) -> ProtectedDevice:
    """Protect a device from now on, what is approved and not sent yet included.

    Raises Forbidden, BadRequest without a reason, Conflict if it is protected.
    """
    actor.require(Capability.MANAGE_APPROVAL_POLICY, device.tenant_id)
    if not reason.strip():
        raise BadRequest(_("Give a reason; it goes on record."))
    row = ProtectedDevice(
        tenant_id=device.tenant_id,
        device=device,
        reason=reason.strip(),
        protected_by=actor.label,
        protected_at=database_now(),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("%(device)s is protected already.") % {"device": device}) from error
    _note(row, "protected", actor.stamp, before=None, after={"reason": row.reason})
    return row


def protected_among(device_ids: Collection[UUID]) -> set[UUID]:
    """Return which of these devices in scope are protected, in one query."""
    wanted = set(device_ids)
    if not wanted:
        return set()
    return set(ProtectedDevice.objects.filter(device__in=wanted).values_list("device_id", flat=True))


def find_protection(device_id: UUID) -> ProtectedDevice | None:
    """Return the protection of a device in scope."""
    return ProtectedDevice.objects.filter(device=device_id).first()


def check_unprotect(tenant_id: UUID, details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of taking a protection away as they are kept. Raises BadRequest if there is none."""
    row = _find(tenant_id, details)
    if row is None:
        raise BadRequest(_("There is no such device, or it is not protected."))
    return {"device": str(row.device_id)}


def describe_unprotect(tenant_id: UUID, details: Mapping[str, Any]) -> str:
    """Say in one sentence what taking the protection away does."""
    device = Device.objects.filter(tenant=tenant_id, pk=details["device"]).first()
    words = _("%(device)s is no longer protected: automation and a single approver can act on it again.")
    return words % {"device": device or _("A device that is no longer there")}


def make_unprotect(tenant_id: UUID, details: Mapping[str, Any], actor: ActorStamp) -> None:
    """Take the protection away and put it on record. Raises BadRequest if there is none."""
    row = _find(tenant_id, details)
    if row is None:
        raise BadRequest(_("There is no such device, or it is not protected."))
    _note(row, "unprotected", actor, before={"reason": row.reason}, after=None)
    row.delete()


def _find(tenant_id: UUID, details: Mapping[str, Any]) -> ProtectedDevice | None:
    try:
        wanted = UUID(str(details.get("device", "")))
    except ValueError:
        return None
    return ProtectedDevice.objects.select_related("device").filter(tenant=tenant_id, device=wanted).first()


def _note(
    row: ProtectedDevice, step: str, by: ActorStamp, *, before: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    """The event is the device's: its page and history show it."""
    record(
        row.tenant_id,
        f"device.{step}",
        object_type="device",
        object_id=row.device_id,
        actor=by,
        data={"target": str(row.device), "before": before, "after": after},
    )
