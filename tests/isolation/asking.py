"""Asking as somebody, and comparing answers: two are the same when they differ in nothing but the ids asked for."""

import json
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.http import HttpRequest
from django.test import Client
from django.test.client import ClientHandler

from portal.access.models import User
from tests.isolation.world import World

LONG = os.environ.get("ISOLATION_LONG") == "1"
"""Whether to take the time: tens of thousands of requests and statements, for a quiet machine."""

READING = ("GET", "HEAD", "OPTIONS")
HANDLER = ClientHandler(enforce_csrf_checks=False)
"""One for all clients: each new one would load the middleware anew."""

CSRF_TOKEN = re.compile(r"""(csrfmiddlewaretoken"\s+value=|x-csrftoken":\s*)"\w+\"""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, after following redirects within the site: each stop's status and headers, the last one's body.

    `refused` is the status of the first stop.
    """

    status: int
    stops: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]
    body: str

    @property
    def text(self) -> str:
        """All that somebody can read in it: headers and body."""
        return "\n".join([*(f"{name}: {value}" for _, headers in self.stops for name, value in headers), self.body])

    def without(self, ids: Iterable[object]) -> "Answer":
        """Return it with these ids and all that is random by design taken out."""
        words = sorted({form for each in ids for form in _forms(each)}, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, words)) or r"(?!)", re.IGNORECASE)

        def cleaned(text: str) -> str:
            return CSRF_TOKEN.sub(r'\1"CSRF"', pattern.sub("ID", text))

        stops = tuple(
            (status, tuple((name, cleaned(value)) for name, value in headers)) for status, headers in self.stops
        )
        return Answer(self.status, stops, cleaned(self.body))


def _forms(identifier: object) -> set[str]:
    text = str(identifier)
    return {text, text.replace("-", ""), text.replace("-", "_2D")}


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks: with a session, with an API key, or as nobody."""

    name: str
    session: str = ""
    key: str = ""

    def ask(self, method: str, path: str, data: Any = None, *, as_form: bool = False, follow: bool = True) -> Answer:
        """Ask with a fresh client, so that no message of an earlier answer shows up in this one."""
        client = Client(raise_request_exception=False)
        client.handler = HANDLER
        if self.session:
            client.cookies[settings.SESSION_COOKIE_NAME] = self.session
        headers = {"authorization": f"Api-Key {self.key}"} if self.key else {}
        content: dict[str, Any] = {"data": data or {}} if method == "POST" and as_form else {}
        if not content and method not in READING:
            content = {"data": json.dumps(data or {}), "content_type": "application/json"}
        elif data and method == "GET":
            content = {"data": data}
        answer = getattr(client, method.lower())(path, headers=headers, **content)
        stops = [_stop(answer)]
        while (
            follow and (self.session or self.key) and answer.status_code in (301, 302, 303, 307, 308) and len(stops) < 5
        ):
            answer = client.get(answer["Location"], headers=headers)
            stops.append(_stop(answer))
        content_type = answer.headers.get("Content-Type", "")
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return Answer(stops[0][0], tuple(stops), body.decode() if "image" not in content_type else "")


def _stop(answer: Any) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Leave out what goes by the clock: the session's cookie is sent anew once a minute."""
    headers = [(name, value) for name, value in sorted(answer.headers.items()) if name != "Expires"]
    cookies = [("Set-Cookie", name) for name in sorted(answer.cookies) if name != settings.SESSION_COOKIE_NAME]
    return answer.status_code, (*headers, *cookies)


def sign_in(user: User) -> str:
    """Open a session for somebody, with a second factor just shown, and return its key."""
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    request = HttpRequest()
    request.session, request.user = client.session, user
    record_authentication(request, user, "mfa", type="totp")
    request.session["sign_in_started_at"] = request.session["sign_in_seen_at"] = time.time()
    request.session.save()
    return str(request.session.session_key)


def strangers(world: World) -> list[Asker]:
    """Return everybody who may see nothing of the other tenant; of those with fewer rights of the same kind, some."""
    return [
        Asker("anonymous"),
        Asker("analyst without a membership", session=sign_in(world.nobody)),
        our_admin(world),
        Asker("provider staff of our group", session=sign_in(world.group_staff)),
        Asker("our API key", key=world.ours.key),
        *([Asker("our reader", session=sign_in(world.ours.people["reader"]))] if LONG else []),
    ]


def our_admin(world: World) -> Asker:
    """Return the one of our own who may most."""
    return Asker("our tenant admin", session=sign_in(world.ours.people["admin"]))


def differences(one: Answer, other: Answer) -> list[str]:
    """Say in what two answers differ; nothing when a stranger cannot tell them apart."""
    if one.status != other.status:
        return [f"status {one.status} and {other.status}"]
    found = []
    if one.stops != other.stops:
        (_, here), (_, there) = next(pair for pair in zip(one.stops, other.stops, strict=False) if pair[0] != pair[1])
        found.append(f"headers {sorted(set(here) ^ set(there))}")
    if one.body != other.body:
        found.append(_first_difference(one.body, other.body))
    return found


def _first_difference(one: str, other: str) -> str:
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"body, …{one[max(0, place - 40) : place + 60]!r} and …{other[max(0, place - 40) : place + 60]!r}"
