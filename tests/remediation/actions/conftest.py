"""The simulator in a process of its own, and Acme connected to it with short times."""

import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from connectors.clouds import ADDRESSES
from connectors.models import Connection
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import tasks
from remediation.actions.models import RemediationAction

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 20.0


@dataclass(frozen=True)
class Vendor:
    """The running simulator, seen from outside."""

    url: str
    ca_file: str
    admin: httpx.Client

    def seed(self, tenant: Tenant, **rows: Any) -> None:
        """Give the tenant machines and mails there."""
        self.admin.put(f"/_simulator/tenants/{tenant.entra_tenant_id}", json=rows).raise_for_status()

    def fault(self, kind: str, **fields: Any) -> None:
        """Switch a fault on."""
        self.admin.post("/_simulator/faults", json={"kind": kind, **fields}).raise_for_status()

    def received(self, tenant: Tenant) -> list[dict[str, Any]]:
        """What the tenant's log says was asked for."""
        answer = self.admin.get("/_simulator/log", params={"tenant": str(tenant.entra_tenant_id)})
        return list(answer.json()["entries"])

    def truth(self, tenant: Tenant) -> dict[str, Any]:
        """How the tenant's machines and mails really are."""
        return dict(self.admin.get(f"/_simulator/tenants/{tenant.entra_tenant_id}").json())


@pytest.fixture(scope="session")
def vendor_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    """One simulator for the session."""
    folder = tmp_path_factory.mktemp("vendor")
    process = subprocess.Popen(
        [sys.executable, "-m", "connectors.simulator", "--data", str(folder), "--action-seconds", "0.2"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (folder / "simulator.json").exists():
            assert time.monotonic() < deadline, "the simulator did not start"
            time.sleep(0.05)
        found = json.loads((folder / "simulator.json").read_text())
        trust = ssl.create_default_context(cafile=found["ca_file"])
        with httpx.Client(base_url=found["url"], verify=trust, trust_env=False, timeout=10) as admin:
            yield Vendor(found["url"], found["ca_file"], admin)
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def vendor(vendor_process: Vendor, settings: Settings) -> Iterator[Vendor]:
    """The simulator without faults, and settings that wait fractions of seconds."""
    settings.MICROSOFT_CLIENT_ID, settings.MICROSOFT_CLIENT_SECRET = "quell-demo", "demo-secret"
    settings.MICROSOFT_CA_FILE = vendor_process.ca_file
    settings.ACTION_LEASE_SECONDS, settings.ACTION_DEADLINE_SECONDS = 4.0, 1.0
    settings.ACTION_QUIET_SECONDS, settings.ACTION_POLL_SECONDS = 1.0, 0.1
    yield vendor_process
    vendor_process.admin.delete("/_simulator/faults")


@pytest.fixture
def connected(acme: Tenant, vendor: Vendor) -> Tenant:
    """Acme with a connection to the simulator."""
    vendor.seed(acme, machines=[])
    with acting_for(acme.id):
        Connection.objects.create(tenant=acme, **dict.fromkeys(ADDRESSES, vendor.url))
    return acme


def state_of(action: RemediationAction) -> str:
    """The action's state as it is now."""
    with acting_for(action.tenant_id):
        return str(RemediationAction.objects.values_list("state", flat=True).get(pk=action.pk))


def work_until(tenant: Tenant, is_done: Callable[[], bool], *, seconds: float = 15.0) -> None:
    """Do what workers and beat do, over and over, until it is done."""
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, "it did not end in time"
        tasks.sweep()
        tasks.drain(str(tenant.id))
        tasks.settle(str(tenant.id))
        time.sleep(0.1)


@pytest.fixture
def run() -> Callable[[RemediationAction, str], None]:
    """Work until an action is in a state."""

    def until(action: RemediationAction, state: str) -> None:
        with acting_for(action.tenant_id):
            tenant = Tenant.objects.get(pk=action.tenant_id)
        work_until(tenant, lambda: state_of(action) == state)

    return until
