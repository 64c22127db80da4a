"""Puts the endpoints together: login, Defender for Endpoint, Graph and admin on one origin, paths case-blind."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.simulator import consent, login
from connectors.simulator.admin import Admin
from connectors.simulator.batch import Batches
from connectors.simulator.downloads import Results
from connectors.simulator.endpoints import api_routes
from connectors.simulator.exchange import Refusal
from connectors.simulator.exchanges import ExchangeBook
from connectors.simulator.faults import Faults, Occasion
from connectors.simulator.gateway import Gateway, defender_error, origin_of, refuse_if_struck
from connectors.simulator.inbox import Inbox
from connectors.simulator.known_exploited import KnownExploited
from connectors.simulator.log import AcceptedLog
from connectors.simulator.login import LoginError, Tokens
from connectors.simulator.store import World
from connectors.simulator.vulnerability_admin import VulnerabilityAdmin


def build_app(world: World, log: AcceptedLog, action_seconds: float, book: ExchangeBook) -> ASGIApp:
    """The whole simulator over one world and one log; each machine action and mail takes ``action_seconds``."""
    tokens, faults, results = Tokens(), Faults(), Results()
    gateway = Gateway(world, tokens, faults, log, action_seconds, book)
    routes = [
        *api_routes(gateway, results),
        *results.routes(faults),
        *_login_routes(world, tokens, faults),
        *consent.routes(world),
        *Admin(world, faults, log).routes(),
        *VulnerabilityAdmin(world).routes(),
        *KnownExploited().routes(),
        *Inbox().routes(),
    ]
    house = CaseBlindPaths(Starlette(routes=routes, exception_handlers={HTTPException: _unknown}))
    return Batches(house, tokens, faults)


class CaseBlindPaths:
    """Lowers every path before it is matched, as Microsoft's routes are case-blind, and keeps it as it was sent.

    Defender's paths may also begin with ``/api/v1.0``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with ``path`` lowered and ``original_path`` beside it."""
        if scope["type"] == "http":
            path = scope["path"].lower()
            if path.startswith("/api/v1.0/"):
                path = "/api/" + path.removeprefix("/api/v1.0/")
            scope = {**scope, "original_path": scope["path"], "path": path}
        await self._app(scope, receive, send)


def _login_routes(world: World, tokens: Tokens, faults: Faults) -> list[BaseRoute]:
    async def discovery(request: Request) -> Response:
        try:
            tenant_id = request.path_params["tenant"]
            return JSONResponse(login.openid_configuration(world, tenant_id, origin_of(request)))
        except LoginError as error:
            return JSONResponse(error.as_json(), error.status)

    async def instance(request: Request) -> Response:
        endpoint = request.query_params.get("authorization_endpoint", "")
        tenant_id = endpoint.removesuffix("/").split("/")[3] if endpoint.count("/") > 3 else "common"
        return JSONResponse(login.instance_discovery(origin_of(request), tenant_id))

    async def token(request: Request) -> Response:
        form = (await request.body()).decode(errors="replace")
        is_newer = "/v2.0/" in request.url.path
        grant = login.client_credentials if is_newer else login.client_credentials_v1
        tenant_id = request.path_params["tenant"]
        try:
            refuse_if_struck(faults, Occasion(tenant_id, "POST", request.url.path))
            return JSONResponse(grant(world, tokens, tenant_id, form, origin_of(request)))
        except LoginError as error:
            return JSONResponse(error.as_json(), error.status)
        except Refusal as refusal:
            body = {"error": "temporarily_unavailable", "error_description": refusal.message, "error_codes": []}
            return JSONResponse(body, refusal.status, refusal.headers)

    return [
        Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
        Route("/{tenant}/oauth2/token", token, methods=["POST"]),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", discovery, methods=["GET"]),
        Route("/common/discovery/instance", instance, methods=["GET"]),
    ]


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    refusal = Refusal(status, "NotFound" if status == 404 else "BadRequest", f"No resource at {request.url.path}.")
    return JSONResponse(defender_error(refusal, request), status)
