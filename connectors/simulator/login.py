"""Entra ID's login: tenant discovery and the client-credentials token (facts/graph.md 5.1).

A token is a JWT signed with a key that lives and dies with this process, so a restart ends every token.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import uuid4

from connectors.simulator.assertions import ASSERTION_TYPE, WrongAssertion
from connectors.simulator.exchange import Json, Refusal
from connectors.simulator.moments import TICKS_PER_SECOND, moment_text, now_ticks
from connectors.simulator.store import Tenant, World

DEFENDER = "https://api.securitycenter.microsoft.com"
DEFENDER_XDR = "https://api.security.microsoft.com"
GRAPH = "https://graph.microsoft.com"
EXCHANGE = "https://outlook.office365.com"
LIFETIME_SECONDS = 3599

AUDIENCES = {
    f"{DEFENDER}/.default": DEFENDER,
    "https://securitycenter.onmicrosoft.com/windowsatpservice/.default": DEFENDER,
    "https://api.securitycenter.windows.com/.default": DEFENDER,
    f"{DEFENDER_XDR}/.default": DEFENDER_XDR,
    f"{GRAPH}/.default": GRAPH,
    f"{EXCHANGE}/.default": EXCHANGE,
}
_DEFENDER_ROLES = (
    "Machine.Read.All",
    "Machine.Isolate",
    "Machine.RestrictExecution",
    "Machine.Scan",
    "Machine.StopAndQuarantine",
    "Machine.Offboard",
    "Machine.CollectForensics",
    "Machine.LiveResponse",
    "Library.Manage",
    "File.Read.All",
    "Ti.ReadWrite.All",
    "Alert.Read.All",
    "Alert.ReadWrite.All",
    "AdvancedQuery.Read.All",
    "AdvancedHunting.Read.All",
    "SecurityRecommendation.Read.All",
    "Vulnerability.Read.All",
    "RemediationTasks.Read.All",
)
ROLES = {
    DEFENDER: _DEFENDER_ROLES,
    DEFENDER_XDR: _DEFENDER_ROLES,
    GRAPH: (
        "SecurityAlert.Read.All",
        "SecurityAlert.ReadWrite.All",
        "SecurityAnalyzedMessage.Read.All",
        "SecurityAnalyzedMessage.ReadWrite.All",
        "ThreatHunting.Read.All",
        "ThreatSubmission.ReadWrite.All",
        "MailboxSettings.ReadWrite",
        "Mail.Read",
        "DeviceManagementApps.ReadWrite.All",
        "DeviceManagementManagedDevices.Read.All",
        "DeviceManagementServiceConfig.Read.All",
    ),
    EXCHANGE: ("Exchange.ManageAsApp",),
}


class LoginError(Exception):
    """Entra ID's refusal of a token: an OAuth error word and its AADSTS number and text."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(f"AADSTS{number}: {text}")
        self.status = status
        self.error = error
        self.number = number

    def as_json(self) -> Json:
        """The body Entra ID sends."""
        now = moment_text(now_ticks())
        trace, correlation = str(uuid4()), str(uuid4())
        stamp = f"{now[:10]} {now[11:19]}Z"
        return {
            "error": self.error,
            "error_description": f"{self} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
            "error_codes": [self.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified bearer says: whose data, for which client, with which permissions; ``issued`` in ticks."""

    tenant_id: str
    client_id: str
    roles: frozenset[str]
    issued: int


class Tokens:
    """Makes bearers and checks them."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, tenant: Tenant, client_id: str, audience: str, origin: str) -> str:
        """A bearer for one tenant and one API, good for 3599 seconds, with every role the tenant does not withhold."""
        now = now_ticks()
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": f"{origin}/{tenant.id}/v2.0",
            "iat": now // TICKS_PER_SECOND,
            "nbf": now // TICKS_PER_SECOND,
            "exp": now // TICKS_PER_SECOND + LIFETIME_SECONDS,
            "appid": client_id,
            "idtyp": "app",
            "roles": [role for role in ROLES[audience] if role not in tenant.withheld_roles],
            "tid": tenant.id,
            "uti": secrets.token_urlsafe(16),
            "xms_issued_ticks": now,
        }
        if not claims["roles"]:
            del claims["roles"]  # what Entra ID does where nothing is consented
        signed = f"{_encoded({'typ': 'JWT', 'alg': 'HS256', 'kid': 'simulator'})}.{_encoded(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def verify(self, header: str, audiences: frozenset[str]) -> Claims:
        """The claims of an ``Authorization`` header. Raises Refusal (401) unless signature, API and time are right."""
        scheme, _, bearer = header.partition(" ")
        signed, _, signature = bearer.strip().rpartition(".")
        if scheme.lower() != "bearer" or not signed:
            raise unauthorized("Access token is missing or malformed.")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode()):
            raise unauthorized("Access token validation failure: the signature is wrong.")
        claims = _decoded(signed.partition(".")[2])
        if claims["aud"] not in audiences:
            raise unauthorized("Access token validation failure: invalid audience.")
        if claims["exp"] * TICKS_PER_SECOND <= now_ticks():
            raise unauthorized("Access token has expired.")
        roles = frozenset(claims.get("roles", ()))
        return Claims(claims["tid"], claims["appid"], roles, claims["xms_issued_ticks"])

    def _signature(self, signed: str) -> str:
        return _text(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


def unauthorized(message: str) -> Refusal:
    """A 401 as the APIs send it for a bearer they do not take."""
    return Refusal(401, "Unauthorized", message, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def openid_configuration(world: World, tenant_id: str, origin: str) -> Json:
    """What a client must know to sign in to a tenant. Raises LoginError for a tenant that was not seeded."""
    tenant = _known_tenant(world, tenant_id)
    return {
        "token_endpoint": f"{origin}/{tenant.id}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "authorization_endpoint": f"{origin}/{tenant.id}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{origin}/{tenant.id}/oauth2/v2.0/devicecode",
        "issuer": f"{origin}/{tenant.id}/v2.0",
        "jwks_uri": f"{origin}/{tenant.id}/discovery/v2.0/keys",
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": "EU",
    }


def instance_discovery(origin: str, tenant_id: str) -> Json:
    """The answer to a client that asks whether this login host is a real one: it is."""
    return {
        "tenant_discovery_endpoint": f"{origin}/{tenant_id}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [],
    }


def client_credentials(
    world: World, tokens: Tokens, tenant_id: str, form: str, origin: str, token_address: str = ""
) -> Json:
    """A token for a form of ``grant_type``, ``client_id``, ``scope`` and ``client_secret`` or ``client_assertion``.

    The assertion is for ``token_address``, which is this endpoint's own unless the older one passes its on. Raises
    LoginError.
    """
    tenant = _known_tenant(world, tenant_id)
    fields = {name: values[0] for name, values in parse_qs(form, keep_blank_values=True).items()}
    grant = fields.get("grant_type")
    if grant is None:
        raise LoginError(400, "invalid_request", 900144, "The request body must contain the parameter: 'grant_type'.")
    if grant != "client_credentials":
        raise LoginError(
            400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'."
        )
    client_id = _known_client(world, tenant, fields)
    _require_proof(world, client_id, fields, token_address or f"{origin}/{tenant.id}/oauth2/v2.0/token")
    audience = _known_scope(tenant, fields.get("scope", ""))
    return {
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECONDS,
        "ext_expires_in": LIFETIME_SECONDS,
        "access_token": tokens.issue(tenant, client_id, audience, origin),
    }


def client_credentials_v1(world: World, tokens: Tokens, tenant_id: str, form: str, origin: str) -> Json:
    """The same from the older endpoint: ``resource`` in place of ``scope``, numbers as texts. Raises LoginError."""
    fields = parse_qs(form, keep_blank_values=True)
    resource = fields.get("resource", [""])[0].rstrip("/")
    scoped = urlencode({**{name: values[0] for name, values in fields.items()}, "scope": f"{resource}/.default"})
    address = f"{origin}/{tenant_id.lower()}/oauth2/token"
    answer = client_credentials(world, tokens, tenant_id, scoped, origin, address)
    now = now_ticks() // TICKS_PER_SECOND
    moments = {"expires_on": str(now + LIFETIME_SECONDS), "not_before": str(now), "resource": resource}
    return {**{name: str(value) for name, value in answer.items()}, **moments}


def _known_tenant(world: World, tenant_id: str) -> Tenant:
    tenant = world.tenant(tenant_id)
    if tenant is None:
        raise LoginError(
            400,
            "invalid_request",
            90002,
            f"Tenant '{tenant_id}' not found. Check to make sure you have the correct ID.",
        )
    return tenant


def _known_client(world: World, tenant: Tenant, fields: dict[str, str]) -> str:
    client_id = fields.get("client_id", "")
    if tenant.is_consent_revoked or not world.knows_client(client_id):
        text = f"Application with identifier '{client_id}' was not found in the directory '{tenant.id}'."
        raise LoginError(400, "unauthorized_client", 700016, text)
    return client_id


def _require_proof(world: World, client_id: str, fields: dict[str, str], token_address: str) -> None:
    if fields.get("client_assertion_type") == ASSERTION_TYPE:
        try:
            world.registrations.verify(client_id, fields.get("client_assertion", ""), token_address)
        except WrongAssertion as error:
            raise LoginError(401, "invalid_client", 700027, str(error)) from error
        return
    expected = world.clients.get(client_id)
    if expected is None or not hmac.compare_digest(expected.encode(), fields.get("client_secret", "").encode()):
        text = f"Invalid client secret provided. Ensure the secret being sent is right for app '{client_id}'."
        raise LoginError(401, "invalid_client", 7000215, text)


def _known_scope(tenant: Tenant, scope: str) -> str:
    audience = AUDIENCES.get(scope.strip())
    if audience is not None:
        return audience
    if not scope.strip().endswith("/.default"):
        text = f"The provided value for scope {scope} is not valid; client credential flows need '/.default'."
        raise LoginError(400, "invalid_scope", 1002012, text)
    text = f"The resource principal named {scope} was not found in the tenant named {tenant.id}."
    raise LoginError(400, "invalid_resource", 500011, text)


def _encoded(value: Json) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(part: str) -> Json:
    try:
        decoded = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError) as error:
        raise unauthorized("Access token is malformed.") from error
    if not isinstance(decoded, dict):
        raise unauthorized("Access token is malformed.")
    return decoded
