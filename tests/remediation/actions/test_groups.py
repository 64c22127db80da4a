"""Decide once, apply to many: groups of what waits, one answer about all of one, a result for each."""

import base64
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.embedded.servers import join_postgres
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.entities import LONGEST, entity_of, entity_of_mail
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.states import State
from remediation.safeguards.models import ProtectedDevice
from tests.factories import make_device, make_key, make_pending_action

pytestmark = pytest.mark.django_db(transaction=True)

Browse = Callable[[User], Client]
SHA1 = "5f1e4c5a2e6b7d8c9a0b1c2d3e4f5a6b7c8d9e0f"
ENTITY = f"sha1:{SHA1}"
QUARANTINE = "stop_and_quarantine_file"


@pytest.fixture
def una(db: None) -> User:
    """An approver over all tenants."""
    user = User.objects.create_user("una@provider.example", name="Una")
    ProviderMembership.objects.create(user=user, role=Role.APPROVER, reach=Reach.ALL)
    return user


def quarantine(tenant: Tenant, count: int = 1, **fields: Any) -> list[RemediationAction]:
    return [
        make_pending_action(
            tenant, make_device(tenant, f"pc-{uuid7().hex}"), type_name=QUARANTINE, parameters={"sha1": SHA1}, **fields
        )
        for _number in range(count)
    ]


def groups(client: Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/v1/action-groups/", query)
    assert answer.status_code == 200, answer.json()
    return list(answer.json()["results"])


def decide(client: Client, ids: list[UUID], answer: str = "approve", key: str = "") -> Any:
    body = {"ids": [str(each) for each in ids], "answer": answer, "reason": "Seen it."}
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/api/v1/actions/decide/", body, "application/json", headers=headers)


def decide_group(client: Client, group: dict[str, Any], answer: str = "approve", **fields: Any) -> Any:
    body = {name: group[name] for name in ("type", "entity", "as_of", "count")} | {"answer": answer, "reason": "Bad."}
    return client.post("/api/v1/action-groups/decide/", body | fields, "application/json")


def results_of(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [item["result"] for item in answer.json()["results"]]


def state_of(action: RemediationAction) -> str:
    with acting_for(action.tenant_id):
        return str(RemediationAction.objects.values_list("state", flat=True).get(pk=action.pk))


def test_an_entity_is_the_same_words_in_every_tenant() -> None:
    mail = [{"network_message_id": "M1", "recipient": "a@x.example"}, {"network_message_id": "M1", "recipient": "b@x"}]
    assert entity_of({"sha1": SHA1.upper()}, "f" * 40) == ENTITY
    assert entity_of({"isolation_type": "Full"}, "F" * 40) == f"device:{'f' * 40}"
    assert entity_of({"url": "Bad.example/x"}) == "url:bad.example/x"
    assert entity_of({"indicator_type": "IpAddress", "value": "192.0.2.1"}) == "indicator:ipaddress:192.0.2.1"
    assert entity_of({"messages": mail[:1]}) == "mailbox:a@x.example"
    assert entity_of({"messages": mail}) == "cluster:m1"
    assert entity_of({"messages": []}) == ""
    assert entity_of_mail({"p1Sender": {"emailAddress": "P1@x.example"}, "p2Sender": None}) == "sender:p1@x.example"
    assert entity_of_mail({"clusterBy": "Subject;P2Sender", "clusterByValue": "A;b"}) == "cluster:subject;p2sender:a;b"
    long, longer = (entity_of({"url": "u" * length}) for length in (2000, 2001))
    assert long != longer
    assert max(len(long), len(longer)) <= LONGEST


def test_groups_are_by_type_and_entity_over_the_tenants_one_decides_for(
    acme: Tenant, globex: Tenant, una: User, bob: User, ada: User, browse: Browse
) -> None:
    here, there = quarantine(acme, 2), quarantine(globex, 3)
    make_pending_action(acme, make_device(acme), type_name="isolate_device")

    found = groups(browse(una))
    assert [(group["type"], group["entity"].split(":")[0], group["count"]) for group in found] == [
        ("isolate_device", "device", 1),
        (QUARANTINE, "sha1", 5),
    ]
    assert (found[1]["tenants"], found[1]["devices"], found[1]["approvals"]) == (2, 5, 0)
    assert found[1]["oldest"] < found[1]["expires"]
    assert [group["count"] for group in groups(browse(bob), type=QUARANTINE)] == [2]
    assert [group["count"] for group in groups(browse(una), entity_kind="sha1", tenant=str(globex.pk))] == [3]
    assert [group["count"] for group in groups(browse(una), at_least=2)] == [5]
    assert groups(browse(ada)) == []
    assert groups(browse(bob), tenant=str(globex.pk)) == []
    assert results_of(decide(browse(una), [here[0].pk, there[0].pk], "reject")) == ["rejected", "rejected"]
    assert [group["count"] for group in groups(browse(una), type=QUARANTINE)] == [3]


def test_pages_of_groups_are_walked_by_key_in_few_queries(acme: Tenant, bob: User, browse: Browse) -> None:
    for number in range(5):
        make_pending_action(acme, make_device(acme, f"pc-{number}"), type_name="isolate_device")
    client = browse(bob)
    groups(client)
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/api/v1/action-groups/", {"limit": 2}).json()
    assert len(queries) <= 10
    seen = list(page["results"])
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += page["results"]
    entities = [group["entity"] for group in seen]
    assert len(entities) == 5
    assert entities == sorted(set(entities))
    assert client.get("/api/v1/action-groups/", {"cursor": "x"}).status_code == 400
    assert client.get("/api/v1/action-groups/", {"tpye": QUARANTINE}).status_code == 400


def test_one_decision_goes_to_every_tenant_with_a_result_for_each(
    acme: Tenant, globex: Tenant, una: User, browse: Browse
) -> None:
    actions = [*quarantine(acme, 2), *quarantine(globex)]
    answer = decide_group(browse(una), groups(browse(una))[0])
    assert results_of(answer) == ["approved"] * 3
    assert {UUID(item["id"]) for item in answer.json()["results"]} == {action.pk for action in actions}
    assert {state_of(action) for action in actions} == {State.APPROVED}
    for tenant, count in ((acme, 2), (globex, 1)):
        with acting_for(tenant.pk):
            assert Decision.objects.filter(user=una, reason="Bad.").count() == count
            assert AuditEvent.objects.filter(verb="action.approved", actor_id=una.pk).count() == count


def test_each_item_is_refused_in_the_words_of_the_single_verb_and_on_record(
    acme: Tenant, globex: Tenant, bob: User, browse: Browse
) -> None:
    (own,), (foreign,), (fine,) = quarantine(acme, requested_by=bob), quarantine(globex), quarantine(acme)
    gone = quarantine(acme)[0]
    two = make_pending_action(acme, make_device(acme), type_name="offboard_device")
    client = browse(bob)
    assert results_of(decide(client, [gone.pk], "reject")) == ["rejected"]

    answer = decide(client, [own.pk, foreign.pk, fine.pk, gone.pk, two.pk, unknown := uuid7()])
    assert results_of(answer) == ["refused", "not_found", "approved", "refused", "waits_for_another", "not_found"]
    told = {item["id"]: item for item in answer.json()["results"]}
    assert "asked for this action yourself" in told[str(own.pk)]["reason"]
    assert "no longer waits for approval: it is “Rejected”" in told[str(gone.pk)]["reason"]
    assert "1 of 2" in told[str(two.pk)]["reason"]
    assert {**told[str(foreign.pk)], "id": ""} == {**told[str(unknown)], "id": ""}
    single = client.post(f"/api/v1/actions/{own.pk}/approve/", {"reason": "x"}, "application/json").json()
    assert single["detail"] == told[str(own.pk)]["reason"]
    with acting_for(acme.pk):
        events = AuditEvent.objects.filter(object_id=own.pk, verb="action.approval_refused")
        assert [event.data["reason"] for event in events] == [single["detail"]] * 2


def test_a_stale_second_factor_refuses_what_is_destructive_and_lets_the_rest_through(
    acme: Tenant, bob: User, browse: Browse
) -> None:
    scan = make_pending_action(
        acme, make_device(acme), type_name="run_antivirus_scan", parameters={"scan_type": "Quick"}
    )
    client = browse(bob)
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": 1}]
    session.save()
    assert results_of(decide(client, [quarantine(acme)[0].pk, scan.pk])) == ["refused", "approved"]


def test_a_key_decides_nothing(acme: Tenant) -> None:
    action = quarantine(acme)[0]
    client = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"})
    assert groups(client) == []
    answer = decide(client, [action.pk])
    assert results_of(answer) == ["refused"]
    assert "an API key cannot" in answer.json()["results"][0]["reason"]


def test_a_protected_device_takes_another_person_in_bulk_too(acme: Tenant, bob: User, browse: Browse) -> None:
    action = quarantine(acme)[0]
    with acting_for(acme.pk):
        ProtectedDevice.objects.create(
            tenant=acme, device=action.device, reason="Vital.", protected_by="x", protected_at=action.created_at
        )
    assert results_of(decide(browse(bob), [action.pk])) == ["waits_for_another"]
    assert state_of(action) == State.PENDING_APPROVAL


def test_the_same_request_again_changes_nothing(acme: Tenant, globex: Tenant, una: User, browse: Browse) -> None:
    ids = [action.pk for action in (*quarantine(acme, 2), *quarantine(globex))]
    client = browse(una)
    first, again = decide(client, ids, key="k1"), decide(client, ids, key="k1")
    assert results_of(first) == ["approved"] * 3
    assert (again.headers.get("Idempotency-Replayed"), again.json()) == ("true", first.json())
    without = decide(client, ids)
    assert results_of(without) == ["refused"] * 3
    assert all("it is “Approved”" in item["reason"] for item in without.json()["results"])
    for tenant in (acme, globex):
        with acting_for(tenant.pk):
            assert Decision.objects.count() == RemediationAction.objects.count()


def test_what_comes_after_somebody_looked_is_left_out(acme: Tenant, bob: User, bea: User, browse: Browse) -> None:
    early = quarantine(acme, 3)
    seen = groups(browse(bob))[0]
    late = quarantine(acme)[0]
    assert results_of(decide(browse(bea), [early[0].pk], "reject")) == ["rejected"]

    answer = decide_group(browse(bob), seen)
    assert sorted(results_of(answer)) == ["approved", "approved", "refused"]
    assert (answer.json()["arrived_later"], answer.json()["left_over"]) == (1, 0)
    assert [state_of(action) for action in (*early, late)] == ["rejected", "approved", "approved", "pending_approval"]
    assert decide_group(browse(bob), {**seen, "count": 2}).status_code == 409


def test_a_group_is_narrowed_to_the_tenants_it_was_listed_for(
    acme: Tenant, globex: Tenant, una: User, browse: Browse
) -> None:
    here, there = quarantine(acme)[0], quarantine(globex)[0]
    client = browse(una)
    seen = groups(client, tenant=str(acme.pk))[0]
    assert decide_group(client, seen).status_code == 409
    assert results_of(decide_group(client, seen, "reject", tenants=[str(acme.pk)])) == ["rejected"]
    assert (state_of(here), state_of(there)) == (State.REJECTED, State.PENDING_APPROVAL)


def test_one_tenants_failure_never_undoes_anothers(acme: Tenant, globex: Tenant, una: User, browse: Browse) -> None:
    here, there = quarantine(acme)[0], quarantine(globex)[0]
    url = join_postgres().url("portal_owner", str(connection.settings_dict["NAME"]))
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION fail_here() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN IF NEW.tenant_id = '{acme.pk}' THEN RAISE EXCEPTION 'down'; END IF; RETURN NEW; END $$"
        )
        owner.execute(
            "CREATE TRIGGER fail_here BEFORE INSERT ON actions_decision FOR EACH ROW EXECUTE FUNCTION fail_here()"
        )
        try:
            answer = decide(browse(una), [here.pk, there.pk])
        finally:
            owner.execute("DROP FUNCTION fail_here() CASCADE")
    assert results_of(answer) == ["refused", "approved"]
    assert "nothing about it was changed" in answer.json()["results"][0]["reason"]
    assert (state_of(here), state_of(there)) == (State.PENDING_APPROVAL, State.APPROVED)
    with acting_for(acme.pk):
        assert not AuditEvent.objects.filter(actor_id=una.pk).exists()


def test_a_role_in_one_tenant_decides_nothing_in_another(
    acme: Tenant, globex: Tenant, bob: User, browse: Browse
) -> None:
    with acting_for(globex.pk):
        TenantMembership.objects.create(tenant=globex, user=bob, role=Role.READER)
    action = quarantine(globex)[0]
    assert groups(browse(bob)) == []
    answer = decide(browse(bob), [action.pk])
    assert results_of(answer) == ["refused"]
    assert "response (manage)" in answer.json()["results"][0]["reason"]


def test_deciding_takes_the_same_number_of_queries_however_many(acme: Tenant, bob: User, browse: Browse) -> None:
    client, counts = browse(bob), []
    groups(client)
    for count in (1, 8):
        ids = [action.pk for action in quarantine(acme, count)]
        with CaptureQueriesContext(connection) as queries:
            assert results_of(decide(client, ids)) == ["approved"] * count
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("as_of", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-11:00", "2999-01-01T00:00:00Z"])
def test_a_moment_of_looking_that_is_still_to_come_is_refused(
    acme: Tenant, bob: User, browse: Browse, as_of: str
) -> None:
    action = quarantine(acme)[0]
    client = browse(bob)
    answer = decide_group(client, groups(client)[0], as_of=as_of)
    assert (answer.status_code, state_of(action)) == (400, State.PENDING_APPROVAL)


@pytest.mark.parametrize("cursor", ["[" * 1_400, '["a", "\\ud800"]', '["\\u0000", "a"]', "[1, 2]"])
def test_a_cursor_that_was_made_up_is_refused(acme: Tenant, bob: User, browse: Browse, cursor: str) -> None:
    text = base64.urlsafe_b64encode(cursor.encode()).decode()
    answer = browse(bob).get("/api/v1/action-groups/", {"cursor": text})
    assert (answer.status_code, "Follow" in str(answer.json())) == (400, True)
