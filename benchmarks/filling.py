"""Fills a bench's database and its simulator: tenants, devices on both sides, and actions that wait to be sent."""

import json
import ssl
from datetime import UTC, datetime, timedelta
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


def fill(premises: Premises, *, tenants: int, actions: int, quota_percent: int = 0) -> list[UUID]:
    """Make the tenants, each with its share of devices and one approved isolation for each; return their ids.

    With a `quota_percent` the simulator holds each tenant to so much of Microsoft's quotas; without, to none.
    """
    note = json.loads((premises.simulator_folder / "simulator.json").read_text())
    trust = ssl.create_default_context(cafile=note["ca_file"])
    with httpx.Client(base_url=note["url"], verify=trust, trust_env=False, timeout=60) as simulator:
        ids = [_fill_tenant(simulator, number, actions // tenants) for number in range(tenants)]
        if quota_percent:
            limits = {"enforce_quotas": True, "quota_percent": quota_percent}
            for tenant_id in ids:
                simulator.put(f"/_simulator/tenants/{_entra_id(tenant_id)}", json=limits).raise_for_status()
        return ids


def _fill_tenant(simulator: httpx.Client, number: int, share: int) -> UUID:
    tenant = Tenant(id=uuid7(), slug=f"bench-{number}", name=f"Bench {number}", entra_tenant_id=uuid7())
    address = str(simulator.base_url).rstrip("/")
    with acting_for(tenant.id):
        tenant.save(force_insert=True)
        group = ensure_default_group(tenant.id)
        _connect(tenant, address)
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


def _connect(tenant: Tenant, address: str) -> None:
    """Make a connection that was read and checked a moment ago: what is measured is sending."""
    now = datetime.now(UTC)
    Connection.objects.create(
        tenant=tenant,
        login_url=address,
        defender_url=address,
        graph_url=address,
        exchange_url=address,
        checked_at=now,
        next_sync_at=now + timedelta(days=1),
    )


def _entra_id(tenant_id: UUID) -> UUID:
    with acting_for(tenant_id):
        return Tenant.objects.get(pk=tenant_id).entra_tenant_id


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
