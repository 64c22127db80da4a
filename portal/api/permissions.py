"""Who gets past the API's front: everybody signed in. What they may do is each service's question to the actor."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView


class DenyUnlessDeclared(BasePermission):
    """The default of every view that names no permission: nobody."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Refuse."""
        return False


class SignedIn(BasePermission):
    """A person with a session or a service account with a key. Rows are held by the scope, verbs by capabilities."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the door found somebody."""
        return request._request.actor is not None  # type: ignore[attr-defined]
