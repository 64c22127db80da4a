"""The example tenants: who they are, how they sort their devices, and what those devices are called."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from investigations.grouping import Rule, RuleOperator, RuleProperty
from investigations.states import AutomationLevel


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """A device group and the devices made for it: `prefix` begins their names, `zone` stands before the domain."""

    name: str
    prefix: str
    rule: Rule
    os_platform: str = "Windows11"
    zone: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Company:
    """One example tenant. Both ids are fixed, so that every start means the same tenant."""

    slug: str
    name: str
    tenant_id: UUID
    entra_tenant_id: UUID
    domain: str
    groups: Mapping[AutomationLevel, GroupPlan]

    def machine(self, level: AutomationLevel, number: int) -> dict[str, Any]:
        """Return one device of the group with this automation level, as Defender lists machines."""
        plan = self.groups[level]
        place = f"{plan.zone}.{self.domain}" if plan.zone else self.domain
        name = f"{plan.prefix}-{number:02d}.{place}"
        return {
            "id": hashlib.sha1(f"{self.entra_tenant_id}/{name}".encode(), usedforsecurity=False).hexdigest(),
            "computerDnsName": name,
            "osPlatform": plan.os_platform,
            "rbacGroupName": plan.name,
            "machineTags": [plan.tag] if plan.tag else [],
            "isAadJoined": True,
            "aadDeviceId": str(uuid5(self.entra_tenant_id, name)),
            "lastIpAddress": f"10.20.{len(plan.prefix)}.{number + 10}",
        }

    def machines(self, each: int) -> list[dict[str, Any]]:
        """Return so many devices of every group."""
        return [self.machine(level, number) for level in self.groups for number in range(1, each + 1)]


def _groups(
    *,
    none: tuple[str, str],
    servers: tuple[str, str],
    core: tuple[str, str],
    temp: tuple[str, str],
    full: tuple[str, str],
) -> dict[AutomationLevel, GroupPlan]:
    """Return a group for each automation level from (name, prefix) pairs, highest rank first."""

    def by(looked_at: RuleProperty, operator: RuleOperator, value: str) -> Rule:
        return Rule(looked_at, operator, value)

    starts, equals = RuleOperator.STARTS_WITH, RuleOperator.EQUALS
    return {
        AutomationLevel.NO_AUTOMATED_RESPONSE: GroupPlan(*none, by(RuleProperty.NAME, starts, f"{none[1]}-")),
        AutomationLevel.SEMI_ALL_FOLDERS: GroupPlan(
            *servers, by(RuleProperty.OS, starts, "WindowsServer"), os_platform="WindowsServer2022"
        ),
        AutomationLevel.SEMI_CORE_FOLDERS: GroupPlan(*core, by(RuleProperty.TAG, equals, core[1]), tag=core[1]),
        AutomationLevel.SEMI_NON_TEMP_FOLDERS: GroupPlan(
            *temp, by(RuleProperty.NAME, starts, f"{temp[1]}-"), zone=temp[1]
        ),
        AutomationLevel.FULL: GroupPlan(*full, by(RuleProperty.NAME, starts, f"{full[1]}-")),
    }


NORDFJELL: Final = Company(
    slug="nordfjell-hospital",
    name="Nordfjell Hospital",
    tenant_id=UUID("01900000-0000-7000-8000-000000000a01"),
    entra_tenant_id=UUID("7b1c2f52-6d0e-4c39-9a55-21f0c9a4d101"),
    domain="nordfjell.example",
    groups=_groups(
        none=("Medical devices", "med"),
        servers=("Clinical servers", "srv"),
        core=("Administration", "adm"),
        temp=("Laboratory", "lab"),
        full=("Ward workstations", "ward"),
    ),
)
LUMIERE: Final = Company(
    slug="brasserie-lumiere",
    name="Brasserie Lumière",
    tenant_id=UUID("01900000-0000-7000-8000-000000000a02"),
    entra_tenant_id=UUID("c2a9e0d4-35b8-4f0a-8f61-5b7e3d90e202"),
    domain="lumiere.example",
    groups=_groups(
        none=("Kitchen controllers", "oven"),
        servers=("Servers", "srv"),
        core=("Head office", "office"),
        temp=("Tills", "till"),
        full=("Reservations desks", "desk"),
    ),
)
KANDA: Final = Company(
    slug="kanda-logistics",
    name="Kanda Logistics",
    tenant_id=UUID("01900000-0000-7000-8000-000000000a03"),
    entra_tenant_id=UUID("e57d8c16-90aa-4b27-b1d3-7c4f2a68f303"),
    domain="kanda.example",
    groups=_groups(
        none=("Conveyor stations", "belt"),
        servers=("Data centre", "srv"),
        core=("Dispatch office", "dispatch"),
        temp=("Drivers' laptops", "van"),
        full=("Warehouse terminals", "dock"),
    ),
)
COMPANIES: Final = (NORDFJELL, LUMIERE, KANDA)
