"""Alerts at the simulator: classified and commented on through Graph and Defender, one truth behind both."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.connectors.simulator.conftest import Company

pytestmark = pytest.mark.process

GRAPH = "/v1.0/security/alerts_v2"
KIND = "#microsoft.graph.security."
GATED = ("active", "pendingApproval", "declined", "unremediated", "running", "partiallyRemediated")


@pytest.fixture
def company(found_company: Callable[..., Company]) -> Company:
    """A tenant with three alerts: one with evidence, one plain, one about mail."""
    details = {"fileName": "a.exe", "filePath": "C:\\Temp", "sha1": "5" * 40}
    device = {"mdeDeviceId": "a" * 40, "deviceDnsName": "acme-1", "rbacGroupName": "Finance"}
    evidence = [
        {"@odata.type": f"{KIND}deviceEvidence", **device},
        {"@odata.type": f"{KIND}fileEvidence", "fileDetails": details, "detectionStatus": "prevented"},
        {"@odata.type": f"{KIND}processEvidence", "imageFile": details, "processId": 7},
        {"@odata.type": f"{KIND}mailboxEvidence"},
    ]
    return found_company(
        alerts=[
            {"id": "da1_1", "evidence": evidence, "createdDateTime": "2026-11-20T08:00:00Z"},
            {"id": "da2_2", "createdDateTime": "2026-11-20T09:00:00Z"},
            {"id": "fa3", "serviceSource": "microsoftDefenderForOffice365"},
        ]
    )


def graph_alert(company: Company, alert_id: str = "da1_1") -> dict[str, Any]:
    found: dict[str, Any] = company.graph.get(f"{GRAPH}/{alert_id}").json()
    return found


def test_a_patch_changes_what_may_be_changed(company: Company) -> None:
    before = graph_alert(company)
    wanted = {"classification": "falsePositive", "determination": "notMalicious", "status": "resolved"}

    answer = company.graph.patch(f"{GRAPH}/da1_1", json=wanted)

    assert answer.status_code == 200
    after = graph_alert(company)
    assert {name: after[name] for name in wanted} == wanted
    assert answer.json() == after
    assert after["lastUpdateDateTime"] == after["resolvedDateTime"] > before["lastUpdateDateTime"]
    assert [entry["method"] for entry in company.log()] == ["PATCH"]
    company.graph.patch(f"{GRAPH}/da1_1", json={"status": "inProgress", "assignedTo": "pat@acme.example"})
    assert graph_alert(company)["resolvedDateTime"] is None


@pytest.mark.parametrize(
    "body",
    [{"classification": "FalsePositive"}, {"title": "x"}, {"status": "active"}, {"assignedTo": 7}, {"Status": "new"}],
)
def test_a_patch_of_anything_else_is_refused_whole(company: Company, body: dict[str, Any]) -> None:
    before = graph_alert(company)

    assert company.graph.patch(f"{GRAPH}/da1_1", json={"determination": "other", **body}).status_code == 400
    assert graph_alert(company) == before
    assert company.graph.patch(f"{GRAPH}/unknown", json={"status": "new"}).status_code == 404


def test_comments_come_back_all_together(company: Company) -> None:
    kind = {"@odata.type": "microsoft.graph.security.alertComment"}
    for text in ("first", "second"):
        answer = company.graph.post(f"{GRAPH}/da1_1/comments", json={**kind, "comment": text})

    assert [row["comment"] for row in answer.json()["value"]] == ["first", "second"]
    assert [row["comment"] for row in graph_alert(company)["comments"]] == ["first", "second"]
    assert company.graph.post(f"{GRAPH}/da1_1/comments", json={"comment": "third"}).status_code == 400
    assert company.graph.post(f"{GRAPH}/da1_1/comments", json={**kind, "comment": ""}).status_code == 400


def test_defender_shows_its_own_alerts_in_its_own_words(company: Company) -> None:
    company.graph.patch(
        f"{GRAPH}/da1_1", json={"classification": "truePositive", "determination": "notEnoughDataToValidate"}
    )

    rows = company.defender.get("/api/alerts").json()["value"]
    expanded = company.defender.get("/api/alerts", params={"$expand": "evidence"}).json()["value"]

    assert [row["id"] for row in rows] == ["da2_2", "da1_1"]
    assert [row["evidence"] for row in rows] == [[], []]
    assert [piece["entityType"] for piece in expanded[1]["evidence"]] == ["File", "Process"]
    assert expanded[1]["evidence"][0]["detectionStatus"] == "Prevented"
    alert = company.defender.get("/api/alerts/da1_1").json()
    told = [alert[name] for name in ("classification", "determination", "status", "severity", "machineId")]
    assert told == ["TruePositive", "NoEnoughDataToValidate", "New", "Medium", "a" * 40]
    assert rows[0]["classification"] is None
    query = {"$filter": "status eq 'New' and alertCreationTime gt 2026-11-20T08:30:00Z"}
    assert [row["id"] for row in company.defender.get("/api/alerts", params=query).json()["value"]] == ["da2_2"]


@pytest.mark.parametrize(
    ("written", "word"),
    [("NotMalicious", "notMalicious"), ("Clean", "notMalicious"), ("InsufficientData", "notEnoughDataToValidate")],
)
def test_defender_takes_both_of_its_own_spellings(company: Company, written: str, word: str) -> None:
    body = {"classification": "FalsePositive", "determination": written, "status": "Resolved", "comment": "FP"}

    answer = company.defender.patch("/api/alerts/da1_1", json=body)

    assert answer.status_code == 200
    alert = graph_alert(company)
    assert [alert[name] for name in ("classification", "determination", "status")] == [
        "falsePositive",
        word,
        "resolved",
    ]
    assert [row["comment"] for row in alert["comments"]] == ["FP"]


@pytest.mark.parametrize("body", [{"status": "resolved"}, {"Status": "Resolved"}, {"determination": 7}])
def test_defender_refuses_words_it_does_not_have(company: Company, body: dict[str, Any]) -> None:
    assert company.defender.patch("/api/alerts/da1_1", json=body).status_code == 400


def test_many_are_changed_at_once_or_none(company: Company) -> None:
    change = {"status": "InProgress"}
    some = company.defender.post("/api/alerts/batchUpdate", json={"alertIds": ["da1_1", "gone"], **change})
    assert some.status_code == 404
    assert graph_alert(company)["status"] == "new"

    both = company.defender.post("/api/alerts/batchUpdate", json={"alertIds": ["da1_1", "da2_2"], **change})

    assert (both.status_code, both.content) == (200, b"")
    assert [graph_alert(company, alert_id)["status"] for alert_id in ("da1_1", "da2_2")] == ["inProgress"] * 2


def test_the_gated_states_are_shown_to_those_who_ask(found_company: Callable[..., Company]) -> None:
    pieces = [{"@odata.type": f"{KIND}fileEvidence", "remediationStatus": status} for status in (*GATED, "remediated")]
    company = found_company(alerts=[{"id": "da1_1", "evidence": pieces}])
    prefer = {"Prefer": "include-unknown-enum-members"}

    def told(answer: Any, alert: dict[str, Any]) -> list[str]:
        assert ("Preference-Applied" in answer.headers) is ("Prefer" in answer.request.headers)
        return [piece["remediationStatus"] for piece in alert["evidence"]]

    for path in (GRAPH, f"{GRAPH}/da1_1"):
        plain, asked = company.graph.get(path), company.graph.get(path, headers=prefer)
        first = [answer.json()["value"][0] if path == GRAPH else answer.json() for answer in (plain, asked)]
        assert told(plain, first[0]) == ["unknownFutureValue"] * 6 + ["remediated"]
        assert told(asked, first[1]) == [*GATED, "remediated"]


def test_pages_are_linked(found_company: Callable[..., Company]) -> None:
    company = found_company(alerts=[{"id": f"da{number}_1"} for number in range(7)])

    seen, link = [], f"{GRAPH}?$top=3&$count=true"
    while link:
        page = company.graph.get(link).json()
        seen.append(len(page["value"]))
        link = page.get("@odata.nextLink")

    assert seen == [3, 3, 1]
