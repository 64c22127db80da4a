"""What a well-behaved server never does to a connection: cut it with a reset, or answer the same request twice."""

import asyncio
import socket
import struct
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class OpenHandedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, except that the request's state also carries the connection it came on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport where a response finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class ConnectionReset(Response):
    """No answer: the connection ends with a TCP reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset, and wait until the server has noticed, or it would answer 500."""
        transport: asyncio.Transport = scope["state"]["transport"]
        if not transport.is_closing():
            connection = transport.get_extra_info("socket")
            # Closing with a linger of zero seconds is what makes the kernel send RST in place of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class DoubledAnswer(Response):
    """The whole answer, head and body, two times in a row on one connection."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body, response.status_code)
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it in the proper way, then once more below the server's back."""
        await self._response(scope, receive, send)
        head = f"HTTP/1.1 {self.status_code} {HTTPStatus(self.status_code).phrase}\r\n".encode()
        fields = b"".join(name + b": " + value + b"\r\n" for name, value in self._response.raw_headers)
        transport: asyncio.Transport = scope["state"]["transport"]
        if not transport.is_closing():
            transport.write(head + fields + b"\r\n" + bytes(self._response.body))
