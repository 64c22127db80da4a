"""The stage of a run: its tenants, people, devices and mails, in the portal's database and at the simulator.

Imported after the environment says which database; that is why `run` imports it late.
"""

import json
import ssl
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from uuid_utils.compat import uuid7

from connectors.models import Connection
from investigations.groups import ensure_default_group
from investigations.models import Device
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.catalogue import CATALOGUE
from remediation.safeguards.models import HourlyCap
from tests.chaos.fault_run.plan import Order, Plan
from tests.chaos.fault_run.premises import CLIENT_ID, CLIENT_SECRET, Premises

Json = dict[str, Any]
PEOPLE: Final = {"ada": Role.ANALYST, "bob": Role.APPROVER, "bea": Role.APPROVER}
CAP: Final = 100_000
NAMESPACE: Final = uuid.UUID("6f1ab8f6-53f1-4a57-9b5f-3f5a6c2d7e10")


class Simulator:
    """The simulator as its operator sees it, and as a stranger with the customer's consent would."""

    def __init__(self, folder: Path) -> None:
        note = json.loads((folder / "simulator.json").read_text())
        self._log = folder / "accepted.log"
        trust = ssl.create_default_context(cafile=note["ca_file"])
        self.url: str = note["url"]
        self._web = httpx.Client(base_url=self.url, verify=trust, trust_env=False, timeout=60)

    def seed(self, tenant_id: object, scene: Json) -> None:
        """Add to a tenant, or change how it behaves."""
        self._web.put(f"/_simulator/tenants/{tenant_id}", json=scene).raise_for_status()

    def add_fault(self, **fault: Any) -> str:
        """Switch a fault on and return its id."""
        return str(self._web.post("/_simulator/faults", json=fault).raise_for_status().json()["id"])

    def faults(self) -> list[Json]:
        """Return the faults with how often each struck."""
        rows: list[Json] = self._web.get("/_simulator/faults").raise_for_status().json()["faults"]
        return rows

    def log_text(self) -> str:
        """Return the log of every call that acts, as it stands."""
        return self._log.read_text()

    def log_entries(self, tenant_id: str) -> list[Json]:
        """Return a tenant's lines of that log."""
        lines: list[Json] = [json.loads(line) for line in self.log_text().splitlines()]
        return [line for line in lines if line["tenant"] == tenant_id.lower()]

    def act_as_stranger(self, tenant_id: object, machine_id: str, verb: str, body: Json) -> int:
        """Ask for a machine action in the customer's own name, not Quell's; return the HTTP status."""
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": "https://api.securitycenter.microsoft.com/.default",
        }
        token = self._web.post(f"/{tenant_id}/oauth2/v2.0/token", data=form).json().get("access_token", "")
        headers = {"Authorization": f"Bearer {token}"}
        return self._web.post(f"/api/machines/{machine_id}/{verb}", json=body, headers=headers).status_code


@dataclass(frozen=True, slots=True)
class Stage:
    """What orders are made on."""

    simulator: Simulator
    tenants: tuple[Tenant, ...]
    people: dict[str, User]


def machine_id(order: Order) -> str:
    """Return Defender's id of the device of an order."""
    return f"{order.tenant:08x}{order.place:032x}"


def message_id(order: Order) -> str:
    """Return the network message id of the mail of an order."""
    return str(uuid.uuid5(NAMESPACE, f"{order.tenant}/{order.place}"))


def recipient(order: Order) -> str:
    """Return whose mailbox the mail of an order is in."""
    return f"person-{order.place}@tenant-{order.tenant}.example"


def set_stage(premises: Premises, plan: Plan, *, tenants: int) -> Stage:
    """Make everything the plan's orders are about. Limits per hour are counted, and so high that none is reached."""
    people = {name: User.objects.create_user(f"{name}@chaos.example", name=name.title()) for name in PEOPLE}
    simulator = Simulator(premises.simulator_folder)
    by_tenant: list[list[Order]] = [[] for _ in range(tenants)]
    for order in plan.orders:
        by_tenant[order.tenant].append(order)
    rows = [_set_tenant(number, orders, simulator, people) for number, orders in enumerate(by_tenant)]
    return Stage(simulator, tuple(rows), people)


def _set_tenant(number: int, orders: list[Order], simulator: Simulator, people: dict[str, User]) -> Tenant:
    tenant = Tenant(id=uuid7(), slug=f"chaos-{number}", name=f"Chaos {number}", entra_tenant_id=uuid7())
    address = simulator.url
    with acting_for(tenant.id):
        tenant.save(force_insert=True)
        group = ensure_default_group(tenant.id)
        Connection.objects.create(tenant=tenant, login_url=address, defender_url=address, graph_url=address)
        TenantMembership.objects.bulk_create(
            TenantMembership(tenant=tenant, user=people[name], role=role) for name, role in PEOPLE.items()
        )
        HourlyCap.objects.bulk_create(
            HourlyCap(tenant=tenant, action_type=kind.name, cap=CAP)
            for kind in CATALOGUE.values()
            if kind.hourly_cap is not None
        )
        devices = [
            Device(tenant=tenant, machine_id=machine_id(order), name=f"pc-{order.place}", group=group)
            for order in orders
            if not order.is_mail
        ]
        Device.objects.bulk_create(devices)
    machines = [{"id": device.machine_id, "computerDnsName": device.name} for device in devices]
    emails = [
        {"networkMessageId": message_id(order), "recipientEmailAddress": recipient(order)}
        for order in orders
        if order.is_mail
    ]
    simulator.seed(tenant.entra_tenant_id, {"machines": machines, "emails": emails})
    return tenant
