"""The door for requests: who asks, for which tenants, in one transaction that a refusal rolls back."""

from collections.abc import Callable
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from portal.access.actors import Actor, actor_for
from portal.access.keys import find_account
from portal.access.models import User
from portal.access.roles import Capability
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import viewing

SCHEME = "Api-Key "


class ScopeMiddleware:
    """Give the request its actor and open a scope over the tenants they may see.

    Session and API key go through the same door; a request that carries a key is never also its session's. Somebody
    without memberships gets no scope, so lists are empty and everything else is not there. An answer of 4xx or 5xx
    rolls everything back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request inside its scope."""
        request.actor = _find_actor(request)  # type: ignore[attr-defined]
        actor: Actor | None = request.actor  # type: ignore[attr-defined]
        if actor is None or not actor.capabilities:
            return self.get_response(request)
        with viewing(_tenants_of(actor)):
            response = self.get_response(request)
            if response.status_code >= 400:
                transaction.set_rollback(True)
        return response


def _tenants_of(actor: Actor) -> frozenset[UUID]:
    """Who administers the provider also reads and writes the history of what concerns no customer."""
    provider = {PROVIDER_TENANT_ID} if actor.may_anywhere(Capability.MANAGE_TENANTS) else set()
    return frozenset(actor.capabilities.keys() | provider)


def _find_actor(request: HttpRequest) -> Actor | None:
    header = request.headers.get("Authorization", "")
    request.is_key_request = header.startswith(SCHEME)  # type: ignore[attr-defined]
    if header.startswith(SCHEME):
        account = find_account(header.removeprefix(SCHEME).strip())
        request.user = account or AnonymousUser()
        return actor_for(account, by_key=True) if account else None
    return actor_for(request.user, by_key=False) if isinstance(request.user, User) else None
