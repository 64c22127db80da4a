"""Signing in with a certificate, over real sockets: who gets a token, and what revoked consent looks like."""

import base64
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

from connectors.microsoft.connector import Microsoft
from connectors.microsoft.sign_in import DEFENDER, EXCHANGE, GRAPH, SignIn, resource_in
from connectors.protocol import ConnectionSettings, Refused
from portal.secrets.secret_text import SecretText
from tests.connectors.certificates import make_certificate, make_key, make_pem
from tests.connectors.microsoft.conftest import Simulator

pytestmark = pytest.mark.process


@pytest.fixture
def registered(simulator: Simulator) -> ConnectionSettings:
    """An application that is registered with the certificate “one” alone, and has no secret."""
    client_id = f"app-{uuid4()}"
    simulator.admin("PUT", f"/clients/{client_id}", {"certificate": make_certificate("one")})
    pem = SecretText(make_pem("one"))
    return replace(simulator.settings, client_id=client_id, client_secret=SecretText(""), client_certificate=pem)


def code_of(settings: ConnectionSettings) -> str:
    with pytest.raises(Refused) as caught:
        SignIn(settings, deadline_seconds=5).token(DEFENDER)
    return caught.value.code


@pytest.mark.parametrize("resource", [DEFENDER, GRAPH, EXCHANGE], ids=lambda resource: resource.name)
def test_the_registered_certificate_opens_each_api(registered: ConnectionSettings, resource: Any) -> None:
    assert SignIn(registered, deadline_seconds=5).token(resource)


def test_devices_are_read_with_a_certificate(registered: ConnectionSettings) -> None:
    [device] = Microsoft(registered, deadline_seconds=5).devices()
    assert device["computerDnsName"] == "lap-01"


def test_another_certificate_is_refused_and_says_what_to_do(registered: ConnectionSettings) -> None:
    wrong = replace(registered, client_certificate=SecretText(make_pem("two")))
    assert code_of(wrong) == "AADSTS700027"
    assert code_of(replace(registered, client_certificate=SecretText("rubbish"))) == "CertificateUnreadable"
    assert code_of(replace(registered, client_certificate=SecretText(make_pem("one", days=-1)))) == "CertificateExpired"


def assertion(
    simulator: Simulator, client_id: str, *, key: str = "one", algorithm: str = "PS256", **changes: Any
) -> str:
    now = int(time.time())
    digest = load_pem_x509_certificate(make_certificate("one").encode()).fingerprint(SHA256())
    claims = {
        "aud": f"{simulator.url}/{simulator.tenant_id}/oauth2/v2.0/token",
        "iss": client_id,
        "sub": client_id,
        "jti": str(uuid4()),
        "nbf": now - 5,
        "exp": now + 300,
        **changes,
    }
    thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return jwt.encode(claims, make_key(key), algorithm=algorithm, headers={"x5t#S256": thumbprint})


def ask(simulator: Simulator, client_id: str, signed: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "scope": "https://graph.microsoft.com/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    return httpx.post(f"{simulator.url}/{simulator.tenant_id}/oauth2/v2.0/token", data=form, verify=simulator.trust)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "two"},
        {"algorithm": "RS256"},
        {"aud": "https://login.microsoftonline.com/another/oauth2/v2.0/token"},
        {"iss": "somebody-else"},
        {"sub": "somebody-else"},
        {"exp": 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_the_simulator_refuses_an_assertion_that_is_not_right(
    simulator: Simulator, registered: ConnectionSettings, wrong: Mapping[str, Any]
) -> None:
    answer = ask(simulator, registered.client_id, assertion(simulator, registered.client_id, **wrong))
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [700027])


def test_an_assertions_id_is_its_own_and_its_signature_counts(
    simulator: Simulator, registered: ConnectionSettings
) -> None:
    signed = assertion(simulator, registered.client_id, jti="the-first")
    assert [ask(simulator, registered.client_id, signed).status_code for _ in range(2)] == [200, 200]
    another = assertion(simulator, registered.client_id, jti="the-first")
    forged = signed.rsplit(".", 1)[0] + ".AAAA"
    for wrong in (another, forged, ""):
        assert ask(simulator, registered.client_id, wrong).json()["error_codes"] == [700027]


def test_an_application_without_a_secret_is_not_let_in_with_an_empty_one(
    simulator: Simulator, registered: ConnectionSettings
) -> None:
    assert code_of(replace(registered, client_certificate=None)) == "AADSTS7000215"


def test_consent_revoked_and_given_again_shows_at_the_next_fresh_token(simulator: Simulator) -> None:
    sign_in = SignIn(simulator.settings, deadline_seconds=5)
    sign_in.token(DEFENDER)
    simulator.seed(consent_revoked=True)
    sign_in.forget()
    assert code_of(simulator.settings) == "AADSTS700016"
    simulator.seed(consent_revoked=False)
    sign_in.forget()  # msal would replay the refusal for a minute
    assert sign_in.token(DEFENDER)


def test_one_application_a_tenant_and_process(simulator: Simulator) -> None:
    """What one of them forgot, the other asks for anew."""
    first, second = (SignIn(simulator.settings, deadline_seconds=seconds) for seconds in (5, 6))
    token = first.token(DEFENDER)
    assert second.token(DEFENDER) == token
    second.forget()
    assert first.token(DEFENDER) != token


@pytest.mark.parametrize(
    ("cloud", "scope", "audience"),
    [
        ("gcc", "https://api-gcc.securitycenter.microsoft.us/.default", "https://graph.microsoft.com"),
        ("gcc_high", "https://api-gov.securitycenter.microsoft.us/.default", "https://graph.microsoft.us"),
        ("dod", "https://api-gov.securitycenter.microsoft.us/.default", "https://dod-graph.microsoft.us"),
    ],
)
def test_a_national_cloud_has_scopes_and_audiences_of_its_own(cloud: str, scope: str, audience: str) -> None:
    assert resource_in(cloud, DEFENDER).scope == scope
    assert resource_in(cloud, GRAPH).audiences == {audience, "00000003-0000-0000-c000-000000000000"}
    assert resource_in("global", DEFENDER) == DEFENDER
    with pytest.raises(Refused) as caught:
        resource_in("china", DEFENDER)
    assert caught.value.code == "NotInThisCloud"


def test_certificates_of_tests_are_what_they_say() -> None:
    """Guards the guard: the expired one really is."""
    expired = load_pem_x509_certificate(make_certificate("one", days=-1).encode())
    assert expired.not_valid_after_utc < datetime.now(UTC)
