"""How many people a new action asks for: its rule's number, and two where a brake is on.

The claim holds the limits and the protection itself, whatever is asked here; this only asks people in good time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count
from django.utils.translation import gettext as _

from investigations.models import Device
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.catalogue import CATALOGUE
from remediation.safeguards.caps import APPROVALS_TO_PASS, caps_of, used_this_hour
from remediation.safeguards.protection import APPROVALS_NEEDED, DESTRUCTIVE, protected_among
from remediation.safeguards.rules import required_approvals


@dataclass(frozen=True, slots=True)
class Demand:
    """How many approvals an action needs, 0 for none, and what to add to its reason if it was to run by itself."""

    approvals: int
    addition: str = ""


@dataclass(slots=True)
class Brakes:
    """A tenant's rules, what its hourly limits leave room for, and which devices are protected."""

    rules: Mapping[str, int]
    room: dict[str, int]
    protected: Collection[UUID]

    def judge(self, type_name: str, device: Device | None, *, is_approved: bool) -> Demand:
        """Return what a new action needs; one that runs by itself takes up room, so the order of asking counts."""
        usual = self.rules[type_name]
        if CATALOGUE[type_name].is_ordered_alone:
            return Demand(0 if is_approved else usual)
        if device is not None and device.pk in self.protected and type_name in DESTRUCTIVE:
            return Demand(
                max(usual, APPROVALS_NEEDED), _("The device is protected: two people decide.") if is_approved else ""
            )
        if self.room.get(type_name, 1) <= 0:
            words = _("The limit per hour for this action is reached: two people decide.")
            return Demand(max(usual, APPROVALS_TO_PASS), words if is_approved else "")
        if not is_approved:
            return Demand(usual)
        if type_name in self.room:
            self.room[type_name] -= 1
        return Demand(0)


def look_up_brakes(tenant_id: UUID, types: Collection[str], devices: Collection[Device]) -> Brakes:
    """Return the brakes that concern these types of action and devices, in a few queries for all of them."""
    caps, used = caps_of(tenant_id, types), used_this_hour(tenant_id, types)
    approved = dict(
        RemediationAction.objects.filter(tenant=tenant_id, state=State.APPROVED, type__in=list(caps))
        .order_by()
        .values_list("type")
        .annotate(count=Count("*"))
    )
    return Brakes(
        rules=required_approvals(tenant_id, types),
        room={name: cap - used.get(name, 0) - approved.get(name, 0) for name, cap in caps.items()},
        protected=protected_among({device.pk for device in devices}),
    )
