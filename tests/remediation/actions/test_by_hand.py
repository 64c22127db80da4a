"""What a person does in the Defender portal, what undo puts back, and what Microsoft is asked to stop."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from connectors.models import Connection
from investigations.states import EvidenceKind
from portal.access.models import User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.audit.recording import ActorStamp
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_key, make_pending_action

Browse = Callable[[User], Client]
ACTIONS = "/api/v1/actions/"
HISTORY = "/admin/actions/historyaction/"
WHY = {"reason": "Looked at it in the portal."}
MESSAGES = {"messages": [{"network_message_id": "4c2a", "recipient": "pat@acme.example"}]}


def make_action(tenant: Tenant, asker: User, type_name: str, parameters: dict[str, Any]) -> RemediationAction:
    """Return an action without a device that Microsoft, or a person, has accepted."""
    proposal = Proposal(
        tenant_id=tenant.id,
        type=type_name,
        source=Source.MANUAL_EMAIL,
        target="pat@acme.example",
        parameters=parameters,
        reason="It looks bad.",
        is_approved=False,
        requested_by_id=asker.pk,
    )
    with acting_for(tenant.id):
        actions, _born = propose(tenant.id, [proposal], actor=asker_stamp(asker))
    return walk(actions[proposal.sha256], "approved", "sending", "accepted")


def asker_stamp(user: User) -> Any:
    """Return how history names a person."""
    return ActorStamp(user.pk, user.email)


def walk(action: RemediationAction, *steps: str, **columns: object) -> RemediationAction:
    """Take an action through states, as the workers would, and set columns on the way."""
    with acting_for(action.tenant_id), connection.cursor() as cursor:
        for step in steps:
            cursor.execute("UPDATE actions_remediationaction SET state = %s WHERE id = %s", [step, action.pk])
        RemediationAction.objects.filter(pk=action.pk).update(**columns) if columns else None
        return RemediationAction.objects.get(pk=action.pk)


def post(client: Client, action: RemediationAction, verb: str, **body: object) -> Any:
    """POST a verb."""
    return client.post(f"{ACTIONS}{action.pk}/{verb}/", {**WHY, **body}, content_type="application/json")


def connect(tenant: Tenant, **fields: Any) -> None:
    """Give the tenant a connection."""
    with acting_for(tenant.id):
        Connection.objects.create(tenant=tenant, **fields)


def test_a_person_does_it_in_the_portal_and_says_so(acme: Tenant, ada: User, ren: User, browse: Browse) -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    action = walk(make_action(acme, ada, "quarantine_email", MESSAGES), sent_at=moment, accepted_at=moment)
    client = browse(ada)
    told = client.get(f"{ACTIONS}{action.pk}/").json()
    assert (
        told["by_hand"]["portal_url"] == f"https://security.microsoft.com/threatexplorerv3?tid={acme.entra_tenant_id}"
    )
    assert "not supported" in told["by_hand"]["why_by_hand"]
    assert told["by_hand"]["nearest"] == "soft_delete_email"
    assert told["by_hand"]["nearest_parameters"] == MESSAGES
    assert told["waits_for"].startswith("A person has to do this")
    page = client.get(f"{HISTORY}{action.pk}/change/").content.decode()
    assert told["by_hand"]["portal_url"] in page
    assert f"ask/?like={action.pk}&amp;type=soft_delete_email" in page
    assert "It was done" in page
    assert told["by_hand"]["is_waiting"]
    assert told["state"] == "accepted"
    assert "To be done by hand</span></h1>" in page
    assert "<dt>Given to people</dt>" in page
    assert "Accepted" not in page.split("<h2>History</h2>")[0]
    assert "<dt>Sent</dt>" not in page

    assert post(browse(ren), action, "resolve", outcome="succeeded").status_code == 403
    assert post(client, action, "resolve", outcome="approved").status_code == 409
    assert post(client, action, "resolve", outcome="succeeded").json()["state"] == "succeeded"
    assert client.get(f"{ACTIONS}{action.pk}/").json()["by_hand"] is None


def test_a_key_does_not_say_that_a_person_did_it(acme: Tenant, ada: User) -> None:
    action = make_action(acme, ada, "quarantine_email", MESSAGES)
    robot = Client(headers={"authorization": f"Api-Key {make_key(acme, Role.ANALYST)}"})

    refused = post(robot, action, "resolve", outcome="succeeded")

    assert (refused.status_code, "person" in refused.json()["detail"]) == (403, True)
    assert robot.get(f"{ACTIONS}{action.pk}/").json()["state"] == "accepted"


def test_what_waits_for_a_person_is_counted_and_listed_apart_from_what_microsoft_accepted(
    acme: Tenant, ada: User, browse: Browse
) -> None:
    make_action(acme, ada, "quarantine_email", MESSAGES)
    make_action(acme, ada, "soft_delete_email", MESSAGES)
    client = browse(ada)
    cards = {str(card.label): card for card in client.get("/admin/").context["cards"]}
    tile = cards["To be done by hand"]
    assert (tile.count, tile.tone) == (1, "waiting")

    by_hand = client.get(f"{HISTORY}?{tile.query}").context["cl"].result_list
    accepted = client.get(f"{HISTORY}?state=accepted").context["cl"].result_list

    assert [row.type for row in by_hand] == ["quarantine_email"]
    assert [row.type for row in accepted] == ["soft_delete_email"]


def test_pages_show_no_action_source_that_microsoft_does_not_have(acme: Tenant, ada: User, browse: Browse) -> None:
    action = make_action(acme, ada, "block_indicator", {"indicator_type": "DomainName", "value": "bad.example"})
    for address in (HISTORY, f"{HISTORY}{action.pk}/change/"):
        page = browse(ada).get(address).content.decode()
        assert "bad.example" in page or "pat@acme.example" in page
        assert '<span class="aside">Manual email action</span>' not in page
        assert "Action source</dt>" not in page


def test_what_microsoft_is_working_on_nobody_calls_done(acme: Tenant, bob: User, browse: Browse) -> None:
    sent = make_action(acme, bob, "soft_delete_email", MESSAGES)
    able = make_action(acme, bob, "quarantine_email", MESSAGES)
    walk(able, next_check_at=datetime(2026, 11, 21, tzinfo=UTC))
    connect(acme, capabilities=["move_to_quarantine"])

    for action in (sent, able):
        assert browse(bob).get(f"{ACTIONS}{action.pk}/").json()["by_hand"] is None
        assert post(browse(bob), action, "resolve", outcome="succeeded").status_code == 409


def test_the_portal_is_that_of_the_tenants_cloud(acme: Tenant, ada: User, browse: Browse) -> None:
    connect(acme, cloud="gcc_high")
    action = make_action(acme, ada, "submit_file", {"sha1": "a" * 40, "category": "clean"})

    by_hand = browse(ada).get(f"{ACTIONS}{action.pk}/").json()["by_hand"]

    assert by_hand["portal_url"] == f"https://security.microsoft.us/reportsubmission?tid={acme.entra_tenant_id}"
    assert by_hand["nearest"] == ""


def test_instead_of_an_attachment_its_hash_is_blocked(acme: Tenant, ada: User, browse: Browse) -> None:
    alert = make_alert(acme, make_investigation(acme))
    mail = make_evidence(alert, kind=EvidenceKind.ANALYZED_MESSAGE, sha1="", network_message_id="4c2a")
    make_evidence(alert, sha256="b" * 64)
    action = make_action(acme, ada, "quarantine_attachment", MESSAGES)
    with acting_for(acme.id):
        ActionEvidence.objects.create(tenant=acme, action=action, evidence=mail)
    address = f"/admin/actions/pendingaction/ask/?like={action.pk}&type=block_indicator"

    assert "b" * 64 in browse(ada).get(address).content.decode()


def test_undo_puts_back_what_was_saved_and_says_when_nothing_was(acme: Tenant, bob: User, browse: Browse) -> None:
    former = {"forwardingSmtpAddress": "smtp:old@else.example", "rules": ["r1"]}
    saved = make_action(acme, bob, "turn_off_forwarding", {"mailbox": "pat@acme.example"})
    unsaved = make_action(acme, bob, "turn_off_forwarding", {"mailbox": "sam@acme.example"})
    walk(saved, "succeeded", findings=former)
    walk(unsaved, "succeeded")
    client = browse(bob)
    page = client.get(f"{HISTORY}{saved.pk}/change/").content.decode()
    assert "Setting before" in page
    assert "smtp:old@else.example" in page
    assert client.get(f"{ACTIONS}{saved.pk}/").json()["findings"] == former

    first, again = post(client, saved, "undo"), post(client, saved, "undo")

    assert first.json()["type"] == "restore_forwarding"
    assert first.json()["parameters"] == {"mailbox": "pat@acme.example", "former": former}
    assert again.json()["id"] == first.json()["id"]
    refused = post(client, unsaved, "undo")
    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("What was set before was not saved")
    assert "verb-undo" not in client.get(f"{HISTORY}{unsaved.pk}/change/").content.decode()


@pytest.mark.parametrize("type_name", ["allow_indicator", "block_indicator"])
def test_undo_of_an_indicator_removes_it(acme: Tenant, bob: User, browse: Browse, type_name: str) -> None:
    named = {"indicator_type": "DomainName", "value": "bad.example"}
    action = walk(make_action(acme, bob, type_name, {**named, "days": 30}), "succeeded")

    undo = post(browse(bob), action, "undo").json()

    assert (undo["type"], undo["parameters"]) == ("remove_indicator", named)


def test_microsoft_is_asked_to_stop_what_it_still_stops(acme: Tenant, ada: User, bea: User, browse: Browse) -> None:
    connect(acme)
    action = walk(make_pending_action(acme, make_device(acme), requested_by=ada), "approved", "sending", "accepted")
    mail = make_action(acme, ada, "soft_delete_email", MESSAGES)
    page = browse(ada).get(f"{HISTORY}{action.pk}/change/").content.decode()
    assert "Cancel at Microsoft" in page
    assert "Cancel at Microsoft" not in browse(ada).get(f"{HISTORY}{mail.pk}/change/").content.decode()
    asked = browse(ada).get(f"{HISTORY}decide/stop/?id={action.pk}").content.decode()
    assert "this may come too late" in asked

    answer = post(browse(ada), action, "cancel").json()

    assert (answer["state"], answer["cancel_reason"]) == ("accepted", WHY["reason"])
    assert answer["cancel_asked_at"]
    assert answer["waits_for"] == "Microsoft is asked to stop it; how it ended shows here."
    assert post(browse(bea), action, "cancel").status_code == 409
    refused = post(browse(ada), mail, "cancel")
    assert (refused.status_code, "does not stop it" in refused.json()["detail"]) == (409, True)
    with acting_for(acme.id):
        assert AuditEvent.objects.filter(object_id=action.pk, verb="action.cancel_asked", actor_id=ada.pk).exists()


def test_what_was_read_about_a_file_is_shown(acme: Tenant, ada: User, browse: Browse) -> None:
    profile = {"sha1": "a" * 40, "globalPrevalence": 12, "determinationType": "Malware", "signer": None}
    action = make_pending_action(acme, make_device(acme), type_name="get_file_information", requested_by=ada)
    walk(action, "approved", "sending", "accepted", "succeeded", findings=profile)

    page = browse(ada).get(f"{HISTORY}{action.pk}/change/").content.decode()

    assert "What Microsoft knows" in page
    assert "<dt>Global prevalence</dt><dd>12</dd>" in page
    assert browse(ada).get(f"{ACTIONS}{action.pk}/").json()["findings"] == profile
