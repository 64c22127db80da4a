"""The headers that Django has no setting for."""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

PERMISSIONS_POLICY: Final = ", ".join(
    [
        *(
            f"{name}=()"
            for name in (
                "accelerometer", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope",
                "magnetometer", "microphone", "midi", "payment", "usb",
            )
        ),
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
    ]
)  # fmt: skip
"""Nothing of the browser's but security keys, on our own pages (W3C Permissions Policy, WebAuthn level 3)."""


class AnswerHeaders:
    """Let nobody keep a copy of what the portal answers, and switch the browser's devices off.

    Stands behind WhiteNoise, whose static files may be kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the headers on it."""
        response = self.get_response(request)
        response["Cache-Control"] = "no-store"
        response["Permissions-Policy"] = PERMISSIONS_POLICY
        return response
