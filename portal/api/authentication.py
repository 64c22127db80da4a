"""DRF reads who the door let in; it has no sign-in of its own."""

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from portal.access.models import User

_SESSION = "A session, as signing in to the admin site gives; requests that change something send X-CSRFToken too."


class DoorAuthentication(SessionAuthentication):
    """A session (with CSRF on everything that changes something) or an API key, as the middleware found them."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the user the door let in. Raises AuthenticationFailed for a key that is wrong, expired or revoked."""
        outer: HttpRequest = request._request
        if not outer.is_key_request:  # type: ignore[attr-defined]  # the door's middleware put it there
            return super().authenticate(request)
        if not outer.user.is_authenticated:
            raise AuthenticationFailed
        return outer.user, None

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, so that anonymous requests get 401."""
        return "Api-Key"


class DoorScheme(OpenApiAuthenticationExtension):
    """How the schema describes the two ways in."""

    target_class = DoorAuthentication
    name = ["session", "apiKey"]

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:
        """Return the two ways as alternatives: either is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        """Return the two OpenAPI security schemes."""
        return [
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": _SESSION},
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Api-Key quell_…`"},
        ]
