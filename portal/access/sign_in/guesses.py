"""How many passwords may be tried: few by strangers, and a few more by whoever signed in from here before.

A flood of guesses from elsewhere must not lock a person out (OWASP, "Device cookies"): a browser that signed the person
in before carries a signed cookie, and the network they signed in from is remembered; each of these has a small
allowance of its own. Everybody else shares one allowance per person, and one per network. Unknown addresses are counted
like known ones, so that nobody can tell them apart. Counters are allauth's, in Redis; they run before the hasher does.
"""

import hashlib
import secrets
from ipaddress import IPv6Address, ip_network
from typing import Final

from allauth.core.internal.ratelimit import RateLimitUsage, consume
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from portal.access.addresses import client_address

RATES: Final = {"known": "10/15m/key", "stranger": "20/15m/key", "network": "30/15m/key"}
"""Guesses in a quarter of an hour: by a known browser or network, by all strangers at one person, by one network."""

WINDOW_SECONDS: Final = 900
REMEMBERED_SECONDS: Final = 180 * 24 * 3600
_SALT: Final = "portal.access.sign_in.device"


def admit(request: HttpRequest, email: str) -> RateLimitUsage | None:
    """Count one guess at a person's password, before it is made. Returns None when there were too many.

    What is returned can be rolled back, once the guess turns out to be right.
    """
    person = _digest(email)
    device, network = _device_of(request, person), _network_of(request)
    if device is not None:
        return _take(request, "known", f"{person}:{device}")
    if cache.get(_remembered(person, network)):
        return _take(request, "known", f"{person}:{network}")
    by_network = _take(request, "network", network)
    by_person = _take(request, "stranger", person) if by_network else None
    if by_network is None or by_person is None:
        if by_network is not None:
            by_network.rollback()
        return None
    return RateLimitUsage(usage=[*by_network.usage, *by_person.usage])


def is_first_of_its_window(request: HttpRequest, email: str) -> bool:
    """Return whether nobody was told yet, in this quarter of an hour, that guesses at this person are held back."""
    return bool(cache.add(f"sign_in:held_back:{_digest(email)}", "1", WINDOW_SECONDS))


def remember(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """Let this browser and this network have an allowance of their own from now on: the person signed in here."""
    person = _digest(email)
    cache.set(_remembered(person, _network_of(request)), "1", REMEMBERED_SECONDS)
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        signing.dumps([person, secrets.token_hex(16)], salt=_SALT),
        max_age=REMEMBERED_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _take(request: HttpRequest, action: str, key: str) -> RateLimitUsage | None:
    return consume(request, app="sign_in", action=action, config=RATES, key=key, limit_get=True)


def _device_of(request: HttpRequest, person: str) -> str | None:
    cookie = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
    try:
        whose, device = signing.loads(cookie, salt=_SALT, max_age=REMEMBERED_SECONDS)
    except signing.BadSignature:
        return None
    return str(device) if whose == person else None


def _network_of(request: HttpRequest) -> str:
    """One IPv6 customer has a /64 of addresses to guess from."""
    address = client_address(request)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or "unknown")


def _remembered(person: str, network: str) -> str:
    return f"sign_in:remembered:{person}:{_digest(network)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().lower().encode(errors="replace")).hexdigest()
