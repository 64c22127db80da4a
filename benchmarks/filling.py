"""Fills a bench's database and its simulator: tenants, devices on both sides, and actions that wait to be sent."""

import json
import ssl
from uuid import UUID

import httpx
from uuid_utils.compat import uuid7

from connectors.models import Connection
from investigations.groups import ensure_default_group
from investigations.models import Device
from portal.audit.recording import SYSTEM
from portal.demo.processes import Premises
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source, State
from remediation.safeguards.models import HourlyCap


def fill(premises: Premises, *, tenants: int, actions: int) -> list[UUID]:
    """Make the tenants, each with its share of devices and one approved isolation for each; return their ids."""
    note = json.loads((premises.simulator_folder / "simulator.json").read_text())
    trust = ssl.create_default_context(cafile=note["ca_file"])
    with httpx.Client(base_url=note["url"], verify=trust, trust_env=False, timeout=60) as simulator:
        return [_fill_tenant(simulator, number, actions // tenants) for number in range(tenants)]


def _fill_tenant(simulator: httpx.Client, number: int, share: int) -> UUID:
    tenant = Tenant(id=uuid7(), slug=f"bench-{number}", name=f"Bench {number}", entra_tenant_id=uuid7())
    address = str(simulator.base_url).rstrip("/")
    with acting_for(tenant.id):
        tenant.save(force_insert=True)
        group = ensure_default_group(tenant.id)
        Connection.objects.create(tenant=tenant, login_url=address, defender_url=address, graph_url=address)
        devices = [
            Device(tenant=tenant, machine_id=f"{number:08x}{place:032x}", name=f"pc-{place}", group=group)
            for place in range(share)
        ]
        Device.objects.bulk_create(devices)
        HourlyCap.objects.create(tenant=tenant, action_type="isolate_device", cap=share)  # counted, and never reached
        propose(tenant.id, [_isolation(tenant, device) for device in devices], actor=SYSTEM)
    machines = [{"id": device.machine_id, "computerDnsName": device.name} for device in devices]
    simulator.put(f"/_simulator/tenants/{tenant.entra_tenant_id}", json={"machines": machines}).raise_for_status()
    return tenant.id


def _isolation(tenant: Tenant, device: Device) -> Proposal:
    return Proposal(
        tenant_id=tenant.id,
        type="isolate_device",
        source=Source.AUTOMATED_DEVICE,
        target=device.name,
        parameters={"isolation_type": "Full"},
        reason="Bench.",
        is_approved=True,
        device=device,
    )


def count_succeeded(tenant_ids: list[UUID]) -> int:
    """Return how many actions of these tenants have succeeded."""
    with viewing(tenant_ids):
        return RemediationAction.objects.filter(state=State.SUCCEEDED).count()
