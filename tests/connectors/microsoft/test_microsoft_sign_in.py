"""Signing in: whose token it is, what Entra's answers mean, and what is said about secrets."""

import logging
import socket
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.microsoft.sign_in import DEFENDER, GRAPH, SignIn
from connectors.protocol import ActionRequest, ConnectionSettings, NotSent, Refused
from portal.secrets.secret_text import SecretText
from tests.connectors.microsoft.conftest import TENANT, Wire, drip, http, token

GOOD: dict[str, Any] = {
    "tid": TENANT,
    "aud": "https://api.securitycenter.microsoft.com",
    "appid": "app",
    "roles": ["Machine.Read.All"],
}
ISOLATE = ActionRequest(uuid4(), "isolate_device", "a" * 40, {"isolation_type": "Full"}, "why")


@pytest.fixture
def settings(wire: Wire, ca_file: str) -> ConnectionSettings:
    return ConnectionSettings(
        "microsoft", TENANT, "app", SecretText("s3cret-canary"), wire.url, wire.url, wire.url, ca_file=ca_file
    )


def login(wire: Wire, *token_answers: bytes) -> None:
    """Let the wire answer discovery properly and each token request with the next answer, the last for ever."""
    waiting = list(token_answers)

    def script(out: socket.socket, request: bytes) -> None:
        if b"openid-configuration" in request:
            endpoints = {
                "token_endpoint": f"{wire.url}/{TENANT}/oauth2/v2.0/token",
                "authorization_endpoint": f"{wire.url}/{TENANT}/oauth2/v2.0/authorize",
                "issuer": f"{wire.url}/{TENANT}/v2.0",
            }
            out.sendall(http(200, endpoints))
        elif b"/token " in request:
            out.sendall(waiting.pop(0) if len(waiting) > 1 else waiting[0])
        else:
            out.sendall(http(500))

    wire.script = script


def granted(**claims: Any) -> bytes:
    return http(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token(**claims)})


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"tid": "11111111-2222-3333-4444-555555555555"}, "WrongTenant"),
        ({"tid": ""}, "WrongTenant"),
        ({"aud": "https://graph.microsoft.com"}, "WrongToken"),
        ({"appid": "another-app"}, "WrongToken"),
        ({"roles": []}, "NoRoles"),
    ],
)
def test_a_token_of_somebody_else_is_refused_before_the_api_hears_of_it(
    wire: Wire, settings: ConnectionSettings, wrong: dict[str, Any], code: str
) -> None:
    login(wire, granted(**{**GOOD, **wrong}))
    told = []

    with pytest.raises(Refused) as caught:
        Microsoft(settings, deadline_seconds=2).send(ISOLATE, before_sending=lambda: told.append("sent"))

    assert caught.value.code == code
    assert told == []
    assert not [request for request in wire.requests if b"/api/" in request]


def test_a_good_token_is_asked_for_once_a_resource(wire: Wire, settings: ConnectionSettings) -> None:
    login(wire, granted(**GOOD), granted(**{**GOOD, "aud": "00000003-0000-0000-c000-000000000000"}))
    sign_in = SignIn(settings, deadline_seconds=2)

    first = sign_in.token(DEFENDER)

    assert sign_in.token(DEFENDER) == first
    assert sign_in.token(GRAPH) != first
    assert len([request for request in wire.requests if b"/token " in request]) == 2


def test_a_forgotten_token_is_fetched_anew(wire: Wire, settings: ConnectionSettings) -> None:
    login(wire, granted(**GOOD, n="1"), granted(**GOOD, n="2"))
    sign_in = SignIn(settings, deadline_seconds=2)

    first = sign_in.token(DEFENDER)
    sign_in.forget()

    assert sign_in.token(DEFENDER) != first


def refusal(number: int) -> bytes:
    body = {"error": "invalid_client", "error_codes": [number], "error_description": f"AADSTS{number}: s3cret-canary"}
    return http(401, body)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refusal(7000215), Refused, "AADSTS7000215"),
        (refusal(700016), Refused, "AADSTS700016"),
        (refusal(90033), NotSent, "SignInUnavailable"),
        (http(400, {"error": "invalid_scope", "error_description": "AADSTS1002012: no"}), Refused, "AADSTS1002012"),
        (http(429, {"error": "invalid_request"}), NotSent, "SignInUnavailable"),
        (http(503, {}), NotSent, "SignInUnavailable"),
        (http(200, ["what"]), NotSent, "SignInUnavailable"),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{"access_token": "s3cret-canary.abc',
            NotSent,
            "SignInUnavailable",
        ),
    ],
)
def test_entras_answers_are_a_no_or_an_outage_and_no_secret_is_told(
    wire: Wire,
    settings: ConnectionSettings,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    kind: type[Refused],
    code: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    login(wire, answer)

    with pytest.raises(Refused) as caught:
        SignIn(settings, deadline_seconds=2).token(DEFENDER)

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert "s3cret-canary" not in str(caught.value) + caplog.text + repr(settings)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (http(400, {"error": "invalid_tenant", "error_description": "AADSTS90002: none"}), Refused, "AADSTS90002"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", NotSent, "SignInUnavailable"),
        (http(502, {}), NotSent, "SignInUnavailable"),
        (http(200, {}), NotSent, "SignInUnavailable"),
    ],
)
def test_a_tenant_that_cannot_be_found_is_a_no_and_rubbish_an_outage(
    wire: Wire, settings: ConnectionSettings, answer: bytes, kind: type[Refused], code: str
) -> None:
    wire.script = lambda out, _request: out.sendall(answer)

    with pytest.raises(Refused) as caught:
        SignIn(settings, deadline_seconds=2).token(DEFENDER)

    assert (type(caught.value), caught.value.code) == (kind, code)


def test_signing_in_keeps_one_deadline_too(wire: Wire, settings: ConnectionSettings) -> None:
    wire.script = lambda out, _request: drip(out, b"HTTP/1.1 200 OK\r\nX-Slow: ")
    began = time.monotonic()

    with pytest.raises(NotSent):
        SignIn(settings, deadline_seconds=1).token(DEFENDER)

    assert 0.9 < time.monotonic() - began < 1.5


@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_a_tenant_id_is_compared_whatever_its_case(
    wire: Wire, settings: ConnectionSettings, change: Callable[[str], str]
) -> None:
    login(wire, granted(**{**GOOD, "tid": change(TENANT)}))

    assert SignIn(settings, deadline_seconds=2).token(DEFENDER)


def test_a_throttled_sign_in_passes_on_how_long_to_wait(wire: Wire, settings: ConnectionSettings) -> None:
    login(wire, http(429, {"error": "temporarily_unavailable"}, Retry_After="7"))

    with pytest.raises(NotSent) as caught:
        SignIn(settings, deadline_seconds=2).token(DEFENDER)

    assert caught.value.retry_after == 7
