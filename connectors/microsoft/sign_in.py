"""Tokens for one customer's APIs, each checked to be for that customer before anything uses it.

Microsoft: one resource a token, app-only, no refresh token (identity platform, client credentials flow).
msal returns refusals as dictionaries, and replays a 400 by itself for a minute without calling again.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from typing import Any, Final

import httpcore
import httpx
import msal

from connectors.certificates import read_certificate
from connectors.clouds import PLACES
from connectors.microsoft import permissions
from connectors.protocol import ConnectionSettings, NotSent, Refused
from connectors.retry_after import parse_retry_after
from connectors.transport import client, deadline

MOST_APPLICATIONS: Final = 1024
"""How many tenants one process keeps signed in; the one used longest ago signs in anew."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One API as the sign-in service knows it: the scope to ask for and what its tokens may name as audience."""

    name: str
    scope: str
    audiences: frozenset[str]


GRAPH = Resource(
    permissions.GRAPH,
    "https://graph.microsoft.com/.default",
    frozenset({"https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"}),
)
DEFENDER = Resource(
    permissions.DEFENDER,
    "https://api.securitycenter.microsoft.com/.default",
    frozenset({"https://api.securitycenter.microsoft.com", "fc780465-2017-40d4-a0c5-307022471b92"}),
)
EXCHANGE = Resource(
    permissions.EXCHANGE,
    "https://outlook.office365.com/.default",
    frozenset({"https://outlook.office365.com", "00000002-0000-0ff1-ce00-000000000000"}),
)

_WORDS = {
    "AADSTS700016": "the application is not known in this tenant; ask the customer to give admin consent",
    "AADSTS7000215": "the client secret is wrong; set the current one, here or as MICROSOFT_CLIENT_SECRET",
    "AADSTS700027": "the certificate is not the one registered; register it at Microsoft, or set the one that is",
    "AADSTS7000222": "the client secret has expired; create a new one, set it here or as MICROSOFT_CLIENT_SECRET",
    "AADSTS90002": "the tenant does not exist; check the tenant id of the connection",
    "AADSTS500011": "the service is not present in this tenant; check the customer's Defender licence",
    "AADSTS650052": "the service is not present in this tenant; check the customer's Defender licence",
    "AADSTS53003": "a conditional access policy blocks the application; ask the customer to exclude it",
}
# Entra's own troubles, to be tried again (Microsoft: "AADSTS error codes").
_OUTAGES = frozenset({"AADSTS90012", "AADSTS90033", "AADSTS90055"})
_REFUSALS = frozenset(
    {"invalid_client", "invalid_grant", "invalid_request", "invalid_scope", "invalid_tenant", "unauthorized_client"}
)


class SignIn:
    """The tokens of one tenant in this process; safe to share between threads."""

    def __init__(self, settings: ConnectionSettings, *, deadline_seconds: float) -> None:
        self._settings = settings
        self._deadline_seconds = deadline_seconds

    def token(self, resource: Resource) -> str:
        """Return a token for `resource` of this very tenant, from the cache or fresh within one deadline.

        Raises Refused with the AADSTS code when Entra says no, the token is not this tenant's or opens nothing, or the
        cloud has no such API, and NotSent when Entra could not be reached or did not answer properly.
        """
        wanted = resource_in(self._settings.cloud, resource)
        application = self._application()
        try:
            with deadline(self._deadline_seconds), application.lock:
                answer = application.msal().acquire_token_for_client(scopes=[wanted.scope])
        except httpx.HTTPStatusError as error:
            wait = parse_retry_after(error.response.headers.get("Retry-After"), now=datetime.now(UTC))
            raise self._outage(resource, str(error), wait) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpx.HTTPError) as error:
            raise self._outage(resource, type(error).__name__) from error
        except (ValueError, KeyError) as error:
            # msal says "bad authority" for an unknown tenant and for rubbish alike: look at what came in.
            raise self._verdict(resource, application.http.refusal) from error
        if "access_token" not in answer:
            raise self._verdict(resource, answer)
        token: str = answer["access_token"]
        self._check(token, wanted)
        return token

    def forget(self) -> None:
        """Drop the cached tokens and refusals, so that the next answer is fresh."""
        self._application().forget()

    def _application(self) -> "_Application":
        return _application_of(self._settings, os.getpid())

    def _check(self, token: str, resource: Resource) -> None:
        """Raise Refused unless the token names this tenant, this API and this application, and some permission."""
        claims = claims_of(token)
        application = claims.get("appid", claims.get("azp", self._settings.client_id))
        expected = (
            ("tid", claims.get("tid"), {self._settings.entra_tenant_id.lower()}),
            ("aud", claims.get("aud"), resource.audiences),
            ("appid", application, {self._settings.client_id.lower()}),
        )
        for claim, value, accepted in expected:
            if str(value).lower().rstrip("/") not in accepted:
                self.forget()
                raise Refused(
                    f"The token for {resource.name} of tenant {self._settings.entra_tenant_id} has another {claim}; "
                    "it was not used. Check the connection's login address and tenant id.",
                    code="WrongTenant" if claim == "tid" else "WrongToken",
                )
        if not claims.get("roles"):  # what Entra sends where nothing was consented to
            self.forget()
            raise Refused(
                f"The application has no permission for {resource.name} in tenant {self._settings.entra_tenant_id}; "
                "ask the customer to give admin consent.",
                code="NoRoles",
            )

    def _verdict(self, resource: Resource, answer: Mapping[str, Any]) -> Refused:
        """Tell a no of Entra from an outage."""
        code = _code(answer)
        if code in _OUTAGES or not (code.startswith("AADSTS") or code in _REFUSALS):
            return self._outage(resource, code or "unreadable answer")
        words = _WORDS.get(code, "see Microsoft's list of AADSTS codes")
        return Refused(
            f"Sign-in to {resource.name} of tenant {self._settings.entra_tenant_id} was refused ({code}): {words}.",
            code=code,
        )

    def _outage(self, resource: Resource, what: str, retry_after: float | None = None) -> NotSent:
        return NotSent(
            f"Sign-in to {resource.name} of tenant {self._settings.entra_tenant_id} is not available ({what}); "
            "nothing was sent, it can be tried again.",
            code="SignInUnavailable",
            retry_after=retry_after,
        )


@dataclass(slots=True)
class _Application:
    """One tenant's sign-in in this process: msal's application, and what it keeps between calls."""

    settings: ConnectionSettings
    http: "_Http"
    lock: Lock = field(default_factory=Lock)
    replayed: dict[str, Any] = field(default_factory=dict)
    made: Any = None

    def msal(self) -> Any:
        """Return msal's application, made on first use; making it asks the login service once."""
        if self.made is None:
            self.made = msal.ConfidentialClientApplication(
                self.settings.client_id,
                client_credential=_credential(self.settings),
                authority=f"{self.settings.login_url}/{self.settings.entra_tenant_id}",
                instance_discovery=False,
                http_client=self.http,
                http_cache=self.replayed,
            )
        return self.made

    def forget(self) -> None:
        """Drop tokens and the refusals that msal would replay."""
        with self.lock:
            self.replayed.clear()
            if self.made is not None:
                self.made.remove_tokens_for_client()


@lru_cache(maxsize=MOST_APPLICATIONS)
def _application_of(settings: ConnectionSettings, process_id: int) -> _Application:
    # The process id is part of the key: a forked worker signs in for itself.
    return _Application(settings, _Http(settings.ca_file))


def _credential(settings: ConnectionSettings) -> str | dict[str, str]:
    """Return what msal signs in with: with a certificate it signs its assertion PS256, and names it by SHA-256.

    Raises Refused for a certificate that cannot be used.
    """
    if not settings.client_certificate:
        return settings.client_secret.reveal()
    try:
        found = read_certificate(settings.client_certificate.reveal())
    except ValueError as error:
        raise Refused(f"The certificate cannot be used: {error}", code="CertificateUnreadable") from error
    if found.expires_at <= datetime.now(UTC):
        raise Refused(
            f"The certificate expired on {found.expires_at:%Y-%m-%d}; register a new one at Microsoft and set it.",
            code="CertificateExpired",
        )
    return {"private_key": found.private_key, "public_certificate": found.public_certificate}


def resource_in(cloud: str, resource: Resource) -> Resource:
    """Return an API as one cloud's sign-in knows it. Raises Refused (NotInThisCloud) where it does not exist."""
    place = PLACES[cloud]
    audience = {GRAPH: place.graph_url, EXCHANGE: place.exchange_url}.get(resource, place.defender_audience)
    if not audience:
        raise Refused(f"{resource.name} is not offered in this cloud ({cloud}).", code="NotInThisCloud")
    ids = {name for name in resource.audiences if not name.startswith("https://")}
    return Resource(resource.name, f"{audience}/.default", frozenset({audience, *ids}))


def claims_of(token: str) -> Mapping[str, Any]:
    """Return what a token says about itself, unverified: for comparing, never for trusting. {} if unreadable."""
    try:
        _, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


def _code(answer: Mapping[str, Any]) -> str:
    """Return "AADSTS…" from an error answer, else OAuth's error word, else ""."""
    numbers = answer.get("error_codes")
    if isinstance(numbers, list) and numbers:
        return f"AADSTS{numbers[0]}"
    found = re.search(r"AADSTS\d+", str(answer.get("error_description", "")))
    return found.group() if found else str(answer.get("error", ""))


class _Http:
    """msal's idea of an HTTP client, over our transport, so that sign-in keeps the same deadline and trust."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file
        self.refusal: Mapping[str, Any] = {}

    def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> httpx.Response:
        return self._understood(client(self._ca_file).get(url, params=params or None, headers=headers))

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> httpx.Response:
        # msal gives its signed assertion as bytes, which httpx would print as Python does.
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return self._understood(client(self._ca_file).post(url, params=params or None, data=form, headers=headers))

    def close(self) -> None:
        """Keep the client open: others in this process use it too."""

    def _understood(self, response: httpx.Response) -> httpx.Response:
        """Pass on a JSON object, and keep it when it says no. Raises httpx.HTTPError for anything else.

        An unreadable answer ends here because msal would log it, token and all.
        """
        if response.status_code == 429 or response.status_code >= 500:
            raise httpx.HTTPStatusError(f"HTTP {response.status_code}", request=response.request, response=response)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise httpx.DecodingError(f"unreadable answer, HTTP {response.status_code}")
        self.refusal = answer if response.status_code >= 400 else {}
        return response
