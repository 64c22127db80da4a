"""How bytes leave for a vendor: one client per process and trust bundle, one deadline a call, no open transaction.

Whatever goes wrong on the way is raised as httpcore's own error, so that http.py can tell a call
that never left from one that broke underway. Proxies named in the environment are not used.
"""

import atexit
import os
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import h11
import httpcore
import httpx
from django.db import connection

CONNECT_SECONDS = 5.0
# Shorter than the servers' own patience: a POST on a connection they are just closing would end in doubt.
KEEP_ALIVE_SECONDS = 4.0
_PIECE = 4096

_ends_at: ContextVar[float] = ContextVar("ends_at")


class TransactionOpen(RuntimeError):
    """A call to a vendor was tried inside a database transaction: a bug in the caller, and nothing was sent."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give everything sent and received inside the block this many seconds of wall-clock time in all."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _left(too_late: type[httpcore.TimeoutException]) -> float:
    """Return the seconds left, or raise `too_late`; without a deadline around the call, LookupError."""
    left = _ends_at.get() - time.monotonic()
    if left <= 0:
        raise too_late("the deadline of the call is over")
    return left


class _BoundedStream(httpcore.NetworkStream):
    """A socket whose every read and write ends with the deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], _left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            seconds = min(CONNECT_SECONDS, _left(httpcore.ConnectTimeout))
        except httpcore.ConnectTimeout:
            self.close()
            raise
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class BoundedBackend(httpcore.SyncBackend):
    """Opens sockets within what is left; only the name look-up keeps the resolver's own time, before any byte."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = min(CONNECT_SECONDS, _left(httpcore.ConnectTimeout))
        return _BoundedStream(super().connect_tcp(host, port, seconds, local_address, socket_options))


class _Body(httpx.SyncByteStream):
    """The body of one answer; what came after it on the same connection ends the connection.

    A server (or a box in between) that answers twice would otherwise have its second answer read as the
    answer to the next request, perhaps another customer's.
    """

    def __init__(self, response: httpcore.Response) -> None:
        # Any: httpcore types its body as synchronous or asynchronous, and keeps the HTTP parser behind it private.
        self._stream: Any = response.stream
        self._socket: httpcore.NetworkStream = response.extensions["network_stream"]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream
        parser: h11.Connection = self._stream._stream._connection._h11_state
        left_over, _ = parser.trailing_data
        if left_over:
            self._socket.close()

    def close(self) -> None:
        self._stream.close()


class _Transport(httpx.BaseTransport):
    """The one place where bytes leave; refuses to while a database transaction is open."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust, keepalive_expiry=KEEP_ALIVE_SECONDS, retries=0, network_backend=BoundedBackend()
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if connection.in_atomic_block:
            raise TransactionOpen(
                f"{request.method} {request.url.path} was tried inside a database transaction; commit first, then call"
            )
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions={"timeout": {"pool": _left(httpcore.PoolTimeout)}},
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


def client(ca_file: str) -> httpx.Client:
    """Return this process's client for a trust bundle ("" for the system's): keep-alive, no redirects, no retries."""
    return _client(ca_file, os.getpid())


@lru_cache(maxsize=16)
def trust_bundle(ca_file: str) -> ssl.SSLContext:
    """Return who this process trusts to vouch for servers ("" for the system's bundle), read once: that takes long.

    A bundle that changed on disk counts from the next start on.
    """
    return ssl.create_default_context(cafile=ca_file or None)


@lru_cache(maxsize=16)
def _client(ca_file: str, process_id: int) -> httpx.Client:
    # The process id is part of the key: a forked worker must not write on its parent's sockets.
    # Many customers share the client: a cookie set for one must never travel for another.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    transport = _Transport(trust_bundle(ca_file))
    web = httpx.Client(transport=transport, follow_redirects=False, trust_env=False, cookies=no_cookies)
    atexit.register(web.close)
    return web
