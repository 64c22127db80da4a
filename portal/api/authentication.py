"""DRF reads who the door let in; it has no sign-in of its own."""

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from portal.access.models import User


class DoorAuthentication(SessionAuthentication):
    """A session (with CSRF on everything that changes something) or an API key, as the middleware found them."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        """Return the user the door let in. Raises AuthenticationFailed for a key that is wrong, expired or revoked."""
        outer: HttpRequest = request._request
        if not outer.is_key_request:  # type: ignore[attr-defined]
            return super().authenticate(request)
        if not outer.user.is_authenticated:
            raise AuthenticationFailed
        return outer.user, None  # type: ignore[return-value]

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, so that anonymous requests get 401."""
        return "Api-Key"


class DoorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes the two ways in."""

    target_class = DoorAuthentication
    name = ["session", "apiKey"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        """Return the two OpenAPI security schemes."""
        return [
            {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A session; send X-CSRFToken too."},
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Api-Key quell_…`"},
        ]
