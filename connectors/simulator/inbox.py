"""Somebody's endpoint for webhooks: keeps what it is sent, and fails when told to.

``POST /_simulator/inbox/{name}`` keeps headers and body; ``GET`` lists what came, ``DELETE`` forgets it; ``PUT`` with
``{"status": 500, "times": 2, "seconds": 0, "location": null}`` lets the next two POSTs be answered that way, after so
many seconds, led to another place by ``location``. What was answered so is kept as well, with its status.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.simulator.admin_requests import Wrong, guarded, json_of
from connectors.simulator.bodies import parsed
from connectors.simulator.exchange import Json
from connectors.simulator.moments import moment_text, now_ticks

_KNOWN = frozenset({"status", "times", "seconds", "location"})


@dataclass(slots=True)
class _Trouble:
    status: int
    times: int
    seconds: float = 0
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Inbox:
    """Any number of inboxes, each made by its first message."""

    messages: defaultdict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    troubles: dict[str, _Trouble] = field(default_factory=dict)

    def routes(self) -> list[BaseRoute]:
        """Every route, below ``/_simulator/inbox``; names are case-blind."""
        path = "/_simulator/inbox/{name}"
        table = [("POST", self.receive), ("GET", self.read), ("PUT", self.fail), ("DELETE", self.forget)]
        return [Route(path, guarded(handler), methods=[method]) for method, handler in table]

    async def receive(self, request: Request) -> Response:
        """Keep a message, and answer 202 unless trouble was asked for."""
        name, raw = request.path_params["name"], await request.body()
        trouble = self.troubles.get(name)
        if trouble is not None:
            trouble.times -= 1
            if trouble.times <= 0:
                del self.troubles[name]
        status = trouble.status if trouble else 202
        message: Json = {
            "at": moment_text(now_ticks()),
            "status": status,
            "headers": dict(request.headers),
            "text": raw.decode(errors="replace"),
            "body": parsed(raw, request.headers.get("content-type", "")),
        }
        self.messages[name].append(message)
        if trouble and trouble.seconds:
            await asyncio.sleep(trouble.seconds)
        headers = {"Location": trouble.location} if trouble and trouble.location else {}
        return Response(status_code=status, headers=headers)

    async def read(self, request: Request) -> Response:
        """List what came, oldest first."""
        return JSONResponse({"messages": self.messages.get(request.path_params["name"], [])})

    async def fail(self, request: Request) -> Response:
        """Let the next messages go wrong."""
        body = await json_of(request)
        if not isinstance(body, dict) or body.keys() - _KNOWN or not 200 <= int(body.get("status", 500)) < 600:
            raise Wrong(f"the body has some of {', '.join(sorted(_KNOWN))}; status is one of HTTP's")
        self.troubles[request.path_params["name"]] = _Trouble(
            int(body.get("status", 500)), int(body.get("times", 1)), float(body.get("seconds", 0)), body.get("location")
        )
        return JSONResponse(body)

    async def forget(self, request: Request) -> Response:
        """Empty the inbox and let it work again."""
        self.troubles.pop(request.path_params["name"], None)
        return JSONResponse({"removed": len(self.messages.pop(request.path_params["name"], []))})
