"""How long a session lasts: until half an hour without a request, and never longer than a working day."""

import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from portal.access.models import User
from portal.access.sign_in.history import tell

STARTED: Final = "sign_in_started_at"
SEEN: Final = "sign_in_seen_at"
NOTED_EVERY_SECONDS: Final = 60
"""A session's last request is written down at most this often, so that reading a page seldom writes."""


def start_session(request: HttpRequest) -> None:
    """Begin counting."""
    request.session[STARTED] = request.session[SEEN] = time.time()


class SessionLimits:
    """End sessions that are idle for `SESSION_IDLE_SECONDS` or older than `SESSION_ABSOLUTE_SECONDS`.

    A page that polls keeps its session from being idle, not from growing old.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, as nobody's if the session is over."""
        if request.session.get(SESSION_KEY):
            _check(request)
        return self.get_response(request)


def _check(request: HttpRequest) -> None:
    now, session = time.time(), request.session
    if STARTED not in session:
        start_session(request)
    if now - session[STARTED] > settings.SESSION_ABSOLUTE_SECONDS:
        _end(request, "older than allowed")
    elif now - session[SEEN] > settings.SESSION_IDLE_SECONDS:
        _end(request, "idle")
    elif now - session[SEEN] > NOTED_EVERY_SECONDS:
        session[SEEN] = now


def _end(request: HttpRequest, reason: str) -> None:
    if isinstance(request.user, User):
        tell(request, request.user, "sign_in.ended", reason=reason)
    logout(request)
    messages.info(request, _("You were signed out because your session was over. Sign in again to go on."))
