"""One simulator in its own process for all tests of the session, and tenants of its own for each test."""

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
ACTION_SECONDS = 0.4
DEFENDER = "https://api.securitycenter.microsoft.com"
GRAPH = "https://graph.microsoft.com"
ZIP = "va-_-7-zip-_-7-zip"


@dataclass
class RunningSimulator:
    """Where the simulator listens, and a client for its admin endpoints."""

    url: str
    directory: Path
    admin: httpx.Client

    @property
    def ca_file(self) -> str:
        """The certificate to trust."""
        return str(self.directory / "ca.pem")

    @property
    def tls(self) -> ssl.SSLContext:
        """A client's context that trusts only the simulator."""
        return ssl.create_default_context(cafile=self.ca_file)

    def ask_token(self, tenant: str, **changes: str) -> httpx.Response:
        """The raw answer of the token endpoint to the demo client, with some fields changed."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "quell-demo",
            "client_secret": "demo-secret",
            "scope": f"{DEFENDER}/.default",
        }
        return self.admin.post(f"/{tenant}/oauth2/v2.0/token", data={**form, **changes})

    def client(self, tenant: str, audience: str) -> httpx.Client:
        """A client with a bearer for one tenant and one API."""
        bearer = self.ask_token(tenant, scope=f"{audience}/.default").json()["access_token"]
        return httpx.Client(
            base_url=self.url,
            verify=self.tls,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=10,
            trust_env=False,
        )


@dataclass
class Company:
    """One seeded tenant, with clients that carry its tokens."""

    id: str
    simulator: RunningSimulator
    defender: httpx.Client
    graph: httpx.Client
    machines: list[str] = field(default_factory=list)

    def act(self, verb: str, machine: int = 0, **body: Any) -> httpx.Response:
        """Post one verb for one of the company's machines."""
        return self.defender.post(f"/api/machines/{self.machines[machine]}/{verb}", json={"Comment": "test", **body})

    def actions(self, **query: str) -> list[dict[str, Any]]:
        """The machine actions that reads show."""
        rows: list[dict[str, Any]] = self.defender.get("/api/machineactions", params=query).json()["value"]
        return rows

    def mail(self, message_id: str) -> dict[str, Any]:
        """The one mail with this message id, as Graph shows it."""
        query = {
            "startTime": "2020-01-01T00:00:00Z",
            "endTime": "2100-01-01T00:00:00Z",
            "$filter": f"networkMessageId eq '{message_id}' and recipientEmailAddress eq 'ada@acme.example'",
        }
        [found] = self.graph.get("/v1.0/security/collaboration/analyzedEmails", params=query).json()["value"]
        return dict(found)

    def remediate(self, message_id: str, action: str, **changes: Any) -> httpx.Response:
        """Ask for one mail to be moved."""
        body = {
            "displayName": "quell 1",
            "description": "test",
            "severity": "medium",
            "action": action,
            "remediateSendersCopy": False,
            "analyzedEmails": [{"networkMessageId": message_id, "recipientEmailAddress": "ada@acme.example"}],
        }
        return self.graph.post("/v1.0/security/collaboration/analyzedEmails/remediate", json={**body, **changes})

    def upload(self, name: str, content: bytes = b"Write-Output 'hello'\n", **form: str | None) -> httpx.Response:
        """Put a file into the live-response library."""
        given = {"Description": "a test", "HasParameters": "false", "OverrideIfExists": "false", **form}
        parts = {part: (None, value) for part, value in given.items() if value is not None}
        return self.defender.post("/api/libraryfiles", files={"File": (name, content), **parts})

    def run(self, *commands: tuple[str, dict[str, str]], machine: int = 0, **body: Any) -> httpx.Response:
        """Open a live-response session of some commands."""
        asked = [
            {"type": kind, "params": [{"key": key, "value": value} for key, value in params.items()]}
            for kind, params in commands
        ]
        return self.act("runliveresponse", machine=machine, Commands=asked, **body)

    def slow_down(self, seconds: float) -> None:
        """Make what is accepted from now on take this long."""
        self.seed(action_seconds=seconds)

    def seed(self, **what: Any) -> None:
        """Add to the tenant, or change how it behaves."""
        answer = self.simulator.admin.put(f"/_simulator/tenants/{self.id}", json=what)
        assert answer.status_code == 200, answer.text

    @contextmanager
    def raw_act(self, verb: str, **body: Any) -> Iterator[ssl.SSLSocket]:
        """Post one verb over a bare TLS socket, and leave the reading to the caller."""
        content = json.dumps({"Comment": "test", **body})
        request = (
            f"POST /api/machines/{self.machines[0]}/{verb} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: {self.defender.headers['authorization']}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        address = httpx.URL(self.simulator.url)
        with (
            socket.create_connection((address.host, address.port), timeout=5) as plain,
            self.simulator.tls.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall((request + content).encode())
            yield connection

    def truth(self) -> dict[str, Any]:
        """What is true behind the scenes."""
        view: dict[str, Any] = self.simulator.admin.get(f"/_simulator/tenants/{self.id}").json()
        return view

    def log(self, **query: str) -> list[dict[str, Any]]:
        """The log's entries for this tenant."""
        answer = self.simulator.admin.get("/_simulator/log", params={"tenant": self.id, **query})
        entries: list[dict[str, Any]] = answer.json()["entries"]
        return entries

    def fault(self, kind: str, **more: Any) -> dict[str, Any]:
        """Switch a fault on for this tenant only."""
        answer = self.simulator.admin.post("/_simulator/faults", json={"kind": kind, "tenant": self.id, **more})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """The simulator on a free port, ended with the session."""
    directory = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "connectors.simulator", "--data", str(directory)]
    process = subprocess.Popen([*command, "--action-seconds", str(ACTION_SECONDS)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        note = json.loads((directory / "simulator.json").read_text())
        assert note == {"url": url, "ca_file": str(directory / "ca.pem"), "pid": process.pid}
        tls = ssl.create_default_context(cafile=note["ca_file"])
        with httpx.Client(base_url=url, verify=tls, timeout=10, trust_env=False) as admin:
            yield RunningSimulator(url, directory, admin)
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def found_company(simulator: RunningSimulator) -> Iterator[Callable[..., Company]]:
    """Makes a new tenant from a seed; its clients are closed and its faults are gone after the test."""
    companies: list[Company] = []

    def found(**seed: Any) -> Company:
        tenant = str(uuid4())
        answer = simulator.admin.put(f"/_simulator/tenants/{tenant}", json=seed)
        assert answer.status_code == 200, answer.text
        machines = [machine["id"] for machine in answer.json()["machines"]]
        clients = simulator.client(tenant, DEFENDER), simulator.client(tenant, GRAPH)
        companies.append(Company(tenant, simulator, *clients, machines))
        return companies[-1]

    yield found
    simulator.admin.delete("/_simulator/faults")
    for company in companies:
        company.defender.close()
        company.graph.close()


@pytest.fixture
def acme(found_company: Callable[..., Company]) -> Company:
    """A tenant with two Windows machines, a Linux one, a mail and an alert."""
    return found_company(
        machines=[
            {"computerDnsName": "acme-1"},
            {"computerDnsName": "acme-2"},
            {"computerDnsName": "acme-linux", "osPlatform": "Ubuntu"},
        ],
        emails=[{"networkMessageId": "mail-1", "recipientEmailAddress": "ada@acme.example"}],
        alerts=[{"title": "Credential dumper", "evidence": []}],
    )


@pytest.fixture
def globex(found_company: Callable[..., Company]) -> Company:
    """Another customer's tenant, with one machine and a mail to the same address as acme's."""
    return found_company(
        machines=[{"computerDnsName": "globex-1"}],
        emails=[{"networkMessageId": "mail-1", "recipientEmailAddress": "ada@acme.example"}],
    )


@pytest.fixture
def weak(found_company: Callable[..., Company]) -> Company:
    """A tenant with three machines exposed to 7-Zip, an activity of Defender's and a security task about them."""
    entra = [str(UUID(int=number)) for number in (1, 2, 3)]
    machines = [
        {"id": f"a{number}" * 20, "computerDnsName": f"pc-{number}", "aadDeviceId": device}
        for number, device in enumerate(entra, start=1)
    ]
    ids = [machine["id"] for machine in machines]
    return found_company(
        machines=machines,
        managed_devices=[{"deviceName": f"PC-{n}", "azureADDeviceId": device} for n, device in enumerate(entra[:2], 1)],
        recommendations=[
            {"id": ZIP, "exposed": ids, "cves": ["CVE-2025-0411"], "severityScore": 8.5},
            {"id": "sca-_-scid-2011", "severityScore": 3},
        ],
        remediation_tasks=[{"title": "Update 7-zip", "machines": ids[:2], "recommendationReference": ZIP}],
        security_tasks=[{"displayName": "Update 7-Zip", "managedDevices": entra, "creatorNotes": "Please"}],
    )


@pytest.fixture
def after_action() -> Callable[[], None]:
    """Waits until what was accepted before has taken effect."""
    return lambda: time.sleep(ACTION_SECONDS + 0.1)
