"""A mail cluster whose recipients nobody knows: looked up at Microsoft, kept, and decided anew."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from connectors.models import Connection
from connectors.protocol import HuntingResult
from investigations.models import Evidence, Investigation
from investigations.reading import records_of
from investigations.states import EvidenceOutcome, InvestigationState
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.intake import ingest
from remediation.actions.models import RemediationAction
from remediation.hunting import clusters, tasks
from remediation.hunting.models import Hunt
from tests.remediation.actions.conftest import Vendor
from tests.remediation.hunting.conftest import mail, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process, pytest.mark.usefixtures("patient")]


def message_id(number: int) -> str:
    return f"4c2a1b70-9a0e-4b7e-11aa-{number:012x}"


def take_in(
    tenant: Tenant, *numbers: int, minute: int = 0, verdict: str = "malicious", others: Any = (), mails: int = 0
) -> None:
    """Ingest an alert with one cluster of these messages, `mails` in number where they went to several people."""
    cluster = {
        "@odata.type": "#microsoft.graph.security.mailClusterEvidence",
        "verdict": verdict,
        "remediationStatus": "none",
        "networkMessageIds": [message_id(number).upper() for number in numbers],
        "emailCount": mails or len(numbers),
        "clusterBy": "Subject",
        "clusterByValue": "You won",
        "query": "q",
    }
    alert = {
        "id": "da1",
        "tenantId": str(tenant.entra_tenant_id),
        "title": "Phishing",
        "severity": "high",
        "lastUpdateDateTime": f"2026-11-20T10:{minute:02d}:00Z",
        "evidence": [*others, cluster],
    }
    report = ingest(tenant, records_of([alert]), actor=SYSTEM)
    assert report.refused == []


def evidence_of(tenant: Tenant) -> Evidence:
    with acting_for(tenant.id):
        return Evidence.objects.select_related("investigation").get()


def hunts_of(tenant: Tenant) -> int:
    with acting_for(tenant.id):
        return Hunt.objects.count()


def messages_of(tenant: Tenant) -> list[list[tuple[str, str]]]:
    with acting_for(tenant.id):
        actions = RemediationAction.objects.filter(state="pending_approval").order_by("id")
        return [
            [(each["network_message_id"], each["recipient"]) for each in action.parameters["messages"]]
            for action in actions
        ]


def seed(vendor: Vendor, tenant: Tenant, *pairs: tuple[int, str]) -> None:
    vendor.seed(tenant, emails=[mail(recipient, message_id(number)) for number, recipient in pairs])


def test_the_recipients_are_looked_up_and_then_a_person_is_asked(connected: Tenant, vendor: Vendor) -> None:
    seed(
        vendor,
        connected,
        (1, "eve@acme.example"),
        (1, "bo@acme.example"),
        (2, "eve@acme.example"),
        (3, "x@acme.example"),
    )
    take_in(connected, 1, 2)
    waiting = evidence_of(connected)
    assert waiting.outcome == EvidenceOutcome.WAITING_FOR_RECIPIENTS
    assert waiting.reason == "The recipients of these messages are being looked up."
    assert waiting.investigation.state == InvestigationState.RUNNING

    work(connected)

    decided = evidence_of(connected)
    assert decided.outcome == EvidenceOutcome.PENDING
    assert decided.investigation.state == InvestigationState.PENDING_APPROVAL
    assert messages_of(connected) == [
        [
            (message_id(1), "bo@acme.example"),
            (message_id(1), "eve@acme.example"),
            (message_id(2), "eve@acme.example"),
        ]
    ]
    with acting_for(connected.id):
        hunt = Hunt.objects.get()
    assert (hunt.source, hunt.state, hunt.asked_by_id) == ("cluster", "done", None)
    work(connected)
    with acting_for(connected.id):
        assert Hunt.objects.count() == 1


def test_more_than_a_hundred_messages_become_several_actions(connected: Tenant, vendor: Vendor) -> None:
    seed(vendor, connected, *((1, f"p{number:03d}@acme.example") for number in range(230)))
    take_in(connected, 1)

    work(connected)

    assert [len(messages) for messages in messages_of(connected)] == [100, 100, 30]
    with acting_for(connected.id):
        targets = set(RemediationAction.objects.values_list("target", flat=True))
    assert {target[-5:] for target in targets} == {"(1/3)", "(2/3)", "(3/3)"}


def test_an_id_is_found_however_its_letters_are_written_and_each_pair_once(connected: Tenant, vendor: Vendor) -> None:
    vendor.seed(connected, emails=[mail("eve@acme.example", message_id(1).upper())])
    take_in(connected, 1)

    work(connected)

    assert messages_of(connected) == [[(message_id(1), "eve@acme.example")]]
    with acting_for(connected.id):
        # Rows that say the same twice would hide that there are more than are read.
        assert Hunt.objects.get().query.endswith("| distinct NetworkMessageId, RecipientEmailAddress")


def test_a_message_that_is_nowhere_leaves_nothing_to_do_and_says_so(connected: Tenant) -> None:
    take_in(connected, 1)

    for _look in range(3):
        work(connected)
        make_look_up_due(connected)

    assert evidence_of(connected).reason == "Cannot act: none of these messages was found in a mailbox."
    assert evidence_of(connected).outcome == EvidenceOutcome.NO_ACTION


def test_a_message_that_is_in_no_mailbox_yet_is_looked_up_twice_more_before_anybody_is_asked(
    connected: Tenant, vendor: Vendor
) -> None:
    seed(vendor, connected, (1, "eve@acme.example"))
    take_in(connected, 1, 2, 3, mails=4)

    for minutes in (15, 60):
        work(connected)
        waiting = evidence_of(connected)
        assert waiting.outcome == EvidenceOutcome.WAITING_FOR_RECIPIENTS
        assert waiting.recipients_due_at is not None
        assert round((waiting.recipients_due_at - datetime.now(UTC)).total_seconds() / 60) == minutes
        assert f"again at {waiting.recipients_due_at:%Y-%m-%d %H:%M} UTC" in waiting.reason
        assert messages_of(connected) == []
        make_look_up_due(connected)
    seed(vendor, connected, (1, "eve@acme.example"), (2, "bo@acme.example"))
    work(connected)

    assert messages_of(connected) == [[(message_id(1), "eve@acme.example"), (message_id(2), "bo@acme.example")]]
    assert "2 of 4 messages are known" in evidence_of(connected).reason
    assert hunts_of(connected) == 3


def test_a_cluster_that_grows_is_looked_up_for_its_new_messages_and_asked_about_whole(
    connected: Tenant, vendor: Vendor
) -> None:
    seed(vendor, connected, (1, "eve@acme.example"), (2, "bo@acme.example"))
    take_in(connected, 1)
    work(connected)

    take_in(connected, 1, 2, minute=1)
    assert evidence_of(connected).outcome == EvidenceOutcome.WAITING_FOR_RECIPIENTS
    work(connected)

    assert messages_of(connected) == [[(message_id(1), "eve@acme.example"), (message_id(2), "bo@acme.example")]]
    with acting_for(connected.id):
        newest = Hunt.objects.order_by("-id")[0]
        states = sorted(RemediationAction.objects.values_list("state", flat=True))
    assert newest.criteria == {"messages": [message_id(2)]}
    assert states == ["cancelled", "pending_approval"]


def test_a_large_cluster_is_looked_up_part_by_part(
    connected: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediation.hunting.clusters.ASKED_AT_ONCE", 2)
    seed(vendor, connected, *((number, "eve@acme.example") for number in range(5)))
    take_in(connected, *range(5))

    for _part in range(3):
        assert evidence_of(connected).outcome == EvidenceOutcome.WAITING_FOR_RECIPIENTS
        work(connected)

    assert [len(messages) for messages in messages_of(connected)] == [5]


def make_look_up_due(tenant: Tenant) -> None:
    """Let what is tried again later be tried now."""
    with acting_for(tenant.id):
        Evidence.objects.update(recipients_due_at="2020-01-01T00:00:00Z")


def test_a_look_up_that_fails_says_why_and_when_it_is_tried_again_and_at_last_is_given_up(acme: Tenant) -> None:
    take_in(acme, 1)

    work(acme)

    waits = []
    for _again in clusters.TRIED_AGAIN_AFTER:
        failed = evidence_of(acme)
        assert failed.outcome == EvidenceOutcome.WAITING_FOR_RECIPIENTS
        assert failed.recipients_due_at is not None
        assert f"it is tried again at {failed.recipients_due_at:%Y-%m-%d %H:%M} UTC" in failed.reason
        waits.append(failed.recipients_due_at - datetime.now(UTC))
        count = hunts_of(acme)
        work(acme)
        assert hunts_of(acme) == count  # not before its time
        make_look_up_due(acme)
        work(acme)
    given_up = evidence_of(acme)
    assert (given_up.outcome, given_up.recipients_due_at) == (EvidenceOutcome.NO_ACTION, None)
    assert "Set one up under Connections" in given_up.reason
    assert waits == sorted(waits)
    assert hunts_of(acme) == len(clusters.TRIED_AGAIN_AFTER) + 1


def test_a_person_has_the_recipients_looked_up_again_at_once(
    connected: Tenant, vendor: Vendor, ada: User, ren: User, browse: Callable[[User], Client]
) -> None:
    seed(vendor, connected, (1, "eve@acme.example"))
    with acting_for(connected.id):
        Connection.objects.update(is_enabled=False)
    take_in(connected, 1)
    work(connected)
    with acting_for(connected.id):
        Connection.objects.update(is_enabled=True)
        page = f"/admin/hunting/hunt/{Hunt.objects.get().pk}"
    assert "Look up the recipients again" not in browse(ren).get(f"{page}/change/").content.decode()
    assert "needs the permission" in browse(ren).post(f"{page}/look-up/", follow=True).content.decode()
    assert "Look up the recipients again" in browse(ada).get(f"{page}/change/").content.decode()

    answer = browse(ada).post(f"{page}/look-up/", follow=True).content.decode()
    assert "being looked up again" in answer
    work(connected)

    assert messages_of(connected) == [[(message_id(1), "eve@acme.example")]]
    with acting_for(connected.id):
        assert AuditEvent.objects.get(verb="evidence.look_up_asked").actor_id == ada.pk
        done = Hunt.objects.get(state="done").pk
    again = browse(ada).post(f"/admin/hunting/hunt/{done}/look-up/", follow=True).content.decode()
    assert "nothing to look up again" in again


def test_a_connection_that_works_again_brings_the_recipients(connected: Tenant, vendor: Vendor) -> None:
    seed(vendor, connected, (1, "eve@acme.example"))
    with acting_for(connected.id):
        Connection.objects.update(is_enabled=False)
    take_in(connected, 1)
    work(connected)
    assert evidence_of(connected).recipients_error

    with acting_for(connected.id):
        Connection.objects.update(is_enabled=True)
    make_look_up_due(connected)
    work(connected)

    assert messages_of(connected) == [[(message_id(1), "eve@acme.example")]]
    assert (evidence_of(connected).recipients_error, evidence_of(connected).recipients_due_at) == ("", None)


def test_nothing_is_looked_up_in_an_investigation_a_person_stopped(connected: Tenant) -> None:
    take_in(connected, 1)
    with acting_for(connected.id):
        Investigation.objects.update(state=InvestigationState.TERMINATED_BY_USER)

    tasks.sweep()
    clusters.start_look_ups(connected.id)

    with acting_for(connected.id), connection.cursor() as cursor:
        assert not Hunt.objects.exists()
        cursor.execute("SELECT * FROM tenants_with_due_hunts()")
        assert cursor.fetchall() == []


def test_evidence_that_names_one_recipient_does_not_tell_who_the_others_are(connected: Tenant, vendor: Vendor) -> None:
    seed(vendor, connected, *((1, f"p{number}@acme.example") for number in range(3)))
    one = {
        "@odata.type": "#microsoft.graph.security.analyzedMessageEvidence",
        "verdict": "malicious",
        "remediationStatus": "none",
        "networkMessageId": message_id(1).upper(),
        "recipientEmailAddress": "p0@acme.example",
    }
    take_in(connected, 1, others=[one], mails=3)

    work(connected)

    assert sorted(len(each) for each in messages_of(connected)) == [1, 3]


def test_recipients_known_from_other_evidence_need_no_look_up_and_the_newest_set_counts(connected: Tenant) -> None:
    messages = [
        {
            "@odata.type": "#microsoft.graph.security.analyzedMessageEvidence",
            "verdict": "malicious",
            "remediationStatus": "none",
            "networkMessageId": message_id(number).upper(),
            "recipientEmailAddress": "eve@acme.example",
        }
        for number in (1, 2, 3)
    ]
    take_in(connected, 1, 2, others=messages)
    take_in(connected, 1, 2, 3, minute=1, others=messages)

    assert sorted(len(each) for each in messages_of(connected)) == [1, 1, 1, 3]
    with acting_for(connected.id):
        assert RemediationAction.objects.filter(state="cancelled").count() == 1
        assert not Evidence.objects.filter(outcome=EvidenceOutcome.WAITING_FOR_RECIPIENTS).exists()


@pytest.mark.parametrize("verdict", ["noThreatsFound", "unknown"])
def test_only_a_threat_is_looked_up(connected: Tenant, verdict: str) -> None:
    take_in(connected, 1, verdict=verdict)

    work(connected)

    with acting_for(connected.id):
        assert not Hunt.objects.exists()


def test_more_than_ten_thousand_messages_are_no_matter_for_one_decision(
    connected: Tenant, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> None:
    everybody: list[Any] = [{"NetworkMessageId": message_id(1), "RecipientEmailAddress": f"p{n}@x.example"}
                            for n in range(10_001)]  # fmt: skip
    take_in(connected, 1)
    tasks.sweep()
    with acting_for(connected.id):
        hunt = Hunt.objects.get()
        found = HuntingResult([("NetworkMessageId", "String")], everybody, len(everybody))
        clusters.keep_recipients(hunt, evidence_of(connected).pk, found)

    assert evidence_of(connected).reason.startswith("Cannot act: these are more than 10,000 messages.")
    assert messages_of(connected) == []
