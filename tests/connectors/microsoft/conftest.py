"""Two servers to talk to: the simulator in its own process, and a small one whose behaviour a test writes down.

The small one does what no well-made server would: drip, break off, answer about something else.
"""

import base64
import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import trustme

from connectors.microsoft.connector import Microsoft
from connectors.microsoft.http import Api
from connectors.microsoft.sign_in import DEFENDER, Resource
from connectors.protocol import ActionRequest, ConnectionSettings, Receipt, RemoteState
from portal.secrets.secret_text import SecretText

TENANT = "7c2f9e10-41b8-4d07-9a3e-5d6b8e0f1a22"

Script = Callable[[socket.socket, bytes], None]


class Wire:
    """Listens on localhost and runs `script` for each whole request; `requests` keeps what came in, in order."""

    def __init__(self, authority: trustme.CA) -> None:
        self.script: Script = lambda _socket, _request: None
        self.requests: list[bytes] = []
        self._trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(self._trust)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), self._trust.wrap_socket(plain, server_side=True) as connection:
            while request := _read(connection):
                self.requests.append(request)
                self.script(connection, request)


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65536)):
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def http(status: int, body: object = None, **headers: str) -> bytes:
    """A well-formed answer with a JSON body."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def drip(out: socket.socket, start: bytes) -> None:
    """Send `start` and then one byte every 50 ms, for 5 s."""
    out.sendall(start)
    for _ in range(100):
        time.sleep(0.05)
        out.sendall(b"x")


def reset(connection: socket.socket) -> None:
    """End the connection the hard way."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def token(**claims: object) -> str:
    """A token as Entra shapes it; nobody verifies the signature here."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.c2lnbmVk"


class Tokens:
    """Hands out numbered tokens, a new number after each `forget`."""

    def __init__(self) -> None:
        self.forgotten = 0

    def token(self, resource: Resource) -> str:
        return f"secret-token-{self.forgotten}"

    def forget(self) -> None:
        self.forgotten += 1


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def wire(authority: trustme.CA) -> Iterator[Wire]:
    server = Wire(authority)
    yield server
    server.close()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def api(wire: Wire, tokens: Tokens, ca_file: str) -> Api:
    """Defender at the wire, with one second for each call, for a tenant whose quotas nobody has touched."""
    return Api(wire.url, resource=DEFENDER, tokens=tokens, tenant_id=str(uuid4()), ca_file=ca_file, deadline_seconds=1)


@dataclass(frozen=True)
class Simulator:
    """The simulator in its own process, and the admin's view of one fresh tenant in it."""

    url: str
    ca_file: str
    tenant_id: str

    @property
    def settings(self) -> ConnectionSettings:
        return ConnectionSettings(
            kind="microsoft",
            entra_tenant_id=self.tenant_id,
            client_id="quell-demo",
            client_secret=SecretText("demo-secret"),
            login_url=self.url,
            defender_url=self.url,
            graph_url=self.url,
            exchange_url=self.url,
            ca_file=self.ca_file,
        )

    def seed(self, **what: object) -> None:
        self.admin("PUT", f"/tenants/{self.tenant_id}", what)

    def fault(self, **what: object) -> None:
        self.admin("POST", "/faults", {"tenant": self.tenant_id, **what})

    @property
    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts the simulator."""
        return ssl.create_default_context(cafile=self.ca_file)

    def upload(self, name: str, content: bytes) -> None:
        """Put a file into the tenant's library, as somebody else would."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "quell-demo",
            "client_secret": "demo-secret",
            "scope": "https://api.securitycenter.microsoft.com/.default",
        }
        login = httpx.post(f"{self.url}/{self.tenant_id}/oauth2/v2.0/token", data=form, verify=self.trust)
        httpx.post(
            f"{self.url}/api/libraryfiles",
            headers={"Authorization": f"Bearer {login.json()['access_token']}"},
            files={"file": (name, content)},
            data={"OverrideIfExists": "true"},
            verify=self.trust,
        ).raise_for_status()

    def accepted(self) -> list[dict[str, Any]]:
        """What it has accepted for this tenant: the judge."""
        entries = self.admin("GET", f"/log?tenant={self.tenant_id}")["entries"]
        return [entry for entry in entries if entry["accepted"]]

    def admin(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(method, f"{self.url}/_simulator{path}", json=body, verify=self.trust)
        return answer.raise_for_status().json()


@pytest.fixture(scope="session")
def simulator_note(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start the simulator once and return what it says about itself."""
    data = tmp_path_factory.mktemp("simulator")
    command = [sys.executable, "-m", "connectors.simulator", "--data", str(data), "--action-seconds", "0.4"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    note = data / "simulator.json"
    ends = time.monotonic() + 30
    while not note.exists():
        assert process.poll() is None, "the simulator ended at once"
        assert time.monotonic() < ends, "the simulator did not start within 30 s"
        time.sleep(0.05)
    yield json.loads(note.read_text())
    process.terminate()
    process.wait(10)


@pytest.fixture
def simulator(simulator_note: dict[str, str]) -> Simulator:
    """A tenant of its own for each test, with one machine and two messages to one person."""
    fresh = Simulator(simulator_note["url"], simulator_note["ca_file"], str(uuid4()))
    emails = [{"networkMessageId": str(UUID(int=n)), "recipientEmailAddress": "ada@x.example"} for n in (1, 2)]
    fresh.seed(machines=[{"id": "a" * 40, "computerDnsName": "lap-01"}], emails=emails)
    return fresh


def await_end(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    """Look up until the action is there and neither pending nor in progress."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        receipt = microsoft.look_up([action]).found.get(action.action_id)
        if receipt is not None and receipt.state not in {RemoteState.PENDING, RemoteState.IN_PROGRESS}:
            return receipt
        time.sleep(0.1)
    raise AssertionError("the action did not end within 10 s")
