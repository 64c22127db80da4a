"""Signing in with a certificate: the assertion is verified for real (facts/graph.md 5.1).

A JWT whose header says PS256 and names the certificate by ``x5t#S256``; ``aud`` is the tenant's token address, ``iss``
and ``sub`` the client, ``exp`` is to come, and a ``jti`` names one assertion, which msal shows again for minutes.
"""

import base64
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NEEDED = ["aud", "exp", "iss", "jti", "sub"]


class WrongAssertion(Exception):
    """The assertion does not prove who the client is; the text says why."""


@dataclass(slots=True)
class Registrations:
    """The certificates of clients, and the assertions seen so far by client and ``jti``."""

    certificates: dict[str, dict[str, x509.Certificate]] = field(default_factory=dict)
    seen: dict[tuple[str, str], str] = field(default_factory=dict)

    def register(self, client_id: str, pem: str) -> str:
        """Register one more certificate of a client and return its thumbprint. Raises ValueError for no certificate."""
        certificate = x509.load_pem_x509_certificate(pem.encode())
        digest = certificate.fingerprint(SHA256())
        thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.certificates.setdefault(client_id, {})[thumbprint] = certificate
        return thumbprint

    def verify(self, client_id: str, assertion: str, token_address: str) -> None:
        """Raise WrongAssertion unless the assertion is this client's, for this address, and not over."""
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.InvalidTokenError as error:
            raise WrongAssertion("Client assertion is malformed.") from error
        named = str(header.get("x5t#S256", "")).rstrip("=")  # msal pads it, RFC 7515 does not
        registered = self.certificates.get(client_id, {}).get(named)
        if registered is None:
            raise WrongAssertion("The certificate with the identifier used to sign it is not registered.")
        claims = _claims(assertion, registered, client_id, token_address)
        if self.seen.setdefault((client_id, str(claims["jti"])), assertion) != assertion:
            raise WrongAssertion("Client assertion reuses the jti of another one.")


def _claims(assertion: str, registered: x509.Certificate, client_id: str, token_address: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            registered.public_key(),  # type: ignore[arg-type]  # pyjwt says no to keys that PS256 does not take
            algorithms=["PS256"],
            audience=token_address,
            issuer=client_id,
            subject=client_id,
            options={"require": _NEEDED},
        )
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, TypeError) as error:
        raise WrongAssertion(f"Client assertion failed signature or claim validation: {error}.") from error
    return claims
