"""What the served OpenAPI schema leaves out for whom: tickets, where no tenant is connected to Intune."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request

from portal.tenancy.scope import current_scope, has_scope
from remediation.vulnerabilities.intune.tickets import tenants_connected

OPTION: Final = "open_ticket"


def leave_out_tickets(result: dict[str, Any], generator: Any, request: Request | None, public: bool) -> dict[str, Any]:
    """Take the option to open a ticket out of the schema, unless a tenant of the caller's has Intune on.

    With `?tenant=` it is that tenant alone that counts. A hook of drf-spectacular; what is written to a file, without a
    request, is whole.
    """
    if request is None:
        return result
    asked_about = _asked_about(request)
    if asked_about and tenants_connected(asked_about):
        return result
    for schema in result.get("components", {}).get("schemas", {}).values():
        schema.get("properties", {}).pop(OPTION, None)
    return result


def _asked_about(request: Request) -> Collection[UUID]:
    """Return the caller's tenants, or the one of them that is named."""
    mine = current_scope().tenant_ids if has_scope() else frozenset()
    named = request.query_params.get("tenant")
    return mine if named is None else [tenant_id for tenant_id in mine if str(tenant_id) == named.strip().lower()]
