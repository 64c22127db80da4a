"""Graph's ``$batch`` (facts/graph.md 5.3): up to 20 parts, each on a way of its own and with a status of its own."""

import asyncio
import json
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.simulator.exchange import Json, Refusal
from connectors.simulator.faults import Faults, Occasion
from connectors.simulator.gateway import GRAPH_API, graph_error, origin_of, refuse_if_struck
from connectors.simulator.login import Tokens

PATH = "/v1.0/$batch"
PARTS_AT_MOST = 20
_KEYS = frozenset({"id", "method", "url", "headers", "body"})


class Batches:
    """Answers ``$batch`` by asking the app behind it once for each part; everything else passes through."""

    def __init__(self, app: ASGIApp, tokens: Tokens, faults: Faults) -> None:
        self._app = app
        self._tokens = tokens
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].lower() == PATH:
            request = Request(scope, receive)
            response = await self._answer(request)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "")
        try:
            claims = self._tokens.verify(bearer, GRAPH_API.audiences)
            occasion = Occasion(claims.tenant_id, "POST", PATH, claims.issued)
            if stall := self._faults.take("stall", occasion):
                await asyncio.sleep(stall.seconds)
            refuse_if_struck(self._faults, occasion)
            parts = _parts(await request.body())
        except Refusal as refusal:
            return JSONResponse(graph_error(refusal, request), refusal.status, refusal.headers)
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=origin_of(request)) as client:
            return JSONResponse({"responses": [await _part_answer(client, part, bearer) for part in parts]})


def _parts(raw: bytes) -> list[Json]:
    try:
        parts = json.loads(raw)["requests"]
    except (ValueError, KeyError, TypeError) as error:
        raise _bad("The body must be an object with requests.") from error
    if not isinstance(parts, list) or not 1 <= len(parts) <= PARTS_AT_MOST:
        raise _bad(f"The number of batch requests must be 1 to {PARTS_AT_MOST}.")
    for part in parts:
        if not isinstance(part, dict) or part.keys() - _KEYS or not {"id", "method", "url"} <= part.keys():
            raise _bad("A batch request has id, method and url, and may have headers and body.")
    if len({str(part["id"]) for part in parts}) < len(parts):
        raise _bad("The ids of batch requests must be unique.")
    return parts


async def _part_answer(client: httpx.AsyncClient, part: Json, bearer: str) -> dict[str, Any]:
    headers = {**(part.get("headers") or {}), "Authorization": bearer}
    answer = await client.request(
        part["method"], f"/v1.0/{part['url'].lstrip('/')}", headers=headers, json=part.get("body")
    )
    told = {name.title(): value for name, value in answer.headers.items() if name in ("retry-after", "location")}
    return {
        "id": part["id"],
        "status": answer.status_code,
        "headers": told,
        "body": json.loads(answer.content) if answer.content else None,
    }


def _bad(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
