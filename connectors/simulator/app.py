"""Puts the endpoints together: login, Defender for Endpoint, Graph and admin on one origin, paths case-blind."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.simulator import alerts, defender, login, mail
from connectors.simulator.admin import Admin
from connectors.simulator.exchange import Handler, Refusal
from connectors.simulator.faults import Faults, Occasion
from connectors.simulator.gateway import DEFENDER_API, GRAPH_API, Gateway, defender_error, origin_of, refuse_if_struck
from connectors.simulator.log import AcceptedLog
from connectors.simulator.login import LoginError, Tokens
from connectors.simulator.store import World


def build_app(world: World, log: AcceptedLog, action_seconds: float) -> ASGIApp:
    """The whole simulator over one world and one log; each machine action and mail takes ``action_seconds``."""
    tokens, faults = Tokens(), Faults()
    gateway = Gateway(world, tokens, faults, log, action_seconds)
    routes = [
        *_defender_routes(gateway),
        *_graph_routes(gateway),
        *_login_routes(world, tokens, faults),
        *Admin(world, faults, log).routes(),
    ]
    return CaseBlindPaths(Starlette(routes=routes, exception_handlers={HTTPException: _unknown}))


class CaseBlindPaths:
    """Lowers every path before it is matched, as Microsoft's routes are case-blind, and keeps it as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with ``path`` lowered and ``original_path`` beside it."""
        if scope["type"] == "http":
            scope = {**scope, "original_path": scope["path"], "path": scope["path"].lower()}
        await self._app(scope, receive, send)


def _defender_routes(gateway: Gateway) -> list[BaseRoute]:
    def read(path: str, handler: Handler) -> Route:
        return Route(f"/api{path}", gateway.endpoint(DEFENDER_API, "Machine.Read.All", handler), methods=["GET"])

    acts = [
        Route(
            f"/api/machines/{{machine}}/{name}",
            gateway.endpoint(DEFENDER_API, verb.role, defender.act(verb)),
            methods=["POST"],
        )
        for name, verb in defender.VERBS.items()
    ]

    cancel = gateway.endpoint(DEFENDER_API, None, defender.cancel_action)
    return [
        *acts,
        read("/machineactions", defender.list_actions),
        read("/machineactions/{action}", defender.get_action),
        Route("/api/machineactions/{action}/cancel", cancel, methods=["POST"]),
        read("/machines", defender.list_machines),
        read("/machines/{machine}", defender.get_machine),
    ]


def _graph_routes(gateway: Gateway) -> list[BaseRoute]:
    emails = "/v1.0/security/collaboration/analyzedemails"
    remediate = gateway.endpoint(GRAPH_API, "SecurityAnalyzedMessage.ReadWrite.All", mail.remediate)
    read_mail, read_alerts = "SecurityAnalyzedMessage.Read.All", "SecurityAlert.Read.All"
    reads = [
        (emails, read_mail, mail.list_emails),
        (f"{emails}/{{email}}", read_mail, mail.get_email),
        ("/v1.0/security/alerts_v2", read_alerts, alerts.list_alerts),
        ("/v1.0/security/alerts_v2/{alert}", read_alerts, alerts.get_alert),
    ]
    return [
        Route(f"{emails}/remediate", remediate, methods=["POST"]),
        Route(f"{emails}/microsoft.graph.security.remediate", remediate, methods=["POST"]),
        *(Route(path, gateway.endpoint(GRAPH_API, role, handler), methods=["GET"]) for path, role, handler in reads),
    ]


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
        tenant_id = request.path_params["tenant"]
        try:
            refuse_if_struck(faults, Occasion(tenant_id, "POST", request.url.path))
            return JSONResponse(login.client_credentials(world, tokens, tenant_id, form, origin_of(request)))
        except LoginError as error:
            return JSONResponse(error.as_json(), error.status)
        except Refusal as refusal:
            body = {"error": "temporarily_unavailable", "error_description": refusal.message, "error_codes": []}
            return JSONResponse(body, refusal.status, refusal.headers)

    return [
        Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", discovery, methods=["GET"]),
        Route("/common/discovery/instance", instance, methods=["GET"]),
    ]


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    refusal = Refusal(status, "NotFound" if status == 404 else "BadRequest", f"No resource at {request.url.path}.")
    return JSONResponse(defender_error(refusal, request), status)
