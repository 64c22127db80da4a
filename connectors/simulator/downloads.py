"""Where results lie: links that are their own key, as Azure storage gives them. They take no bearer and they end."""

import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.simulator.exchange import Call, Refusal
from connectors.simulator.faults import Faults, Occasion
from connectors.simulator.moments import moment_text, now_ticks, ticks_in

FOLDER = "/investigation-actions-data/"
LIVE_RESPONSE_SECONDS = 30 * 60
# "A short time", says Microsoft's page, and no more.
PACKAGE_SECONDS = 5 * 60


@dataclass(frozen=True, slots=True)
class Result:
    """Something to fetch, until a moment."""

    tenant_id: str
    content: bytes
    ends: int


class Results:
    """The links that were given out. Each asking makes a new one; all end with this process."""

    def __init__(self) -> None:
        self._results: dict[str, Result] = {}

    def link(self, call: Call, content: bytes, seconds: float) -> str:
        """A new link to this content; a tenant's ``link_seconds`` goes before the usual time."""
        usual = seconds if call.tenant.link_seconds is None else call.tenant.link_seconds
        ends = call.now + ticks_in(usual)
        key = secrets.token_urlsafe(24)
        self._results[key] = Result(call.tenant.id, content, ends)
        query = urlencode({"se": moment_text(ends), "sp": "r", "sr": "b", "sig": key})
        return f"{call.origin}{FOLDER}ID/CustomPlaybookCommandOutput?{query}"

    def routes(self, faults: Faults) -> list[BaseRoute]:
        """The storage's one endpoint; a fault whose path is ``investigation-actions-data`` strikes only here."""

        async def fetch(request: Request) -> Response:
            result = self._results.get(request.query_params.get("sig", ""))
            if "authorization" in request.headers:
                return Response("<Error><Code>InvalidAuthenticationInfo</Code></Error>", 400, media_type="text/xml")
            if result is None or result.ends <= now_ticks():
                return Response("<Error><Code>AuthenticationFailed</Code></Error>", 403, media_type="text/xml")
            occasion = Occasion(result.tenant_id, "GET", request.url.path)
            if outage := faults.take("server_error", occasion):
                return Response("", 503, outage.retry_after_header())
            if faults.take("truncate", occasion):
                return Response(result.content[: len(result.content) // 2])
            return Response(result.content, media_type="application/octet-stream")

        return [Route(f"{FOLDER}{{rest:path}}", fetch, methods=["GET"])]


def missing(what: str) -> Refusal:
    """A 404 for a result that is not there, or not yet."""
    return Refusal(404, "ResourceNotFound", f"{what} was not found.")
