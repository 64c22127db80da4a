"""Right action, wrong customer: a token of the other tenant is refused before a connection to its API is opened."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.protocol import ActionRequest, ConnectionSettings, ConnectorError, Refused
from portal.secrets.secret_text import SecretText
from tests.connectors.contract.recording import PARAMETERS
from tests.connectors.microsoft.conftest import TENANT, Wire, authority, ca_file, http, token, wire

__all__ = ["authority", "ca_file", "wire"]

THEIRS = "11111111-2222-3333-4444-555555555555"
AUDIENCES = {
    b"graph": "https://graph.microsoft.com",
    b"securitycenter": "https://api.securitycenter.microsoft.com",
    b"outlook": "https://outlook.office365.com",
}
FORMER = {"mailbox": {"ForwardingSmtpAddress": "smtp:x@evil.example"}, "rules": []}
SINCE = datetime(2026, 11, 1, tzinfo=UTC)


class Listener:
    """Stands where the API would and counts the connections that are opened to it."""

    def __init__(self) -> None:
        self._callers: list[int] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                caller, address = self._socket.accept()
                self._callers.append(address[1])
                caller.close()

    def opened(self) -> int:
        """Return how many connections have been opened: knock once more, and wait until all before it are counted."""
        with socket.create_connection(self._socket.getsockname()) as knock:
            ours = knock.getsockname()[1]
            knock.recv(1)
        return self._callers.index(ours)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@pytest.fixture
def api() -> Iterator[Listener]:
    """The API that must not hear of anything."""
    listener = Listener()
    yield listener
    listener.close()


def grant(wire: Wire, tenant: str) -> None:
    """Let the sign-in service give out tokens of a tenant, for whichever API is asked for."""

    def script(out: socket.socket, request: bytes) -> None:
        if b"openid-configuration" in request:
            endpoints = {
                "token_endpoint": f"{wire.url}/{TENANT}/oauth2/v2.0/token",
                "authorization_endpoint": f"{wire.url}/{TENANT}/oauth2/v2.0/authorize",
                "issuer": f"{wire.url}/{TENANT}/v2.0",
            }
            out.sendall(http(200, endpoints))
            return
        audience = next((whose for name, whose in AUDIENCES.items() if name in request), "")
        granted = token(tid=tenant, aud=audience, appid="app", roles=["Some.Permission"])
        out.sendall(http(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": granted}))

    wire.script = script


def connector(wire: Wire, api: Listener, ca_file: str) -> Microsoft:
    """Open our tenant's connector: sign-in at the wire, all APIs at the listener."""
    settings = ConnectionSettings(
        kind="microsoft",
        entra_tenant_id=TENANT,
        client_id="app",
        client_secret=SecretText("not-a-secret"),
        login_url=wire.url,
        defender_url=api.url,
        graph_url=api.url,
        exchange_url=api.url,
        ca_file=ca_file,
        capabilities=frozenset({"move_to_quarantine"}),
    )
    return Microsoft(settings, deadline_seconds=2)


def sending(type_name: str) -> Callable[[Microsoft, list[str]], object]:
    parameters = PARAMETERS.get(type_name) or {
        "messages": [{"network_message_id": str(uuid4()), "recipient": "ada@acme.example"}],
    }
    if type_name == "restore_forwarding":
        parameters = {"mailbox": "ada@acme.example", "former": FORMER}
    request = ActionRequest(uuid4(), type_name, "a" * 40, parameters, "why", findings=FORMER)
    return lambda opened, told: opened.send(request, before_sending=lambda: told.append("sent"))


READS: dict[str, Callable[[Microsoft, list[str]], object]] = {
    "devices": lambda opened, _told: list(opened.devices()),
    "alerts": lambda opened, _told: list(opened.alerts(SINCE)),
    "hunt": lambda opened, _told: opened.hunt("DeviceInfo", timespan="P1D", most_rows=1),
}
CALLS = READS | {name: sending(name) for name in sorted(Microsoft.action_types)}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_token_of_another_tenant_opens_no_connection(wire: Wire, api: Listener, ca_file: str, name: str):
    grant(wire, THEIRS)
    told: list[str] = []

    with pytest.raises(Refused) as caught:
        CALLS[name](connector(wire, api, ca_file), told)

    assert caught.value.code == "WrongTenant"
    assert (told, api.opened()) == ([], 0)
    assert [request for request in wire.requests if b"/token " in request], "no token was ever asked for"


@pytest.mark.parametrize("name", ["devices", "isolate_device"])
def test_our_own_token_opens_one(wire: Wire, api: Listener, ca_file: str, name: str):
    """The control: with the right token the listener does hear a knock."""
    grant(wire, TENANT)

    with pytest.raises(ConnectorError):
        CALLS[name](connector(wire, api, ca_file), [])

    assert api.opened() >= 1
