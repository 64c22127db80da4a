"""``/{tenant}/adminconsent``: where an admin consents for a whole tenant, as a page with two buttons.

Nobody signs in: whoever opens the page is the admin. Saying yes grants all that the application asks for, all roles.
"""

from html import escape
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.simulator.store import World

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{words}</p>
{form}
</html>
"""
_FORM = """<form method="post">
<button name="answer" value="accept">Accept</button>
<button name="answer" value="cancel">Cancel</button>
</form>"""
_DECLINED = "AADSTS65004: User declined to consent to access the app."


def routes(world: World) -> list[BaseRoute]:
    """The page and its answer."""

    async def consent(request: Request) -> Response:
        wrong = _wrong_with(world, request)
        if wrong:
            page = _PAGE.format(title="Sorry, but we're having trouble signing you in.", words=escape(wrong), form="")
            return HTMLResponse(page, 400)
        if request.method == "GET":
            words = f"{request.query_params['client_id']} asks for its permissions in {request.path_params['tenant']}."
            return HTMLResponse(_PAGE.format(title="Permissions requested", words=escape(words), form=_FORM))
        answer = parse_qs((await request.body()).decode(errors="replace")).get("answer", [""])[0]
        back = _accepted(world, request) if answer == "accept" else _declined()
        query = {**back, "state": request.query_params.get("state", "")}
        return RedirectResponse(f"{request.query_params['redirect_uri']}?{urlencode(query)}", 302)

    return [Route("/{tenant}/adminconsent", consent, methods=["GET", "POST"])]


def _accepted(world: World, request: Request) -> dict[str, str]:
    tenant = world.ensure_tenant(request.path_params["tenant"])
    tenant.is_consent_revoked = False
    tenant.withheld_roles = set()
    return {"admin_consent": "True", "tenant": tenant.id}


def _declined() -> dict[str, str]:
    return {"error": "access_denied", "error_description": _DECLINED}


def _wrong_with(world: World, request: Request) -> str:
    """Entra ID's words for a link it takes nobody back from, "" for a good one."""
    query, tenant_id = request.query_params, request.path_params["tenant"]
    if world.tenant(tenant_id) is None:
        return f"AADSTS90002: Tenant '{tenant_id}' not found."
    if not world.knows_client(query.get("client_id", "")):
        return f"AADSTS700016: Application with identifier '{query.get('client_id', '')}' was not found."
    back = urlsplit(query.get("redirect_uri", ""))
    if back.scheme != "https" and (back.scheme, back.hostname) not in {("http", "localhost"), ("http", "127.0.0.1")}:
        return "AADSTS50011: The redirect URI specified in the request does not match those of the application."
    return ""
