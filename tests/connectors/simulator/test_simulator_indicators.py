"""Indicators at the simulator: it takes what Defender takes, and refuses what Defender refuses."""

from typing import Any

import httpx
import pytest

from connectors.simulator import indicators
from connectors.simulator.exchange import Refusal
from connectors.simulator.store import Tenant
from tests.connectors.simulator.conftest import Company

pytestmark = pytest.mark.process

SHA1 = "5e0f7a1b9c3d4826e7f81209ab34cd56ef781290"
PLAIN = {
    "indicatorValue": SHA1,
    "indicatorType": "FileSha1",
    "action": "Allowed",
    "title": "FP INC-5512",
    "description": "Vendor tool, verified",
}


def submit(company: Company, **changes: Any) -> httpx.Response:
    body = {name: value for name, value in {**PLAIN, **changes}.items() if value is not None}
    return company.defender.post("/api/indicators", json=body)


def listed(company: Company, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = company.defender.get("/api/indicators", params=query).json()["value"]
    return found


def test_one_is_kept_for_a_value_and_type(acme: Company, globex: Company) -> None:
    first = submit(acme, application="mssp-portal").json()
    second = submit(acme, indicatorValue=SHA1.upper(), action="Block", application="another").json()
    submit(acme, indicatorType="CertificateThumbprint")

    assert second["id"] == first["id"]
    assert (second["action"], second["application"]) == ("Block", "mssp-portal")
    assert len(listed(acme)) == 2
    assert [row["id"] for row in listed(acme, **{"$filter": "action eq 'Block'"})] == [first["id"]]
    wanted = f"indicatorValue eq '{SHA1}' and indicatorType eq 'FileSha1'"
    assert [row["id"] for row in listed(acme, **{"$filter": wanted})] == [first["id"]]
    assert listed(globex) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": None}, "MissingRequiredParameter"),
        ({"description": " "}, "MissingRequiredParameter"),
        ({"Action": "Block"}, "InvalidRequestBody"),
        ({"title": 7}, "InvalidRequestBody"),
        ({"indicatorType": "Hash"}, "InvalidInput"),
        ({"action": "AlertAndBlock"}, "InvalidInput"),
        ({"severity": "Severe"}, "InvalidInput"),
        ({"action": "Audit"}, "InvalidInput"),
        ({"expirationTime": "2020-01-01T00:00:00Z"}, "InvalidInput"),
        ({"expirationTime": "soon"}, "InvalidRequestBody"),
        ({"indicatorValue": "abc"}, "InvalidHashValue"),
        ({"indicatorType": "FileSha256"}, "InvalidHashValue"),
        ({"indicatorType": "IpAddress", "indicatorValue": "10.0.0.0/8"}, "InvalidIpAddress"),
        ({"indicatorType": "DomainName", "indicatorValue": "https://evil.example"}, "InvalidDomainName"),
        ({"indicatorType": "Url", "indicatorValue": "ftp://evil example"}, "InvalidUrl"),
        (
            {"indicatorType": "Url", "indicatorValue": "https://e.example", "action": "BlockAndRemediate"},
            "InvalidInput",
        ),
    ],
)
def test_what_defender_would_not_take_is_refused(acme: Company, changes: dict[str, Any], code: str) -> None:
    answer = submit(acme, **changes)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert listed(acme) == []


def test_audit_with_an_alert_is_taken(acme: Company) -> None:
    assert submit(acme, action="Audit", generateAlert=True).json()["generateAlert"] is True


def test_a_removed_one_is_gone(acme: Company) -> None:
    made = submit(acme).json()["id"]

    assert acme.defender.delete(f"/api/indicators/{made}").status_code == 204
    assert acme.defender.delete(f"/api/indicators/{made}").status_code == 404
    assert [entry["method"] for entry in acme.log()] == ["POST", "DELETE", "DELETE"]


def test_an_import_says_of_each_how_it_went(acme: Company) -> None:
    wrong = {**PLAIN, "indicatorValue": "abc"}
    results = acme.defender.post("/api/indicators/import", json={"Indicators": [PLAIN, wrong]}).json()["value"]

    assert [(row["indicator"], row["isFailed"]) for row in results] == [(SHA1, False), ("abc", True)]
    assert results[0]["id"] == listed(acme)[0]["id"]
    assert "not a hash" in results[1]["failureReason"]
    many = acme.defender.post("/api/indicators/import", json={"Indicators": [PLAIN] * 501})
    assert many.json()["error"]["code"] == "MaximumBatchSizeExceeded"


def test_several_go_at_once(acme: Company) -> None:
    ids = [submit(acme, indicatorValue=digit * 40).json()["id"] for digit in "abc"]

    assert acme.defender.post("/api/indicators/BatchDelete", json={"IndicatorIds": ids[:2]}).status_code == 204
    assert [row["id"] for row in listed(acme)] == ids[2:]


def test_the_fifteen_thousandth_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert indicators.MOST_ACTIVE == 15_000
    monkeypatch.setattr(indicators, "MOST_ACTIVE", 2)
    tenant = Tenant("t")
    for digit in "aab":  # the second is the first again
        indicators.seed_indicator(tenant, {**PLAIN, "indicatorValue": digit * 40}, "me")

    with pytest.raises(Refusal, match="Max capacity"):
        indicators.seed_indicator(tenant, {**PLAIN, "indicatorValue": "c" * 40}, "me")
