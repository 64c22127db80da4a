"""The Action center over HTTP: Ada asks, Bob decides, Gil finds nothing, and every promise is read back."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid4

from portal.access.roles import Role
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.catalogue import CATALOGUE
from tests.factories import make_alert, make_device, make_evidence, make_investigation, make_key, make_pending_action

ACTIONS = "/api/v1/actions/"
WHY = {"reason": "Seen on three machines."}
HALF_A_CHARACTER = {"network_message_id": "\ud800", "recipient": "pat@acme.example"}


def post(client: Client, path: str, body: object, **headers: str) -> Any:
    """POST JSON; names of headers are written with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return client.post(path, body, content_type="application/json", headers=named)


def isolation(tenant: Any, device: Any, **changes: object) -> dict[str, object]:
    """Return the body that asks for a device's isolation."""
    return {
        "tenant": str(getattr(tenant, "id", tenant)),
        "type": "isolate_device",
        "device": str(getattr(device, "pk", device)),
        "parameters": {"isolation_type": "Full"},
        "reason": "It calls home.",
    } | changes


def stand_at(action: RemediationAction, state: State) -> None:
    """Walk an action to a state by legal moves in plain SQL, as the workers would."""
    ways = {
        State.ACCEPTED: ["approved", "sending", "accepted"],
        State.SUCCEEDED: ["approved", "sending", "accepted", "succeeded"],
        State.NEEDS_ATTENTION: ["approved", "sending", "unknown", "needs_attention"],
    }
    with acting_for(action.tenant_id), connection.cursor() as cursor:
        for step in ways[state]:
            cursor.execute("UPDATE actions_remediationaction SET state = %s WHERE id = %s", [step, action.pk])


def count_actions(tenant: Any) -> int:
    """Return how many actions the tenant has."""
    with acting_for(tenant.id):
        return RemediationAction.objects.count()


def test_ada_asks_bob_approves(acme, ada, bob, browse):
    device = make_device(acme)

    asked = post(browse(ada), ACTIONS, isolation(acme, device))
    assert asked.status_code == 201
    assert asked.json()["state"] == "pending_approval"
    assert asked.json()["requested_by"]["email"] == ada.email
    assert (asked.json()["required_approvals"], asked.json()["given_approvals"]) == (1, 0)

    approved = post(browse(bob), f"{ACTIONS}{asked.json()['id']}/approve/", WHY)
    assert approved.status_code == 200
    assert approved.json()["state"] == "approved"
    assert approved.json()["given_approvals"] == 1
    assert [(one["user"]["email"], one["answer"], one["reason"]) for one in approved.json()["decisions"]] == [
        (bob.email, "approve", WHY["reason"])
    ]


def test_asking_for_what_is_open_already_answers_with_it(acme, ada, bob, browse):
    device = make_device(acme)
    first = post(browse(ada), ACTIONS, isolation(acme, device))

    again = post(browse(bob), ACTIONS, isolation(acme, device))

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]


def test_offboarding_takes_two_people(acme, ada, bob, bea, browse):
    action = make_pending_action(acme, make_device(acme), type_name="offboard_device", requested_by=ada)
    path = f"{ACTIONS}{action.pk}/approve/"

    assert post(browse(bob), path, WHY).json()["state"] == "pending_approval"
    assert post(browse(bob), path, WHY).status_code == 409
    assert post(browse(bea), path, WHY).json()["state"] == "approved"


def test_nobody_approves_their_own(acme, bob, browse):
    action = make_pending_action(acme, make_device(acme), requested_by=bob)

    assert post(browse(bob), f"{ACTIONS}{action.pk}/approve/", WHY).status_code == 403


def test_a_rejection_ends_it(acme, ada, bob, browse):
    action = make_pending_action(acme, make_device(acme), requested_by=ada)

    answer = post(browse(bob), f"{ACTIONS}{action.pk}/reject/", WHY)

    assert answer.json()["state"] == "rejected"
    assert answer.json()["ended_at"].endswith("Z")
    assert post(browse(bob), f"{ACTIONS}{action.pk}/approve/", WHY).status_code == 409


def test_ada_takes_her_own_back_but_not_others(acme, ada, bob, browse):
    hers = make_pending_action(acme, make_device(acme), requested_by=ada)
    his = make_pending_action(acme, make_device(acme, "pc-2"), requested_by=bob)

    assert post(browse(ada), f"{ACTIONS}{hers.pk}/cancel/", WHY).json()["state"] == "cancelled"
    assert post(browse(ada), f"{ACTIONS}{his.pk}/cancel/", WHY).status_code == 403


def test_who_may_only_read_by_now_stops_nothing_of_their_own(acme, ren, browse):
    earlier = make_pending_action(acme, make_device(acme), requested_by=ren)
    under_way = make_pending_action(acme, make_device(acme, "pc-2"), requested_by=ren)
    stand_at(under_way, State.ACCEPTED)

    for action in (earlier, under_way):
        assert post(browse(ren), f"{ACTIONS}{action.pk}/cancel/", WHY).status_code == 403


def test_undo_orders_the_inverse_once(acme, bob, browse):
    action = make_pending_action(acme, make_device(acme))
    stand_at(action, State.SUCCEEDED)

    undo = post(browse(bob), f"{ACTIONS}{action.pk}/undo/", WHY).json()
    again = post(browse(bob), f"{ACTIONS}{action.pk}/undo/", WHY).json()
    page = browse(bob).get(f"{ACTIONS}{action.pk}/").json()

    assert (undo["type"], undo["state"], undo["undoes"]) == ("release_from_isolation", "approved", str(action.pk))
    assert again["id"] == page["undone_by"] == undo["id"]
    assert page["is_undone"] is False

    with acting_for(acme.id):
        waiting = RemediationAction.objects.get(pk=undo["id"])
    with acting_for(acme.id), connection.cursor() as cursor:
        for step in ("sending", "accepted", "succeeded"):
            cursor.execute("UPDATE actions_remediationaction SET state = %s WHERE id = %s", [step, waiting.pk])
    assert browse(bob).get(f"{ACTIONS}{action.pk}/").json()["is_undone"] is True


def test_what_was_not_done_cannot_be_undone(acme, bob, browse):
    action = make_pending_action(acme, make_device(acme))

    assert post(browse(bob), f"{ACTIONS}{action.pk}/undo/", WHY).status_code == 409


def test_a_person_says_what_became_of_a_doubtful_one(acme, ada, bob, browse):
    action = make_pending_action(acme, make_device(acme))
    stand_at(action, State.NEEDS_ATTENTION)
    path = f"{ACTIONS}{action.pk}/resolve/"

    assert post(browse(ada), path, WHY | {"outcome": "succeeded"}).status_code == 403
    assert post(browse(bob), path, WHY | {"outcome": "rejected"}).status_code == 400
    assert post(browse(bob), path, WHY | {"outcome": "succeeded"}).json()["state"] == "succeeded"


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel", "undo", "resolve"])
def test_strangers_get_404_for_every_verb_and_nothing_happens(acme, gil, browse, verb):
    action = make_pending_action(acme, make_device(acme))
    client = browse(gil)

    foreign = post(client, f"{ACTIONS}{action.pk}/{verb}/", WHY)
    unknown = post(client, f"{ACTIONS}{uuid4()}/{verb}/", WHY)

    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    with acting_for(acme.id):
        assert RemediationAction.objects.get(pk=action.pk).state == State.PENDING_APPROVAL


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel", "undo"])
@pytest.mark.parametrize("body", [{}, {"reason": "  "}, {"reason": 7 * [1]}, [], "x"])
def test_every_verb_wants_a_reason(acme, bob, browse, verb, body):
    action = make_pending_action(acme, make_device(acme))

    answer = post(browse(bob), f"{ACTIONS}{action.pk}/{verb}/", body)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_readers_may_look_and_no_more(acme, ren, browse):
    device = make_device(acme)
    action = make_pending_action(acme, device)
    client = browse(ren)

    assert client.get(f"{ACTIONS}{action.pk}/").status_code == 200
    for verb in ("approve", "reject", "cancel", "undo"):
        assert post(client, f"{ACTIONS}{action.pk}/{verb}/", WHY).status_code == 403
    assert post(client, ACTIONS, isolation(acme, make_device(acme, "pc-2"))).status_code == 403
    assert count_actions(acme) == 1


def test_a_key_requests_but_never_approves(acme, ada, browse):
    key = make_key(acme, Role.APPROVER)
    action = make_pending_action(acme, make_device(acme), requested_by=ada)
    robot = Client(headers={"authorization": f"Api-Key {key}"})

    assert post(robot, ACTIONS, isolation(acme, make_device(acme, "pc-2"))).status_code == 201
    for verb in ("approve", "reject", "undo"):
        assert post(robot, f"{ACTIONS}{action.pk}/{verb}/", WHY).status_code == 403
    assert browse(ada).get(f"{ACTIONS}{action.pk}/").json()["state"] == "pending_approval"


def test_a_foreign_device_or_tenant_is_answered_as_an_unknown_one(acme, globex, ada, pia, browse):
    foreign, own = make_device(globex), make_device(acme)
    client = browse(ada)

    for body, twin, field in (
        (isolation(acme, foreign), isolation(acme, uuid4()), "device"),
        (isolation(globex, own), isolation(uuid4(), own), "tenant"),
    ):
        answer, unknown = post(client, ACTIONS, body), post(client, ACTIONS, twin)
        assert answer.status_code == unknown.status_code == 400
        assert answer.json() == unknown.json()
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    mixed = post(browse(pia), ACTIONS, isolation(acme, foreign))
    assert mixed.json() == post(client, ACTIONS, isolation(acme, foreign)).json()
    assert count_actions(acme) == count_actions(globex) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "make_coffee"},
        {"type": "block_url", "parameters": {"url": "https://bad.example"}},
        {"type": "restore_forwarding", "device": None, "parameters": {"mailbox": "p@acme.example", "former": {"a": 1}}},
        {"type": "widen_investigation", "device": None},
        {"device": None},
        {"device": "not-an-id"},
        {"device": [1]},
        {"parameters": {}},
        {"parameters": {"isolation_type": "Half"}},
        {"parameters": {"isolation_type": "Full", "colour": "red"}},
        {"parameters": []},
        {"parameters": {"isolation_type": {"Full": 1}}},
        {"reason": ""},
        {"reason": "\x00"},
        {"type": "soft_delete_email", "device": None, "parameters": {"messages": [HALF_A_CHARACTER]}},
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(acme, ada, browse, changes):
    answer = post(browse(ada), ACTIONS, isolation(acme, make_device(acme)) | changes)

    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert count_actions(acme) == 0


def test_the_same_request_under_one_key_is_carried_out_once(acme, ada, browse):
    body = isolation(acme, make_device(acme))
    client = browse(ada)

    first = post(client, ACTIONS, body, idempotency_key="one")
    again = post(client, ACTIONS, body, idempotency_key="one")

    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert count_actions(acme) == 1


def test_another_request_under_the_same_key_is_refused(acme, ada, bob, browse):
    body, other = isolation(acme, make_device(acme)), isolation(acme, make_device(acme, "pc-2"))
    post(browse(ada), ACTIONS, body, idempotency_key="one")

    assert post(browse(ada), ACTIONS, other, idempotency_key="one").status_code == 422
    assert post(browse(bob), ACTIONS, other, idempotency_key="one").status_code == 201  # his keys are his own
    assert post(browse(ada), ACTIONS, other, idempotency_key="x" * 256).status_code == 400


def test_a_decision_replayed_is_one_decision(acme, ada, bob, browse):
    action = make_pending_action(acme, make_device(acme), requested_by=ada)
    path = f"{ACTIONS}{action.pk}/approve/"

    first, again = (post(browse(bob), path, WHY, idempotency_key="decide") for _ in range(2))

    assert first.json() == again.json()
    assert again.status_code == 200
    assert len(again.json()["decisions"]) == 1


def test_a_refused_request_does_not_use_up_its_key(acme, ada, browse):
    device = make_device(acme)
    client = browse(ada)

    assert post(client, ACTIONS, isolation(acme, device, reason=""), idempotency_key="one").status_code == 400
    assert post(client, ACTIONS, isolation(acme, device), idempotency_key="one").status_code == 201


def test_the_tabs_and_filters_of_the_action_center(acme, globex, ada, pia, browse):
    device = make_device(acme)
    pending = make_pending_action(acme, device, requested_by=ada)
    done = make_pending_action(acme, device, type_name="restrict_code_execution")
    stand_at(done, State.SUCCEEDED)
    elsewhere = make_pending_action(globex, make_device(globex))
    client = browse(pia)

    def found(query: str) -> list[UUID]:
        return [UUID(row["id"]) for row in client.get(f"{ACTIONS}?{query}").json()["results"]]

    assert found("") == [elsewhere.pk, done.pk, pending.pk]
    assert found("tab=pending") == [elsewhere.pk, pending.pk]
    assert found("tab=history") == [done.pk]
    assert found("state=succeeded&state=pending_approval") == [elsewhere.pk, done.pk, pending.pk]
    assert found(f"tenant={acme.id}&state=pending_approval") == [pending.pk]
    assert found(f"device={device.pk}") == [done.pk, pending.pk]
    assert found("type=restrict_code_execution") == [done.pk]
    assert found("source=manual_device") == found(f"requested_by={ada.pk}") == [pending.pk]
    assert found("created_after=2020-01-01T00:00:00Z") == [elsewhere.pk, done.pk, pending.pk]
    assert found("created_before=2020-01-01T00:00:00Z") == []
    assert found(f"investigation={uuid4()}") == []


@pytest.mark.parametrize("query", ["state=done", "tab=all", "device=7", "requested_by=ada", "created_after=yesterday"])
def test_malformed_filters_are_refused(ada, browse, query):
    answer = browse(ada).get(f"{ACTIONS}?{query}")

    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1


def test_the_evidence_an_action_answers_is_named(acme, ada, browse):
    device = make_device(acme)
    investigation = make_investigation(acme, device=device)
    evidence = make_evidence(make_alert(acme, investigation), device)
    action = make_pending_action(acme, device, investigation_id=investigation.pk)
    with acting_for(acme.id):
        action.evidence_links.create(tenant=acme, evidence=evidence)
    client = browse(ada)

    page = client.get(f"{ACTIONS}{action.pk}/").json()

    assert page["evidence"] == [str(evidence.pk)]
    assert page["investigation_title"] == investigation.title
    assert [row["id"] for row in client.get(f"{ACTIONS}?evidence={evidence.pk}").json()["results"]] == [str(action.pk)]


def test_a_list_costs_the_same_for_one_row_and_for_many(acme, ada, browse, django_assert_num_queries):
    client = browse(ada)
    make_pending_action(acme, make_device(acme), requested_by=ada)
    with CaptureQueriesContext(connection) as few:
        client.get(ACTIONS)
    for number in range(5):
        investigation = make_investigation(acme, f"case {number}")
        device = make_device(acme, f"pc-{number}")
        make_pending_action(acme, device, requested_by=ada, investigation_id=investigation.pk)

    with django_assert_num_queries(len(few)):
        assert len(client.get(ACTIONS).json()["results"]) == 6
    assert len(few) == 8  # who asks, the scope and the test's own savepoint are 7 of them


def test_the_catalogue_is_whole_and_says_who_may_ask_for_what(ren, browse):
    types = {row["name"]: row for row in browse(ren).get("/api/v1/action-types/").json()}

    assert types.keys() == CATALOGUE.keys()
    assert types["isolate_device"]["parameters"] == [
        {"name": "isolation_type", "kind": "text", "choices": ["Full", "Selective"], "is_optional": False}
    ]
    assert types["isolate_device"]["inverse"] == "release_from_isolation"
    assert types["offboard_device"]["approvers"] == 2
    assert types["get_file_information"]["is_free"] is True
    assert types["quarantine_email"]["needs_capability"] == "move_to_quarantine"
    assert types["restore_forwarding"]["is_requestable"] is False
    assert types["widen_investigation"]["is_requestable"] is False
