"""The door for requests: who asks, for which tenants, in one transaction that a refusal rolls back."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from portal.access.actors import Actor, actor_for, actor_of_key
from portal.access.addresses import client_address
from portal.access.keys import find_key
from portal.access.models import User
from portal.access.sign_in.second_factor import ORGANISATION
from portal.audit.refusals import write_refusals
from portal.tenancy.scope import viewing

SCHEME = "Api-Key "

API = "/api/"
OWN_ACCOUNT = "/accounts/"
"""Pages about one's own sign-in: they touch no customer's data, get no scope, and open short ones themselves."""


class ScopeMiddleware:
    """Give the request its actor and open a scope over the tenants they may see.

    Session and API key go through the same door; a request that carries a key is never also its session's, and a key
    opens the API alone. Somebody without memberships gets no scope, so lists are empty and everything else is not
    there. An answer of 4xx or 5xx rolls everything back; refusals that were noted meanwhile are then written in a
    transaction of their own. A session that a customer's own sign-in opened reaches that customer alone.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request inside its scope."""
        try:
            return self._answer(request)
        finally:
            write_refusals()

    def _answer(self, request: HttpRequest) -> HttpResponse:
        request.actor = _find_actor(request)  # type: ignore[attr-defined]
        actor: Actor | None = request.actor  # type: ignore[attr-defined]
        if actor is None or not actor.capabilities or request.path.startswith(OWN_ACCOUNT):
            return self.get_response(request)
        with viewing(actor.capabilities.keys()):
            response = self.get_response(request)
            if response.status_code >= 400:
                transaction.set_rollback(True)
        return response


def _find_actor(request: HttpRequest) -> Actor | None:
    header = request.headers.get("Authorization", "")
    request.is_key_request = header.startswith(SCHEME)  # type: ignore[attr-defined]
    if header.startswith(SCHEME):
        text = header.removeprefix(SCHEME).strip()
        key = find_key(text, client_address(request)) if request.path.startswith(API) else None
        request.user = key.user if key else AnonymousUser()
        return actor_of_key(key) if key else None
    if not isinstance(request.user, User):
        return None
    actor = actor_for(request.user, by_key=False, second_factor_at=_second_factor_at(request))
    organisation = request.session.get(ORGANISATION)
    return actor.within(UUID(organisation)) if organisation else actor


def _second_factor_at(request: HttpRequest) -> datetime | None:
    """Return when this person last showed a second factor in this session, by the record that allauth keeps in it.

    The record says whose it is; somebody else's, left in the same session, counts for nothing.
    """
    records = get_authentication_records(request, request.user)
    shown = [float(record["at"]) for record in records if record["method"] == "mfa"]
    return datetime.fromtimestamp(max(shown), UTC) if shown else None
