"""A false positive or a missed threat: one call classifies, undoes, allows or blocks, and submits."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from investigations.models import Alert, Device, Evidence
from investigations.states import EvidenceKind, Verdict
from portal.access.models import User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import execution, transitions
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.states import State
from tests.factories import (
    make_alert,
    make_device,
    make_evidence,
    make_investigation,
    make_key,
    make_pending_action,
)

pytestmark = pytest.mark.django_db(transaction=True)

Browse = Callable[[User], Client]
SHA1 = "5f1e4c5a2e6b7d8c9a0b1c2d3e4f5a6b7c8d9e0f"
DONE = (State.APPROVED, State.SENDING, State.ACCEPTED, State.SUCCEEDED)
FALSE_POSITIVE = {"kind": "false_positive", "classification": "falsePositive", "determination": "notMalicious"}


@pytest.fixture
def alert(acme: Tenant) -> Alert:
    """An alert about a file on a laptop."""
    return make_alert(acme, make_investigation(acme), raw={"alertWebUrl": "https://security.microsoft.com/alerts/1"})


def quarantined(alert: Alert, device: Device | None = None, *, state: State = State.SUCCEEDED) -> RemediationAction:
    """Quarantine the alert's file on a device, as automation does."""
    tenant = alert.tenant
    device = device or make_device(tenant)
    evidence = make_evidence(alert, device, sha1=SHA1)
    action = make_pending_action(
        tenant,
        device,
        type_name="stop_and_quarantine_file",
        parameters={"sha1": SHA1},
        investigation_id=alert.investigation_id,
    )
    with acting_for(tenant.pk):
        ActionEvidence.objects.create(tenant=tenant, action=action, evidence=evidence)
        for step in DONE[: DONE.index(state) + 1]:
            transitions.move(transitions.lock(action.pk), step, actor=SYSTEM)
    return action


def correct(client: Client, tenant: Tenant, key: str = "", **fields: Any) -> Any:
    body = {"tenant": str(tenant.pk), "reason": "Our own tool."} | FALSE_POSITIVE | fields
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/api/v1/corrections/", body, "application/json", headers=headers)


def parts_of(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.json()
    return [(part["part"], part["result"]) for part in answer.json()["parts"]]


def count(tenant: Tenant) -> int:
    with acting_for(tenant.pk):
        return RemediationAction.objects.count()


def test_one_call_does_it_all_and_again_does_nothing(acme: Tenant, alert: Alert, bob: User, browse: Browse) -> None:
    action = quarantined(alert)
    asked: dict[str, Any] = {
        "alert": str(alert.pk),
        "undo": "this",
        "indicator": {"type": "FileSha1", "value": SHA1.upper(), "days": 30},
        "submit": True,
    }
    answer = correct(browse(bob), acme, **asked)
    assert parts_of(answer) == [
        ("classify", "ordered"),
        ("undo", "ordered"),
        ("indicator", "waits_for_approval"),
        ("submit", "ordered"),
    ]
    parts = {part["part"]: part for part in answer.json()["parts"]}
    assert parts["undo"]["undoes"] == str(action.pk)
    with acting_for(acme.pk):
        rows = {row.type: row for row in RemediationAction.objects.exclude(pk=action.pk)}
        assert rows["classify_alert"].parameters == {
            "alert_id": alert.alert_id,
            "classification": "falsePositive",
            "determination": "notMalicious",
        }
        assert rows["release_from_quarantine"].undoes_id == action.pk
        assert rows["allow_indicator"].parameters["value"] == SHA1
        assert rows["submit_file"].parameters == {"sha1": SHA1, "category": "clean"}
        assert AuditEvent.objects.get(verb="correction.false_positive", object_id=alert.pk).actor_id == bob.pk
    assert [hand["url"] for hand in answer.json()["by_hand"]][0] == "https://security.microsoft.com/alerts/1"

    before = count(acme)
    assert {result for _part, result in parts_of(correct(browse(bob), acme, **asked))} == {"already"}
    assert count(acme) == before
    with acting_for(acme.pk):
        assert AuditEvent.objects.filter(verb="correction.false_positive").count() == 1


def test_a_key_replays_the_first_answer(acme: Tenant, alert: Alert, bob: User, browse: Browse) -> None:
    first = correct(browse(bob), acme, alert=str(alert.pk), key="k")
    again = correct(browse(bob), acme, alert=str(alert.pk), key="k")
    assert (again.headers.get("Idempotency-Replayed"), again.json()) == ("true", first.json())


@pytest.mark.parametrize(
    ("classification", "determination", "status"),
    [
        ("FALSE POSITIVE", "Clean", 200),
        ("Informational, expected activity", "ConfirmedUserActivity", 200),
        ("FalsePositive", "InsufficientData", 200),
        ("FalsePositive", "Malware", 400),
        ("TruePositive", "Malware", 400),
        ("Perhaps", "Clean", 400),
    ],
)
def test_microsofts_words_are_taken_in_every_spelling(
    acme: Tenant, alert: Alert, bob: User, browse: Browse, classification: str, determination: str, status: int
) -> None:
    answer = correct(browse(bob), acme, alert=str(alert.pk), classification=classification, determination=determination)
    assert answer.status_code == status, answer.json()


def test_all_instances_of_the_file_are_undone_in_this_tenant_alone(
    acme: Tenant, globex: Tenant, alert: Alert, bob: User, browse: Browse
) -> None:
    here = [quarantined(make_alert(acme, alert.investigation), make_device(acme, f"pc-{n}")) for n in range(3)]
    there = quarantined(make_alert(globex, make_investigation(globex)))
    with acting_for(acme.pk):  # what was born before actions knew their entity is found by its evidence
        RemediationAction.objects.filter(pk=here[0].pk).update(entity="")
    answer = correct(browse(bob), acme, action=str(here[1].pk), undo="all_instances")
    assert parts_of(answer) == [("classify", "ordered"), *[("undo", "ordered")] * 3]
    with acting_for(acme.pk):
        undone = RemediationAction.objects.filter(type="release_from_quarantine").values_list("undoes", flat=True)
        assert set(undone) == {action.pk for action in here}
    with acting_for(globex.pk):
        assert not RemediationAction.objects.filter(undoes=there.pk).exists()


def test_what_cannot_be_undone_says_why_and_the_rest_goes_on(
    acme: Tenant, alert: Alert, bob: User, browse: Browse
) -> None:
    undoable = quarantined(alert)
    waiting = make_pending_action(acme, make_device(acme, "pc-2"), investigation_id=alert.investigation_id)
    offboarded = make_pending_action(
        acme, make_device(acme, "pc-3"), type_name="offboard_device", investigation_id=alert.investigation_id
    )
    answer = correct(browse(bob), acme, alert=str(alert.pk), undo="investigation")
    told = {part["undoes"]: part for part in answer.json()["parts"] if part["part"] == "undo"}
    assert told[str(undoable.pk)]["result"] == "ordered"
    assert "completed" in told[str(waiting.pk)]["reason"]
    assert "cannot be undone" in told[str(offboarded.pk)]["reason"]


def test_an_analyst_reports_and_classifies_and_undoes_nothing(
    acme: Tenant, alert: Alert, ada: User, ren: User, browse: Browse
) -> None:
    quarantined(alert)
    answer = correct(browse(ada), acme, alert=str(alert.pk), undo="this")
    assert parts_of(answer) == [("classify", "ordered"), ("undo", "refused")]
    assert "response (manage)" in answer.json()["parts"][1]["reason"]
    assert correct(browse(ren), acme, alert=str(alert.pk)).status_code == 403
    robot = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"})
    assert parts_of(correct(robot, acme, alert=str(alert.pk), undo="this"))[1] == ("undo", "refused")


def test_a_missed_threat_blocks_and_submits(acme: Tenant, alert: Alert, bob: User, browse: Browse) -> None:
    mail = make_evidence(
        alert, kind=EvidenceKind.ANALYZED_MESSAGE, sha1="", network_message_id="m-1", recipient="pat@acme.example"
    )
    missed: dict[str, Any] = {"kind": "false_negative", "classification": "truePositive", "determination": "phishing"}
    indicator = {"type": "DomainName", "value": "Bad.example"}
    answer = correct(browse(bob), acme, evidence=str(mail.pk), indicator=indicator, submit=True, **missed)
    assert parts_of(answer) == [("classify", "ordered"), ("indicator", "waits_for_approval"), ("submit", "ordered")]
    with acting_for(acme.pk):
        assert RemediationAction.objects.get(type="block_indicator").parameters["value"] == "bad.example"
        assert RemediationAction.objects.get(type="submit_email").parameters["category"] == "phishing"
    assert correct(browse(bob), acme, evidence=str(mail.pk), undo="this", **missed).status_code == 400


def test_an_indicator_that_makes_no_sense_is_refused_and_the_rest_goes_on(
    acme: Tenant, alert: Alert, bob: User, browse: Browse
) -> None:
    answer = correct(browse(bob), acme, alert=str(alert.pk), indicator={"type": "IpAddress", "value": "pat"})
    assert parts_of(answer) == [("classify", "ordered"), ("indicator", "refused")]
    assert "IP address" in answer.json()["parts"][1]["reason"]


def test_a_changed_mind_is_ordered_anew(acme: Tenant, alert: Alert, bob: User, browse: Browse) -> None:
    client, determinations = browse(bob), ("Clean", "Other", "Clean")
    for determination in determinations:
        answer = correct(client, acme, alert=str(alert.pk), determination=determination)
        assert parts_of(answer) == [("classify", "ordered")]
        with acting_for(acme.pk):
            for step in DONE[1:]:
                transitions.move(transitions.lock(answer.json()["parts"][0]["action"]), step, actor=SYSTEM)
    assert parts_of(correct(client, acme, alert=str(alert.pk), determination="Clean")) == [("classify", "already")]


def test_an_undo_survives_a_worker_that_died_and_is_ordered_once(
    acme: Tenant, alert: Alert, bob: User, browse: Browse
) -> None:
    action = quarantined(alert)
    assert parts_of(correct(browse(bob), acme, action=str(action.pk), undo="this"))[1] == ("undo", "ordered")
    claimed = transitions.claim(acme.pk, owner="dies", types=["release_from_quarantine"])
    assert claimed is not None
    assert claimed.undoes == action.pk
    with acting_for(acme.pk):
        RemediationAction.objects.filter(pk=claimed.action_id).update(lease_until=Now())
    execution.tidy(acme.pk)
    assert parts_of(correct(browse(bob), acme, action=str(action.pk), undo="this"))[1] == ("undo", "already")
    with acting_for(acme.pk):
        undo = RemediationAction.objects.get(undoes=action.pk)
        assert (undo.pk, undo.state) == (claimed.action_id, State.UNKNOWN)


def test_a_subject_is_one_and_of_this_tenant(
    acme: Tenant, globex: Tenant, alert: Alert, pia: User, browse: Browse
) -> None:
    piece: Evidence = make_evidence(alert)
    client = browse(pia)
    assert correct(client, acme, alert=str(alert.pk), evidence=str(piece.pk)).status_code == 400
    assert correct(client, acme).status_code == 400
    assert correct(client, globex, alert=str(alert.pk)).status_code == 400


@pytest.mark.parametrize(
    ("told", "led_to"),
    [
        ("https://security.microsoft.us/alerts/1", "https://security.microsoft.us/alerts/1"),
        ("https://security.example/alerts/1", ""),
        ("https://security.microsoft.com.evil.example/a", ""),
        ("https://security.microsoft.com@evil.example/a", ""),
        ("http://security.microsoft.com/a", ""),
    ],
)
def test_nobody_is_led_to_a_page_outside_the_defender_portals(
    acme: Tenant, bob: User, browse: Browse, told: str, led_to: str
) -> None:
    alert = make_alert(acme, make_investigation(acme), raw={"alertWebUrl": told})
    answer = correct(browse(bob), acme, alert=str(alert.pk))
    assert [hand["url"] for hand in answer.json()["by_hand"]] == [led_to or "https://security.microsoft.com"]


@pytest.mark.parametrize("undo", ["investigation", "this", "all_instances"])
@pytest.mark.parametrize(
    ("verdict", "result"), [(Verdict.SUSPICIOUS, "refused"), (Verdict.NO_THREATS_FOUND, "ordered")]
)
def test_what_also_answers_another_investigations_threat_is_left_out_with_the_reason(
    acme: Tenant, alert: Alert, bob: User, browse: Browse, undo: str, verdict: Verdict, result: str
) -> None:
    shared = quarantined(alert, device := make_device(acme))
    elsewhere = make_alert(acme, make_investigation(acme, title="Ransomware"))
    evidence = make_evidence(elsewhere, device, sha1=SHA1, verdict=verdict)
    with acting_for(acme.pk):
        ActionEvidence.objects.create(tenant=acme, action=shared, evidence=evidence)
    answer = correct(browse(bob), acme, alert=str(alert.pk), undo=undo)
    [part] = [part for part in answer.json()["parts"] if part["part"] == "undo"]
    assert (part["result"], part["undoes"]) == (result, str(shared.pk))
    assert ("another investigation" in part["reason"]) is (result == "refused")
    with acting_for(acme.pk):
        assert RemediationAction.objects.filter(undoes=shared).exists() is (result == "ordered")
