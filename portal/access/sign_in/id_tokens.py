"""Checks an ID token in full (OpenID Connect Core 1.0, 3.1.3.7), which django-allauth leaves to the TLS connection."""

import hmac
from typing import Any, Final

import jwt

from portal.access.exceptions import BadRequest
from portal.access.sign_in.fetching import OrganisationFailed, fetch_json, refuse_unsafe_address

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a private key. Neither none nor HMAC, for which the public key would be the secret."""

LEEWAY_SECONDS: Final = 60
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def discover(issuer: str) -> dict[str, Any]:
    """Return what an issuer publishes about itself. Raises OrganisationFailed unless it is about this very issuer.

    Source: OpenID Connect Discovery 1.0, section 4.3.
    """
    document = fetch_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise OrganisationFailed("its discovery document is another issuer's")
    if not all(isinstance(document.get(name), str) for name in ENDPOINTS):
        raise OrganisationFailed("its discovery document is not complete")
    try:
        for name in ENDPOINTS:
            refuse_unsafe_address(document[name])
    except BadRequest as error:
        raise OrganisationFailed("its discovery document names an address that is not allowed") from error
    return document


def read_id_token(
    token: str, *, document: dict[str, Any], client_id: str, nonce: str, entra_tenant_id: str | None
) -> dict[str, Any]:
    """Return the claims of a token that the issuer signed, for us, now, for this sign-in, of the pinned directory.

    Raises OrganisationFailed, which says in words what was wrong and nothing of the token.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_for(token, document["jwks_uri"]),
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=document["issuer"],
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "exp", "iat", "sub"]},
        )
    except jwt.InvalidTokenError as error:
        raise OrganisationFailed(_reason(error)) from error
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != client_id:
        raise OrganisationFailed("the ID token is for another application")
    if not nonce or not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise OrganisationFailed("the ID token is not for this sign-in (nonce)")
    if entra_tenant_id is not None and str(claims.get("tid", "")).lower() != entra_tenant_id:
        raise OrganisationFailed("the ID token is of another directory (tid)")
    return claims


def _key_for(token: str, jwks_uri: str) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    if header.get("alg") not in ALGORITHMS:
        raise OrganisationFailed("the ID token is not signed by a private key")
    try:
        keys = jwt.PyJWKSet.from_dict(fetch_json(jwks_uri)).keys
    except jwt.PyJWTError as error:
        raise OrganisationFailed("its keys cannot be read") from error
    fitting = [key for key in keys if key.key_id == header.get("kid") and key.public_key_use in (None, "sig")]
    if len(fitting) != 1:
        raise OrganisationFailed("the ID token is signed by a key that is not the issuer's")
    return fitting[0]


def _reason(error: jwt.InvalidTokenError) -> str:
    reasons = {
        jwt.InvalidSignatureError: "the ID token's signature is not the issuer's",
        jwt.ExpiredSignatureError: "the ID token has expired",
        jwt.InvalidIssuerError: "the ID token is another issuer's",
        jwt.InvalidAudienceError: "the ID token is for another application",
        jwt.ImmatureSignatureError: "the ID token is from the future",
    }
    return reasons.get(type(error), "the ID token cannot be read")
