"""The way every API call takes: bearer, faults, decision, log, answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from connectors.simulator.bodies import parsed
from connectors.simulator.delivery import as_response, deliver
from connectors.simulator.exchange import Answer, Call, Handler, Json, Refusal, require_role
from connectors.simulator.exchanges import ExchangeBook
from connectors.simulator.faults import Faults, Occasion
from connectors.simulator.limits import Quota, charge
from connectors.simulator.log import AcceptedLog
from connectors.simulator.login import DEFENDER, DEFENDER_XDR, GRAPH, Claims, Tokens, unauthorized
from connectors.simulator.moments import moment_text, now_ticks, ticks_in
from connectors.simulator.naming import aimed_path, marker_of
from connectors.simulator.store import Tenant, World

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Api:
    """One of Microsoft's APIs: whom its bearers must be made for, and the shape it puts around a refusal."""

    audiences: frozenset[str]
    error_body: Callable[[Refusal, Request], Json]


def defender_error(refusal: Refusal, _: Request) -> Json:
    """``{"error": {code, message, target}}``; target is the correlation id (facts/defender.md 6.6)."""
    return {"error": {"code": refusal.code, "message": refusal.message, "target": str(uuid4())}}


def graph_error(refusal: Refusal, request: Request) -> Json:
    """``{"error": {code, message, innerError}}`` (facts/graph.md 5.3)."""
    request_id = str(uuid4())
    inner = {
        "date": moment_text(now_ticks())[:19],
        "request-id": request_id,
        "client-request-id": request.headers.get("client-request-id", request_id),
    }
    code = "InvalidAuthenticationToken" if refusal.status == 401 else refusal.code
    return {"error": {"code": code, "message": refusal.message, "innerError": inner}}


DEFENDER_API = Api(frozenset({DEFENDER, DEFENDER_XDR}), defender_error)
GRAPH_API = Api(frozenset({GRAPH}), graph_error)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Wraps handlers into endpoints. An action takes ``action_seconds`` where its tenant says nothing else."""

    world: World
    tokens: Tokens
    faults: Faults
    log: AcceptedLog
    action_seconds: float
    book: ExchangeBook

    def endpoint(self, api: Api, role: str | None, handler: Handler, quota: Quota | None = None) -> Endpoint:
        """The endpoint of a handler that needs this application permission, or checks for itself when None.

        A stalled or late call is carried out even when its caller has gone, as a real server would.
        """

        async def serve(request: Request) -> Response:
            raw = await request.body()
            body = parsed(raw, request.headers.get("content-type", ""))
            try:
                tenant, claims, occasion = self._admitted(api, request, body)
            except Refusal as refusal:
                return as_response(_refused(api, refusal, request))
            if stall := self.faults.take("stall", occasion):
                await asyncio.sleep(stall.seconds)
            try:
                refuse_if_struck(self.faults, occasion)
                call = self._call(request, tenant, claims, occasion, body)
                if quota is not None:
                    charge(tenant, quota, call.now)
                if role is not None:
                    require_role(call, role)
                answer = handler(call)
                self.book.note(request.method, call, answer)
            except Refusal as refusal:
                answer = _refused(api, refusal, request)
            if request.method != "GET":
                await self.log.append(_entry(occasion, body, answer))
            return await deliver(answer, self.faults, occasion)

        return serve

    def _admitted(self, api: Api, request: Request, body: object) -> tuple[Tenant, Claims, Occasion]:
        claims = self.tokens.verify(request.headers.get("authorization", ""), api.audiences)
        tenant = self.world.tenant(claims.tenant_id)
        if tenant is None:
            raise unauthorized("The tenant of the access token is not known.")
        path = aimed_path(request.scope["original_path"], body)
        occasion = Occasion(tenant.id, request.method, path, claims.issued)
        if self.faults.take("expire_tokens", occasion):
            raise unauthorized("Access token has expired.")
        return tenant, claims, occasion

    def _call(self, request: Request, tenant: Tenant, claims: Claims, occasion: Occasion, body: object) -> Call:
        hidden = self.faults.take("hide", occasion)
        action_seconds = self.action_seconds if tenant.action_seconds is None else tenant.action_seconds
        return Call(
            tenant=tenant,
            caller=claims.client_id,
            roles=claims.roles,
            origin=origin_of(request),
            path=request.scope["original_path"],
            path_values=request.path_params,
            query=dict(request.query_params),
            prefer=request.headers.get("prefer", ""),
            body=body,
            now=now_ticks(),
            action_ticks=ticks_in(action_seconds),
            hidden_ticks=ticks_in(hidden.seconds) if hidden else 0,
        )


def refuse_if_struck(faults: Faults, occasion: Occasion) -> None:
    """Raise Refusal 429 or 503 when a fault says so."""
    if throttle := faults.take("throttle", occasion):
        raise Refusal(429, "TooManyRequests", "Too many requests; try again later.", throttle.retry_after_header())
    if outage := faults.take("server_error", occasion):
        raise Refusal(503, "ServiceUnavailable", "The service is unavailable.", outage.retry_after_header())


def origin_of(request: Request) -> str:
    """The origin the caller knows this server by."""
    return f"https://{request.headers.get('host', 'localhost')}"


def _refused(api: Api, refusal: Refusal, request: Request) -> Answer:
    return Answer(refusal.status, api.error_body(refusal, request), refusal.headers)


def _entry(occasion: Occasion, body: object, answer: Answer) -> Json:
    """One line of the log."""
    return {
        "at": moment_text(now_ticks()),
        "tenant": occasion.tenant_id,
        "method": occasion.method,
        "path": occasion.path,
        "body": body,
        "accepted": answer.status < 400,
        "status": answer.status,
        "remote_id": answer.remote_id,
        "external_id": marker_of(body),
    }
