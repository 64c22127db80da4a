"""Reliability row R9, with real workers: a noisy tenant keeps no other waiting."""

import json
import os
import ssl
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.db import connection
from django.utils.dateparse import parse_datetime

from connectors.models import Connection
from investigations.models import Device
from portal.audit.recording import SYSTEM
from portal.celery import app
from portal.demo.processes import Fleet, Premises, free_port, wait_until
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.bells import TASKS
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source, State
from remediation.safeguards.models import HourlyCap
from tests.factories import make_device

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

QUEUED = int(os.environ.get("FAIRNESS_QUEUED", "3000"))
BROKER = 12
TIMING = {
    "ACTION_LEASE_SECONDS": "40",
    "ACTION_QUIET_SECONDS": "10",
    "ACTION_DEADLINE_SECONDS": "10",
    "ACTION_POLL_SECONDS": "1",
    "SWEEP_SECONDS": "1",
    "SYNC_SECONDS": "86400",
}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Premises, httpx.Client]]:
    """Two worker processes, beat and the simulator on this test's database, without any quota of ours."""
    premises = Premises(
        folder=tmp_path,
        database=str(connection.settings_dict["NAME"]),
        broker=BROKER,
        web_port=free_port(),
        simulator_port=free_port(),
        timing={**TIMING, "MICROSOFT_QUOTA_PERCENT": "1000000"},
    )
    with redis.Redis.from_url(premises.broker_url) as broker:
        broker.flushdb()
    with Fleet(premises) as running:
        running.start("simulator")
        note = premises.simulator_folder / "simulator.json"
        wait_until(note.exists, "The simulator")
        trust = ssl.create_default_context(cafile=json.loads(note.read_text())["ca_file"])
        with httpx.Client(base_url=premises.simulator_url, verify=trust, trust_env=False, timeout=30) as simulator:
            running.start("worker", "beat")
            yield premises, simulator


def connect(tenant: Tenant, premises: Premises, simulator: httpx.Client, devices: list[Device]) -> None:
    """Connect a tenant to the simulator, which knows these devices of it."""
    url = premises.simulator_url
    with acting_for(tenant.id):
        Connection.objects.create(tenant=tenant, login_url=url, defender_url=url, graph_url=url)
    machines = [{"id": device.machine_id, "computerDnsName": device.name} for device in devices]
    simulator.put(f"/_simulator/tenants/{tenant.entra_tenant_id}", json={"machines": machines}).raise_for_status()


def ring(premises: Premises, tenant: Tenant) -> None:
    """Ring for a tenant at this fleet's own broker."""
    url = premises.broker_url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    with app.connection_for_write(url) as broker:
        app.send_task(TASKS["drain"], args=[str(tenant.id)], connection=broker)


def quarantines(tenant: Tenant, device: Device, count: int) -> None:
    """Queue so many actions that need nobody and hinder each other nowhere."""
    with acting_for(tenant.id):
        HourlyCap.objects.create(tenant=tenant, action_type="stop_and_quarantine_file", cap=100_000)
        proposals = [
            Proposal(
                tenant_id=tenant.id,
                type="stop_and_quarantine_file",
                source=Source.AUTOMATED_DEVICE,
                target=device.name,
                parameters={"sha1": f"{number:040x}"},
                reason="A test.",
                is_approved=True,
                device=device,
            )
            for number in range(count)
        ]
        propose(tenant.id, proposals, actor=SYSTEM)


def scan(tenant: Tenant, device: Device) -> RemediationAction:
    """Queue one scan."""
    proposal = Proposal(
        tenant_id=tenant.id,
        type="run_antivirus_scan",
        source=Source.AUTOMATED_DEVICE,
        target=device.name,
        parameters={"scan_type": "Quick"},
        reason="A test.",
        is_approved=True,
        device=device,
    )
    with acting_for(tenant.id):
        actions, _born = propose(tenant.id, [proposal], actor=SYSTEM)
    return next(iter(actions.values()))


def received_at(simulator: httpx.Client, tenant: Tenant) -> list[datetime]:
    """When the simulator was asked to act for a tenant."""
    answer = simulator.get("/_simulator/log", params={"tenant": str(tenant.entra_tenant_id)})
    actions = [entry for entry in answer.json()["entries"] if entry["external_id"]]
    return [moment for entry in actions if (moment := parse_datetime(entry["at"]))]


def has_more_than(count: int, simulator: httpx.Client, tenant: Tenant) -> bool:
    """Whether the simulator has been asked more often for a tenant."""
    return len(received_at(simulator, tenant)) > count


@pytest.mark.parametrize(
    "noise",
    [
        {"kind": "throttle", "retry_after": "1"},
        {"kind": "stall", "seconds": 8, "method": "POST", "path": "StopAndQuarantine"},
    ],
    ids=["a storm of 429", "no answer to what acts"],
)
def test_one_action_of_a_quiet_tenant_is_sent_within_two_seconds(
    noise: dict[str, Any], acme: Tenant, globex: Tenant, fleet: tuple[Premises, httpx.Client]
) -> None:
    premises, simulator = fleet
    noisy, quiet = make_device(acme, "noisy"), [make_device(globex, f"quiet-{number}") for number in range(4)]
    connect(acme, premises, simulator, [noisy])
    connect(globex, premises, simulator, quiet)
    simulator.post("/_simulator/faults", json={"tenant": str(acme.entra_tenant_id), **noise}).raise_for_status()
    quarantines(acme, noisy, QUEUED)
    ring(premises, acme)
    with redis.Redis.from_url(premises.broker_url) as broker:
        wait_until(lambda: broker.llen("celery") == 0, "The workers")
    time.sleep(2)

    waits: list[float] = []
    for device in quiet:
        begun = datetime.now(UTC)
        scan(globex, device)
        ring(premises, globex)
        seen = len(waits)
        wait_until(partial(has_more_than, seen, simulator, globex), "The quiet tenant's action", within=20)
        waits.append((received_at(simulator, globex)[seen] - begun).total_seconds())
        time.sleep(0.5)

    with acting_for(acme.id):
        assert RemediationAction.objects.filter(state=State.APPROVED).count() > QUEUED / 2, "it is noisy no more"
    # The middle one: without fairness all four wait for the noisy one's calls, on a busy machine one may wait for that.
    assert statistics.median_low(waits) <= 2.0, waits
