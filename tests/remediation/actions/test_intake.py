"""From a Graph alert to a decided action, in the real database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from investigations.groups import ensure_default_group
from investigations.models import Alert, Evidence, Investigation
from investigations.reading import records_of
from investigations.states import AutomationLevel, EvidenceOutcome, InvestigationState
from portal.access.actors import Actor
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.intake import ingest
from remediation.actions.models import RemediationAction
from remediation.actions.services import stop_investigation
from remediation.actions.states import State

AsActor = Callable[[User], Actor]
GRAPH = "#microsoft.graph.security."
START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def machine(number: int) -> str:
    return f"{number:040x}"


def device(number: int, verdict: str = "noThreatsFound") -> dict[str, Any]:
    return {
        "@odata.type": f"{GRAPH}deviceEvidence",
        "verdict": verdict,
        "remediationStatus": "none",
        "mdeDeviceId": machine(number),
        "deviceDnsName": f"pc-{number}.acme.example",
        "osPlatform": "Windows11",
    }


def file(number: int, verdict: str = "malicious", sha1: str = "a" * 40, folder: str = "D:\\Data") -> dict[str, Any]:
    return {
        "@odata.type": f"{GRAPH}fileEvidence",
        "verdict": verdict,
        "remediationStatus": "none",
        "mdeDeviceId": machine(number),
        "fileDetails": {"fileName": "bad.exe", "filePath": folder, "sha1": sha1},
    }


def message(recipient: str = "eve@acme.example", verdict: str = "malicious") -> dict[str, Any]:
    return {
        "@odata.type": f"{GRAPH}analyzedMessageEvidence",
        "verdict": verdict,
        "remediationStatus": "none",
        "networkMessageId": "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01",
        "recipientEmailAddress": recipient,
    }


def alert(tenant: Tenant, *evidence: dict[str, Any], number: int = 1, minutes: int = 0) -> dict[str, Any]:
    return {
        "id": f"da{number}",
        "tenantId": str(tenant.entra_tenant_id),
        "title": f"Alert {number}",
        "severity": "high",
        "lastUpdateDateTime": (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z"),
        "evidence": list(evidence),
    }


def take_in(tenant: Tenant, *alerts: Any) -> dict[str, Any]:
    return ingest(tenant, records_of(list(alerts)), actor=SYSTEM).as_dict()


def set_level(tenant: Tenant, level: AutomationLevel) -> None:
    with acting_for(tenant.id):
        group = ensure_default_group(tenant.id)
        group.automation_level = level
        group.save()


def actions(tenant: Tenant) -> list[RemediationAction]:
    with acting_for(tenant.id):
        return list(RemediationAction.objects.order_by("id"))


def state_of_investigation(tenant: Tenant) -> str:
    with acting_for(tenant.id):
        return Investigation.objects.get().state


def test_a_malicious_file_is_approved_by_itself_in_a_full_group_and_waits_in_a_semi_one(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.FULL)
    assert take_in(acme, alert(acme, device(1), file(1)))["actions"] == {"approved": 1}
    set_level(acme, AutomationLevel.SEMI_ALL_FOLDERS)
    assert take_in(acme, alert(acme, device(2), file(2, sha1="b" * 40), number=2))["actions"] == {"pending_approval": 1}


def test_the_same_records_again_change_nothing(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.FULL)
    records = [alert(acme, device(1), file(1)), alert(acme, message(), number=2)]
    first = take_in(acme, *records)
    with acting_for(acme.id):
        events = AuditEvent.objects.count()
    second = take_in(acme, *records)

    assert first["alerts"] == {"new": 2, "changed": 0, "unchanged": 0}
    assert first["investigations"] == {"new": 2, "unchanged": 0}
    assert second["alerts"] == {"new": 0, "changed": 0, "unchanged": 2}
    assert second["evidence"] == {"new": 0, "changed": 0, "unchanged": 3}
    assert second["actions"] == {}
    with acting_for(acme.id):
        assert AuditEvent.objects.count() == events


def test_what_cannot_be_used_is_refused_with_its_place_and_the_rest_is_kept(acme: Tenant, globex: Tenant) -> None:
    without_ids = {"@odata.type": f"{GRAPH}fileEvidence", "verdict": "malicious", "fileDetails": {}}
    unheard_of = {"@odata.type": f"{GRAPH}spaceshipEvidence", "verdict": "malicious"}
    report = take_in(acme, alert(globex), 7, alert(acme, device(1), without_ids, unheard_of))

    places = [refusal["position"] for refusal in report["refused"]]
    assert places == ["[0] tenantId", "[1]", "[2] evidence[1]"]
    assert report["unrecognised"][0]["position"] == "[2] evidence[2]"
    assert report["alerts"]["new"] == 1
    with acting_for(acme.id):
        assert sorted(Evidence.objects.values_list("kind", flat=True)) == ["device", "other"]


def test_an_older_update_changes_nothing_and_a_newer_verdict_takes_back_what_was_not_sent(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.FULL)
    take_in(acme, alert(acme, device(1), file(1), minutes=5))
    assert take_in(acme, alert(acme, device(1), file(1, "noThreatsFound"), minutes=4))["alerts"]["unchanged"] == 1
    assert actions(acme)[0].state == State.APPROVED

    take_in(acme, alert(acme, device(1), file(1, "noThreatsFound"), minutes=6))

    assert actions(acme)[0].state == State.CANCELLED
    assert state_of_investigation(acme) == InvestigationState.BENIGN


def test_a_verdict_that_softens_asks_a_person_instead(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.FULL)
    take_in(acme, alert(acme, device(1), file(1)))
    take_in(acme, alert(acme, device(1), file(1, "suspicious"), minutes=1))

    assert [action.state for action in actions(acme)] == [State.CANCELLED, State.PENDING_APPROVAL]
    assert state_of_investigation(acme) == InvestigationState.PENDING_APPROVAL


def test_the_stricter_of_two_folders_decides_for_the_same_file(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.SEMI_CORE_FOLDERS)
    both = (file(1, folder="D:\\Data"), file(1, folder="C:\\Windows\\System32"))

    assert take_in(acme, alert(acme, device(1), *both))["actions"] == {"pending_approval": 1}


def test_no_automated_response_runs_nothing_and_pends_nothing(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.NO_AUTOMATED_RESPONSE)
    take_in(acme, alert(acme, device(1, "malicious"), file(1)))

    assert actions(acme) == []
    assert state_of_investigation(acme) == InvestigationState.UNSUPPORTED_ALERT_TYPE


def test_alerts_on_the_same_device_and_on_the_same_file_share_an_investigation(acme: Tenant) -> None:
    take_in(acme, alert(acme, device(1), file(1)))
    report = take_in(acme, alert(acme, device(1), number=2), alert(acme, device(2), file(2), number=3))

    assert report["investigations"] == {"new": 0, "unchanged": 1}
    with acting_for(acme.id):
        assert Investigation.objects.get().reached.filter(is_widened=True).count() == 1


def test_spreading_to_ten_devices_asks_first_and_nine_do_not(acme: Tenant) -> None:
    set_level(acme, AutomationLevel.FULL)
    pieces = [piece for number in range(1, 11) for piece in (device(number), file(number))]
    assert take_in(acme, alert(acme, *pieces))["actions"] == {"approved": 10}  # one and nine others

    report = take_in(acme, alert(acme, device(11), file(11), number=2))

    assert report["actions"] == {"pending_approval": 1}
    asked = actions(acme)[-1]
    assert asked.type == "widen_investigation"
    with acting_for(acme.id):
        held = Evidence.objects.get(device__machine_id=machine(11), kind="file")
    assert held.outcome == EvidenceOutcome.PENDING
    again = take_in(acme, alert(acme, device(11), file(11), number=3))
    assert again["actions"] == {}


def test_a_known_cluster_acts_on_its_messages_and_an_unknown_one_says_why_not(acme: Tenant) -> None:
    cluster = {
        "@odata.type": f"{GRAPH}mailClusterEvidence",
        "verdict": "malicious",
        "networkMessageIds": ["4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01"],
        "clusterBy": "subject",
    }
    take_in(acme, alert(acme, cluster, number=9))
    with acting_for(acme.id):
        assert "recipients" in Evidence.objects.get().reason
    assert actions(acme) == []

    take_in(acme, alert(acme, message(), {**cluster, "clusterBy": "sender"}, number=2))

    assert [action.type for action in actions(acme)] == ["soft_delete_email"]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_half_written_when_a_batch_fails(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("remediation.actions.intake.decide_evidence", fail)
    with pytest.raises(ZeroDivisionError):
        take_in(acme, alert(acme, device(1), file(1)))
    with acting_for(acme.id):
        assert Alert.objects.count() == Investigation.objects.count() == 0


def test_actions_expire_by_the_databases_clock(acme: Tenant) -> None:
    take_in(acme, alert(acme, device(1), file(1)))
    [action] = actions(acme)
    assert action.approve_before is not None
    assert timedelta(days=6, hours=23) < action.approve_before - timezone.now() <= timedelta(days=7)


def test_a_harmless_file_on_two_devices_joins_nothing(acme: Tenant) -> None:
    take_in(acme, alert(acme, device(1), file(1, "noThreatsFound")))
    report = take_in(acme, alert(acme, device(2), file(2, "noThreatsFound"), number=2))

    assert report["investigations"] == {"new": 1, "unchanged": 0}


def test_nothing_more_is_done_in_an_investigation_a_person_stopped(acme: Tenant, ada: User, as_actor: AsActor) -> None:
    set_level(acme, AutomationLevel.FULL)
    take_in(acme, alert(acme, device(1), file(1)))
    with acting_for(acme.id):
        stop_investigation(Investigation.objects.get(), actor=as_actor(ada), reason="A drill.")
    assert actions(acme)[0].state == State.CANCELLED

    take_in(acme, alert(acme, device(1), file(1), file(1, sha1="c" * 40), minutes=1))

    assert len(actions(acme)) == 1
    assert state_of_investigation(acme) == InvestigationState.TERMINATED_BY_USER
