"""Deciding in the Action center's pages: with a reason, by who may, and every refusal told."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from uuid_utils.compat import uuid7

from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.effects import EFFECTS
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.states import State
from remediation.catalogue import CATALOGUE
from tests.factories import make_device, make_pending_action

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

PENDING = "/admin/actions/pendingaction/"
HISTORY = "/admin/actions/historyaction/"


@pytest.fixture
def pending(acme: Tenant) -> RemediationAction:
    """Isolation of a laptop, proposed by automation."""
    return make_pending_action(acme, make_device(acme, "lap-7"))


def decide(client: Client, verb: str, *actions: RemediationAction, reason: str = "Seen it myself.") -> "Answer":
    """Send the confirmation form."""
    url = reverse("admin:actions_pendingaction_decide", args=[verb])
    return client.post(url, {"id": [action.pk for action in actions], "reason": reason})


def told(answer: "Answer") -> list[str]:
    """The messages an answer leaves for the next page."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


def state_of(action: RemediationAction) -> str:
    """The state in the database."""
    with acting_for(action.tenant_id):
        return RemediationAction.objects.get(pk=action.pk).state


def test_approving_asks_first_and_tells_what_will_happen(
    pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    asked = browse(bob).post(PENDING, {"action": "approve", "_selected_action": [str(pending.pk)]})
    page = asked.content.decode()
    assert "Isolate device lap-7 of Acme: the device loses its network" in page
    assert "It can be undone by “Release from isolation”" in page
    assert state_of(pending) == State.PENDING_APPROVAL


def test_approved_with_a_reason_that_goes_on_record(
    pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    client = browse(bob)
    answer = decide(client, "approve", pending)
    assert told(answer) == ["Approved: Isolate device · lap-7"]
    assert answer["Location"] == f"{HISTORY}{pending.pk}/change/"
    assert "Seen it myself." in client.get(answer["Location"]).content.decode()
    with acting_for(pending.tenant_id):
        assert RemediationAction.objects.get(pk=pending.pk).state == State.APPROVED
        assert Decision.objects.get(action=pending).user == bob
        assert AuditEvent.objects.filter(object_id=pending.pk, verb="action.approved", actor_id=bob.pk).exists()


def test_a_reason_is_required(pending: RemediationAction, bob: User, browse: Callable[[User], Client]) -> None:
    answer = decide(browse(bob), "approve", pending, reason="  ")
    assert "Give a reason; it goes on record." in answer.content.decode()
    assert state_of(pending) == State.PENDING_APPROVAL


def test_rejecting_many_says_what_came_of_each(
    acme: Tenant, pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    own = make_pending_action(acme, make_device(acme, "lap-8"), requested_by=bob)
    answer = decide(browse(bob), "reject", pending, own)
    assert told(answer) == [
        "Rejected: Isolate device · lap-7",
        "Isolate device · lap-8: You asked for this action yourself; somebody else has to decide.",
    ]
    assert (state_of(pending), state_of(own)) == (State.REJECTED, State.PENDING_APPROVAL)


def test_a_refused_item_leaves_the_refusal_alone_in_the_history(
    acme: Tenant, pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    decide(browse(bob), "reject", pending)
    answer = decide(browse(bob), "approve", pending)
    assert "no longer waits for approval: it is “Rejected”" in told(answer)[0]
    with acting_for(acme.id):
        verbs = list(AuditEvent.objects.filter(object_id=pending.pk).order_by("seq").values_list("verb", flat=True))
    assert verbs == ["action.created", "action.reject_given", "action.rejected", "action.approval_refused"]


def test_the_second_approval_sends_what_takes_two(
    acme: Tenant, bob: User, bea: User, browse: Callable[[User], Client]
) -> None:
    offboarding = make_pending_action(acme, make_device(acme), type_name="offboard_device")
    asked = browse(bob).get(
        reverse("admin:actions_pendingaction_decide", args=["approve"]), {"id": str(offboarding.pk)}
    )
    assert "This cannot be undone." in asked.content.decode()
    assert "It takes 2 people" in asked.content.decode()
    first = decide(browse(bob), "approve", offboarding)
    assert told(first) == ["Your approval is on record, 1 of 2: Offboard device · pc-1. It waits for another."]
    assert "1 of 2" in browse(bea).get(PENDING).content.decode()
    again = decide(browse(bob), "approve", offboarding)
    assert "it takes another person" in told(again)[0]
    decide(browse(bea), "approve", offboarding)
    assert state_of(offboarding) == State.APPROVED


def test_an_analyst_is_offered_no_decision_and_refused_one(
    pending: RemediationAction, ada: User, browse: Callable[[User], Client]
) -> None:
    client = browse(ada)
    assert 'value="approve"' not in client.get(PENDING).content.decode()
    assert "verb-approve" not in client.get(f"{PENDING}{pending.pk}/change/").content.decode()
    answer = decide(client, "approve", pending)
    assert "You may not do this for this tenant" in told(answer)[0]
    assert state_of(pending) == State.PENDING_APPROVAL


def test_what_was_done_is_undone_by_its_inverse_once(
    pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    with acting_for(pending.tenant_id):
        for state in ("approved", "sending", "accepted", "succeeded"):
            RemediationAction.objects.filter(pk=pending.pk).update(state=state)
    client = browse(bob)
    page = client.get(f"{HISTORY}{pending.pk}/change/").content.decode()
    assert "verb-undo" in page
    answer = decide(client, "undo", pending, reason="False alarm.")
    assert told(answer) == ["Undo ordered: Release from isolation · lap-7"]
    with acting_for(pending.tenant_id):
        undo = RemediationAction.objects.get(undoes=pending)
    assert (undo.type, undo.state, undo.reason) == ("release_from_isolation", State.APPROVED, "False alarm.")
    assert "verb-undo" not in client.get(f"{HISTORY}{pending.pk}/change/").content.decode()


def test_a_link_to_what_was_decided_meanwhile_leads_to_history(
    pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    client = browse(bob)
    decide(client, "reject", pending)
    assert client.get(f"{PENDING}{pending.pk}/change/")["Location"] == f"{HISTORY}{pending.pk}/change/"


def test_an_unknown_item_among_others_is_named_as_not_found(
    pending: RemediationAction, bob: User, browse: Callable[[User], Client]
) -> None:
    url = reverse("admin:actions_pendingaction_decide", args=["reject"])
    answer = browse(bob).post(url, {"id": [pending.pk, uuid7(), "nonsense"], "reason": "No."})
    assert told(answer)[0] == "2 actions were not found."
    assert state_of(pending) == State.REJECTED


def test_no_page_edits_a_state(pending: RemediationAction, bob: User, browse: Callable[[User], Client]) -> None:
    answer = browse(bob).post(f"{PENDING}{pending.pk}/change/", {"state": "succeeded"})
    assert answer.status_code == 403
    assert state_of(pending) == State.PENDING_APPROVAL


def test_every_type_of_action_says_its_effect() -> None:
    assert set(EFFECTS) == set(CATALOGUE)
