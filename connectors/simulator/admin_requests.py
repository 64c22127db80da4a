"""What every endpoint under ``/_simulator`` does with a request: lets only this machine in, and reads it."""

import ipaddress
from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.simulator.faults import InvalidFault
from connectors.simulator.seeds import InvalidSeed
from connectors.simulator.store import Tenant, World

AdminHandler = Callable[[Request], Awaitable[Response]]


class Wrong(Exception):
    """An admin request that cannot be carried out; the text says why."""


def guarded(handler: AdminHandler) -> AdminHandler:
    """The handler for this machine only, with what is wrong about a request told in a 400."""

    async def serve(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return JSONResponse({"error": "the admin endpoints answer to this machine only"}, 403)
        try:
            return await handler(request)
        except (InvalidFault, InvalidSeed, Wrong) as error:
            return JSONResponse({"error": str(error)}, 400)

    return serve


async def json_of(request: Request) -> object:
    """The body. Raises Wrong when it is no JSON."""
    try:
        return await request.json()
    except ValueError as error:
        raise Wrong(f"the body is not JSON: {error}") from error


def tenant_id_of(request: Request) -> str:
    """The tenant id in the path. Raises Wrong."""
    try:
        return str(UUID(request.path_params["tenant"]))
    except ValueError as error:
        raise Wrong("a tenant id is a GUID") from error


def tenant_of(world: World, request: Request) -> Tenant:
    """The tenant the path names. Raises Wrong when it was not seeded."""
    tenant = world.tenant(tenant_id_of(request))
    if tenant is None:
        raise Wrong(f"tenant {tenant_id_of(request)} was not seeded")
    return tenant
