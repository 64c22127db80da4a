"""Receivers on real sockets, which do as a test says, and channels that lead to them."""

import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import pytest
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from connectors.outbound import services
from connectors.outbound.models import Channel, Delivery
from connectors.outbound.telling import Event, Notice, tell
from portal.access.actors import Actor
from portal.access.models import User
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

Answer = int | str | tuple[int, dict[str, str]]


@dataclass
class Receiver:
    """An HTTP server that keeps what it gets and answers what `answers` says, then 200.

    An answer is a status, or a status with headers, or "reset" or "drip".
    """

    url: str
    answers: list[Answer] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def setup(self) -> None:
        self.receiver.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        answer = self.receiver.answers.pop(0) if self.receiver.answers else 200
        if answer == "reset":
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif answer == "drip":
            self._drip()
        else:
            status, headers = answer if isinstance(answer, tuple) else (int(answer), {})
            self.send_response(status)
            for name, value in (headers | {"Content-Length": "6"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"secret")

    def _drip(self) -> None:
        """Send a byte now and then, so that no single read takes long."""
        try:
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 200:
                self.wfile.write(bytes([letter]))
                time.sleep(0.05)
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def listen() -> Iterator[Callable[..., Receiver]]:
    """Return a function that starts a receiver, with TLS where it is given a context."""
    servers = []

    def start(trust: ssl.SSLContext | None = None) -> Receiver:
        receiver = Receiver("")
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": receiver}))
        server.daemon_threads = True
        server.handle_error = lambda *_args: None  # type: ignore[method-assign]
        if trust is not None:
            server.socket = trust.wrap_socket(server.socket, server_side=True)
        receiver.url = (
            f"{'https' if trust else 'http'}://localhost:{server.server_port}/hook/T0/secret-path?sig=secret-sig"
        )
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return receiver

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver(listen: Callable[..., Receiver]) -> Receiver:
    """A receiver over plain http, as in development."""
    return listen()


@dataclass
class MailServer:
    """An SMTP server that keeps mails; `refuses` are codes by command, each said once."""

    port: int = 0
    refuses: dict[str, int] = field(default_factory=dict)
    mails: list[tuple[list[str], bytes]] = field(default_factory=list)

    def mail(self, position: int = -1) -> EmailMessage:
        """Return one of the mails, parsed."""
        return message_from_bytes(self.mails[position][1], policy=policy.default)


class _Smtp(socketserver.StreamRequestHandler):
    server_state: MailServer

    def handle(self) -> None:
        recipients: list[str] = []
        self._say(220)
        for line in self.rfile:
            command = line.split(b" ")[0].strip().upper().decode()
            if command in self.server_state.refuses:
                self._say(self.server_state.refuses.pop(command))
            elif command == "DATA":
                self._say(354)
                self._take(recipients)
            elif command == "QUIT":
                self._say(221)
                return
            else:
                if command == "RCPT":
                    recipients.append(line.decode().partition("<")[2].partition(">")[0])
                self._say(250)

    def _take(self, recipients: list[str]) -> None:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line)
        self.server_state.mails.append((recipients, b"".join(lines)))
        if self.server_state.refuses.pop("after", 0):
            self.connection.shutdown(2)
            return
        self._say(250)

    def _say(self, code: int) -> None:
        self.wfile.write(f"{code} said\r\n".encode())


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    """A mail server on a real socket, which the settings name."""
    state = MailServer()
    handler = type("Smtp", (_Smtp,), {"server_state": state})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_args: None  # type: ignore[method-assign]
        state.port = server.server_address[1]
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", state.port, False
        settings.DEFAULT_FROM_EMAIL = "Quell <quell@provider.example>"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield state
        server.shutdown()


@pytest.fixture
def actor(tess: User, as_actor: Callable[[User], Actor]) -> Actor:
    """Acme's own admin, with a second factor just shown."""
    return as_actor(tess)


@pytest.fixture
def make_channel(acme: Tenant, actor: Actor) -> Callable[..., tuple[Channel, SecretText]]:
    """Return a function that adds a channel to Acme, as its admin does, and returns its signing secret too."""

    def make(kind: str, url: str = "", name: str = "IT", **fields: Any) -> tuple[Channel, SecretText]:
        channel = Channel(tenant=acme, kind=kind, name=name, **({"events": ["overdue"]} | fields))
        with acting_for(acme.id):
            secret = services.create_channel(channel, url=SecretText(url), actor=actor)
        return channel, secret

    return make


def overdue(**fields: Any) -> Notice:
    """Return what is told of an overdue activity."""
    values: dict[str, Any] = {
        "event": Event.OVERDUE,
        "subject": "Update 7-zip is overdue",
        "facts": [("Device", "pc-1")],
        "path": "/admin/somewhere/",
        "object_type": "remediation activity",
        "object_id": uuid7(),
    }
    return Notice(**(values | fields))


def tell_acme(tenant: Tenant, key: str = "one", **fields: Any) -> int:
    """Tell a tenant of an overdue activity, in a transaction of its own."""
    with acting_for(tenant.id):
        return tell(tenant.id, overdue(**fields), key=key)


def ledger(tenant: Tenant) -> list[Delivery]:
    """Return a tenant's deliveries, oldest first."""
    with acting_for(tenant.id):
        return list(Delivery.objects.order_by("id"))


def let_time_pass(tenant: Tenant) -> None:
    """Make everything that waits due now, as if its pause were over."""
    with acting_for(tenant.id):
        Delivery.objects.filter(state="queued").update(not_before=Now())
