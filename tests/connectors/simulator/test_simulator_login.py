"""Who gets a token, and whose data it opens."""

import base64
import json
from collections.abc import Callable
from typing import Any

import msal
import pytest

from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process

SCOPE = "https://api.securitycenter.microsoft.com/.default"


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def test_msal_gets_a_token_of_the_right_tenant(
    simulator: RunningSimulator, acme: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests puts them before what the caller asked for
        monkeypatch.delenv(name, raising=False)
    application = msal.ConfidentialClientApplication(
        "quell-demo",
        client_credential="demo-secret",
        authority=f"{simulator.url}/{acme.id}",
        instance_discovery=False,
        verify=simulator.ca_file,
    )
    answer = application.acquire_token_for_client([SCOPE])
    assert answer["expires_in"] == 3599
    claims = claims_of(answer["access_token"])
    assert claims["tid"] == acme.id
    assert claims["aud"] == "https://api.securitycenter.microsoft.com"
    assert "Machine.Isolate" in claims["roles"]


@pytest.mark.parametrize(
    ("changes", "status", "number"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_id": "nobody"}, 400, 700016),
        ({"scope": "https://unknown.example/.default"}, 400, 500011),
        ({"scope": "https://graph.microsoft.com/User.Read"}, 400, 1002012),
        ({"grant_type": "password"}, 400, 70003),
    ],
)
def test_a_wrong_form_is_refused_in_entras_words(
    simulator: RunningSimulator, acme: Company, changes: dict[str, Any], status: int, number: int
) -> None:
    answer = simulator.ask_token(acme.id, **changes)
    assert answer.status_code == status
    assert answer.json()["error_codes"] == [number]
    assert answer.json()["error_description"].startswith(f"AADSTS{number}: ")
    assert "access_token" not in answer.json()


def test_only_seeded_tenants_exist(simulator: RunningSimulator) -> None:
    unknown = "00000000-0000-0000-0000-000000000001"
    assert simulator.ask_token(unknown).json()["error_codes"] == [90002]
    discovery = simulator.admin.get(f"/{unknown}/v2.0/.well-known/openid-configuration")
    assert discovery.status_code == 400
    assert discovery.json()["error_codes"] == [90002]


def test_a_client_registered_by_the_admin_endpoint_signs_in(simulator: RunningSimulator, acme: Company) -> None:
    own = {"client_id": "Other-Client", "client_secret": "s2"}
    assert simulator.ask_token(acme.id, **own).status_code == 400
    simulator.admin.put("/_simulator/clients/Other-Client", json={"client_secret": "s2"})
    assert claims_of(simulator.ask_token(acme.id, **own).json()["access_token"])["appid"] == "Other-Client"


def test_a_token_opens_nothing_of_another_tenant(
    acme: Company, globex: Company, after_action: Callable[[], None]
) -> None:
    stranger = f"/api/machines/{globex.machines[0]}"
    assert acme.defender.get(stranger).status_code == 404
    answer = acme.defender.post(f"{stranger}/isolate", json={"Comment": "x", "IsolationType": "Full"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "ResourceNotFound"
    theirs = globex.act("unisolate").json()["id"]
    assert acme.defender.get(f"/api/machineactions/{theirs}").status_code == 404
    assert acme.defender.post(f"/api/machineactions/{theirs}/cancel", json={"Comment": "x"}).status_code == 404
    assert acme.remediate("mail-1", "hardDelete").status_code == 202  # its own mail of the same key
    after_action()
    assert globex.truth()["machines"][0]["isolation"] is None
    assert globex.actions()[0]["status"] == "Succeeded"
    assert globex.mail("mail-1")["latestDelivery"]["location"] == "inbox_folder"


@pytest.mark.parametrize("damage", ["none", "signature", "claims", "other_api"])
def test_a_bearer_that_is_not_right_is_refused(acme: Company, damage: str) -> None:
    header = acme.defender.headers["authorization"]
    head, payload, signature = header.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**claims_of(header), "tid": "x"}).encode()).decode().rstrip("=")
    bearers = {
        "none": "",
        "signature": f"{head}.{payload}.{signature[::-1]}",
        "claims": f"{head}.{forged}.{signature}",
        "other_api": acme.graph.headers["authorization"],
    }
    answer = acme.defender.get("/api/machines", headers={"authorization": bearers[damage]})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "Unauthorized"
    assert set(answer.json()["error"]) == {"code", "message", "target"}


def test_a_withheld_permission_is_403_and_nothing_happens(found_company: Callable[..., Company]) -> None:
    shy = found_company(machines=[{"computerDnsName": "shy-1"}], withheld_roles=["Machine.Isolate"])
    answer = shy.act("isolate", IsolationType="Full")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")
    assert shy.actions() == []
    assert [entry["accepted"] for entry in shy.log()] == [False]
    assert shy.act("restrictCodeExecution").status_code == 201
