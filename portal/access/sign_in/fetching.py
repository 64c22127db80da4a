"""Reads what an identity provider publishes: over https, from public addresses, within seconds, without detours."""

import socket
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.conf import settings
from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest

SECONDS: Final = 5.0
MOST_BYTES: Final = 512 * 1024


class OrganisationFailed(OAuth2Error):
    """The organisation's sign-in could not be used. `reason` is for the record; it never holds what was received."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refuse_unsafe_address(address: str) -> None:
    """Raise BadRequest for an address that could make this server speak to something inside: SSRF.

    Outside development it must be https, and every address its host has must be a public one.
    """
    try:
        parts = urlsplit(address)
        port = parts.port or 443
    except ValueError as error:
        raise BadRequest(_("An address of an identity provider begins with https://.")) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(_("An address of an identity provider begins with https://."))
    if settings.IS_DEVELOPMENT:
        return
    if parts.scheme != "https":
        raise BadRequest(_("An address of an identity provider begins with https://."))
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadRequest(_("The host %(host)s was not found.") % {"host": parts.hostname}) from error
    if not all(ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found):
        raise BadRequest(_("The host %(host)s is not on the public internet.") % {"host": parts.hostname})


def fetch_json(address: str) -> dict[str, Any]:
    """Return the JSON object at an address. Raises OrganisationFailed for anything else, and follows no redirect."""
    try:
        refuse_unsafe_address(address)
        with (
            httpx.Client(timeout=SECONDS, trust_env=False) as client,
            client.stream("GET", address, headers={"Accept": "application/json"}) as answer,
        ):
            answer.raise_for_status()
            body = b""
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MOST_BYTES:
                    raise OrganisationFailed("its answer is too long")
        found = httpx.Response(200, content=body).json()
    except (httpx.HTTPError, ValueError, BadRequest) as error:
        raise OrganisationFailed("it did not answer as an identity provider does") from error
    if not isinstance(found, dict):
        raise OrganisationFailed("it did not answer as an identity provider does")
    return found
