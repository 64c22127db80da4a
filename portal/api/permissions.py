"""Who gets past the API's front: everybody signed in. What they may do is each service's question to the actor."""

from typing import TYPE_CHECKING, cast

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from portal.access.actors import Actor

if TYPE_CHECKING:  # rest_framework.views reads this module while it is being imported itself
    from rest_framework.views import APIView


def actor_of(request: Request) -> Actor:
    """Return who asks. Only behind SignedIn."""
    return cast(Actor, request._request.actor)  # type: ignore[attr-defined]  # the door's middleware put it there


SESSION_ONLY = _("An API key may not do this; sign in as a person.")


class DenyUnlessDeclared(BasePermission):
    """The default of every view that names no permission: nobody."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Refuse."""
        return False


class KeysRead(BasePermission):
    """Everybody signed in may read; only people with a session change anything."""

    message = SESSION_ONLY

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the door found somebody who may do this."""
        wanted = SignedIn() if request.method in SAFE_METHODS else SessionOnly()
        return wanted.has_permission(request, view)


class SessionOnly(BasePermission):
    """A person with a session: what is about people and their rights is never done by key."""

    message = SESSION_ONLY

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the door found a person."""
        found = request._request
        return found.actor is not None and not found.is_key_request  # type: ignore[attr-defined]


class SignedIn(BasePermission):
    """A person with a session or a service account with a key. Rows are held by the scope, verbs by capabilities."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the door found somebody."""
        return request._request.actor is not None  # type: ignore[attr-defined]
