"""An OpenID Connect provider on a real port that agrees to everything, and can be told to get one thing wrong."""

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID = "quell"
CLIENT_SECRET = "canary-secret-of-the-identity-provider"
TID = "0b8f5a3e-2f6c-4f0a-9a51-6f9f3f1d2c11"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FOREIGN_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class OidcProvider:
    """What the provider is told to do: `fault` names what it gets wrong, `subject` whom it signs in."""

    url: str
    fault: str = ""
    subject: str = "subject-of-ada"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)

    def discovery(self, request: Request) -> Response:
        issuer = "https://elsewhere.example" if self.fault == "discovery" else self.url
        inside = "http://169.254.169.254/token" if self.fault == "inside" else f"{self.url}/token"
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": inside,
                "jwks_uri": f"{self.url}/jwks",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert (asked["client_id"], asked["response_type"], asked["scope"]) == (CLIENT_ID, "code", "openid")
        assert asked["code_challenge_method"] == "S256"
        if self.fault == "denied":
            answer = {"error": "access_denied", "state": asked["state"]}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            answer = {"code": code, "state": asked["state"]}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", status_code=302)

    async def token(self, request: Request) -> Response:
        sent = dict(parse_qsl((await request.body()).decode()))
        asked = self.codes.pop(sent["code"], None)
        challenge = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or sent["client_secret"] != CLIENT_SECRET
            or asked["redirect_uri"] != sent["redirect_uri"]
            or asked["code_challenge"] != base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        ):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        answer = {"access_token": secrets.token_urlsafe(), "token_type": "Bearer"}
        if self.fault != "missing":
            answer["id_token"] = self._id_token(asked["nonce"])
            self.given.append(answer["id_token"])
        return JSONResponse(answer)

    def jwks(self, request: Request) -> Response:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**key, "kid": "one", "use": "sig", "alg": "RS256"}]})

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": "https://elsewhere.example" if self.fault == "issuer" else self.url,
            "aud": "another application" if self.fault == "audience" else CLIENT_ID,
            "sub": self.subject,
            "tid": "another directory" if self.fault == "tid" else TID,
            "nonce": "of another sign-in" if self.fault == "nonce" else nonce,
            "iat": now - (7200 if self.fault == "expired" else 0),
            "exp": now + (-3600 if self.fault == "expired" else 300),
            "email": "pia@provider.example",
            "email_verified": True,
        }
        if self.fault == "no subject":
            del claims["sub"]
        if self.fault == "several audiences":
            claims |= {"aud": [CLIENT_ID, "another application"], "azp": "another application"}
        headers = {"kid": "two" if self.fault == "unknown key" else "one"}
        if self.fault == "unsigned":
            return jwt.encode(claims, "", algorithm="none", headers=headers)
        if self.fault == "hmac":
            return jwt.encode(claims, "x" * 64, algorithm="HS256", headers=headers)
        return jwt.encode(claims, FOREIGN_KEY if self.fault == "forged" else KEY, algorithm="RS256", headers=headers)


@contextmanager
def running() -> Iterator[OidcProvider]:
    """Run a provider until the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    provider = OidcProvider(f"http://127.0.0.1:{listener.getsockname()[1]}")
    routes = [
        Route("/.well-known/openid-configuration", provider.discovery),
        Route("/authorize", provider.authorize),
        Route("/token", provider.token, methods=["POST"]),
        Route("/jwks", provider.jwks),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join()
