"""Graph: alerts as they are read, and mails as they are moved."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process

ALERTS = "/v1.0/security/alerts_v2"
EMAILS = "/v1.0/security/collaboration/analyzedEmails"
DEVICE = "#microsoft.graph.security.deviceEvidence"


@pytest.mark.parametrize(
    ("action", "location"),
    [
        ("softDelete", "others"),
        ("hardDelete", "dropped"),
        ("moveToJunk", "junkFolder"),
        ("moveToDeletedItems", "deletedFolder"),
    ],
)
def test_a_mail_moves_when_its_time_is_up(
    acme: Company, after_action: Callable[[], None], action: str, location: str
) -> None:
    answer = acme.remediate("mail-1", action)
    assert answer.status_code == 202
    [entry] = acme.log(external_id="quell 1")
    assert entry["remote_id"] in answer.headers["location"]
    assert f"tid={acme.id}" in answer.headers["location"]
    assert acme.mail("mail-1")["latestDelivery"]["location"] == "inbox_folder"
    after_action()
    moved = acme.mail("mail-1")
    assert moved["latestDelivery"]["location"] == location
    assert moved["originalDelivery"]["location"] == "inbox_folder"
    assert [event["eventResult"] for event in moved["timelineEvents"]] == ["success"]


def test_a_soft_deleted_mail_comes_back_and_a_hard_deleted_one_never(
    acme: Company, after_action: Callable[[], None]
) -> None:
    results = []
    for action in ("softDelete", "moveToInbox", "hardDelete", "moveToInbox"):
        acme.remediate("mail-1", action)
        after_action()
        results.append(acme.mail("mail-1")["latestDelivery"]["location"])
    assert results == ["others", "inbox_folder", "dropped", "dropped"]
    assert acme.mail("mail-1")["timelineEvents"][-1]["eventResult"] == "failure"


def test_a_double_remediation_is_two_events(acme: Company, after_action: Callable[[], None]) -> None:
    acme.remediate("mail-1", "softDelete")
    spelled_out = acme.graph.post(
        f"{EMAILS}/microsoft.graph.security.remediate", json={**acme.log()[0]["body"], "displayName": "quell 2"}
    )
    assert spelled_out.status_code == 202
    after_action()
    events = acme.mail("mail-1")["timelineEvents"]
    assert [event["eventResult"] for event in events] == ["success", "already in destination"]


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "moveToQuarantine"},
        {"action": "softdelete"},
        {"severity": "urgent"},
        {"remediateSendersCopy": "true"},
        {"analyzedEmails": []},
        {"analyzedEmails": [{"networkMessageId": "mail-1"}]},
        {"approverUpn": "ada@acme.example"},
    ],
)
def test_a_remediation_microsoft_would_not_take_is_refused(
    acme: Company, after_action: Callable[[], None], changes: dict[str, Any]
) -> None:
    answer = acme.remediate("mail-1", **{"action": "softDelete", **changes})
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"code", "message", "innerError"}
    assert set(answer.json()["error"]["innerError"]) == {"date", "request-id", "client-request-id"}
    after_action()
    assert acme.mail("mail-1")["latestDelivery"]["location"] == "inbox_folder"
    assert [entry["accepted"] for entry in acme.log()] == [False]


def test_mails_are_asked_for_with_a_time_window(acme: Company) -> None:
    assert acme.graph.get(EMAILS).status_code == 400
    past = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2020-02-01T00:00:00Z"}
    assert acme.graph.get(EMAILS, params=past).json()["value"] == []


def test_gated_words_need_the_prefer_header(acme: Company, simulator: RunningSimulator) -> None:
    evidence = {"@odata.type": DEVICE, "verdict": "suspicious", "remediationStatus": "pendingApproval"}
    alert = {"id": "da1_1", "serviceSource": "microsoftSentinel", "evidence": [evidence]}
    simulator.admin.post(f"/_simulator/tenants/{acme.id}/alerts", json=alert)
    plain = acme.graph.get(f"{ALERTS}/da1_1").json()
    assert plain["evidence"][0]["remediationStatus"] == "unknownFutureValue"
    assert plain["serviceSource"] == "unknownFutureValue"
    preferring = acme.graph.get(f"{ALERTS}/da1_1", headers={"Prefer": "include-unknown-enum-members"}).json()
    assert preferring["evidence"][0]["remediationStatus"] == "pendingApproval"
    assert preferring["serviceSource"] == "microsoftSentinel"


def test_alerts_are_read_from_a_watermark_in_pages(
    found_company: Callable[..., Company], simulator: RunningSimulator
) -> None:
    alerts = [{"id": f"da{n}_1", "lastUpdateDateTime": f"2026-01-0{n}T00:00:00.1234567Z"} for n in range(1, 6)]
    company = found_company(alerts=alerts)
    query = {
        "$filter": "lastUpdateDateTime ge 2026-01-02T00:00:00.1234567Z",
        "$orderby": "lastUpdateDateTime",
        "$top": "3",
    }
    page = company.graph.get(ALERTS, params=query).json()
    rest = company.graph.get(page["@odata.nextLink"]).json()
    assert [alert["id"] for alert in page["value"] + rest["value"]] == ["da2_1", "da3_1", "da4_1", "da5_1"]
    newer = {"id": "da1_1", "lastUpdateDateTime": "2026-02-01T00:00:00Z", "severity": "high"}
    assert simulator.admin.post(f"/_simulator/tenants/{company.id}/alerts", json=[newer]).json() == {"ids": ["da1_1"]}
    updated = company.graph.get(ALERTS, params={"$filter": "severity eq 'high'"}).json()["value"]
    assert [alert["id"] for alert in updated] == ["da1_1"]
    assert len(company.graph.get(ALERTS).json()["value"]) == 5
