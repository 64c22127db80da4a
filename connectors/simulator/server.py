"""The process: certificate, socket, uvicorn, and the note that tells others where it listens."""

import json
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import trustme
import uvicorn
from starlette.types import ASGIApp

from connectors.simulator.wire import OpenHandedProtocol

HOST = "127.0.0.1"
# So that a client that knows no other address can be led here by its resolver.
MICROSOFTS_HOSTS = (
    "login.microsoftonline.com",
    "login.windows.net",
    "graph.microsoft.com",
    "api.securitycenter.microsoft.com",
    "api.securitycenter.windows.com",
    "api.security.microsoft.com",
    "outlook.office365.com",
)
KEEP_ALIVE_SECONDS = 75  # longer than any client pools a connection, so that no POST meets a closing one


class AnnouncingServer(uvicorn.Server):
    """uvicorn that writes DIR/simulator.json and prints its URL as soon as it listens."""

    def __init__(self, config: uvicorn.Config, note: Path, url: str, ca_file: Path) -> None:
        super().__init__(config)
        self._note = note
        self._url = url
        self._ca_file = ca_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce."""
        await super().startup(sockets)
        text = json.dumps({"url": self._url, "ca_file": str(self._ca_file), "pid": os.getpid()})
        _write_at_once(self._note, text.encode())
        os.write(1, f"{self._url}\n".encode())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut what is still open: a client that keeps a connection must not hold up the end."""
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await super().shutdown(sockets)


def serve(app: ASGIApp, directory: Path, port: int) -> None:
    """Serve over HTTPS on 127.0.0.1 until SIGTERM or SIGINT; port 0 takes a free one. Raises OSError if it is taken."""
    context = _tls(directory)
    # The protocol is named because asyncio sends small answers without delay (TCP_NODELAY) only on such a socket.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    config = uvicorn.Config(
        app,
        http=OpenHandedProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
        ssl_context_factory=lambda _config, _default: context,
    )
    # uvicorn repeats the signal that ended it; without this it would end the process before the note is gone.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda _number, _frame: sys.exit(0))
    note = directory / "simulator.json"
    url = f"https://{HOST}:{listener.getsockname()[1]}"
    try:
        AnnouncingServer(config, note, url, directory / "ca.pem").run(sockets=[listener])
    finally:
        note.unlink(missing_ok=True)


def _tls(directory: Path) -> ssl.SSLContext:
    """A context whose certificate the CA in DIR/ca.pem vouches for; the CA is kept, so a restart stays trusted."""
    certificate, key = directory / "ca.pem", directory / "ca.key"
    if certificate.exists() and key.exists():
        authority = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    else:
        authority = trustme.CA(organization_name="Quell simulator")
        _write_at_once(key, authority.private_key_pem.bytes())
        _write_at_once(certificate, authority.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost", *MICROSOFTS_HOSTS).configure_cert(context)
    return context


def _write_at_once(path: Path, content: bytes) -> None:
    """Put a file in place whole, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
