"""The API of hunting: many tenants at once, rows that become actions, and who may do which."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from uuid_utils.compat import uuid7

from connectors.models import Connection
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.actions.states import Source
from remediation.hunting.models import Hunt
from tests.factories import make_device
from tests.remediation.hunting.conftest import MACHINE, MESSAGE, make_hunt, post

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]


@pytest.fixture
def connections(acme: Tenant, globex: Tenant) -> None:
    for tenant in (acme, globex):
        with acting_for(tenant.id):
            Connection.objects.create(tenant=tenant)


def outcomes(answer: Any) -> list[tuple[Any, ...]]:
    return [(line["row"], line["outcome"], line["reason"]) for line in answer.json()["results"]]


@pytest.mark.usefixtures("connections")
def test_a_query_goes_to_each_tenant_it_may_and_the_others_say_why_not(
    acme: Tenant, globex: Tenant, ada: User, browse: Browse
) -> None:
    unknown = uuid7()
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ada, role=Role.READER)

    answer = post(browse(ada), "hunts/", {"tenants": [acme.id, globex.id, unknown], "query": "DeviceInfo"})

    assert answer.status_code == 201
    told = {line["tenant"]: line for line in answer.json()["results"]}
    assert told[str(acme.id)]["outcome"] == "queued"
    assert told[str(globex.id)]["outcome"] == "refused"
    assert "response (request)" in told[str(globex.id)]["reason"]
    assert told[str(unknown)] | {"reason": ""} == {
        "tenant": str(unknown), "outcome": "not_found", "hunt": None, "reason": ""
    }  # fmt: skip
    with acting_for(acme.id):
        hunt = Hunt.objects.get()
        [asked] = AuditEvent.objects.filter(object_id=hunt.pk)
    assert (str(hunt.batch), hunt.query) == (answer.json()["batch"], "DeviceInfo")
    assert (asked.data["query"], asked.data["query_sha256"]) == ("", sha256(b"DeviceInfo").hexdigest())
    with acting_for(globex.id):
        assert not Hunt.objects.exists()


@pytest.mark.usefixtures("connections")
def test_the_same_request_sent_twice_asks_once(acme: Tenant, globex: Tenant, ada: User, browse: Browse) -> None:
    client, body = browse(ada), {"tenants": [acme.id], "query": "DeviceInfo"}

    first, second = (post(client, "hunts/", body, **{"Idempotency-Key": "once"}) for _each in range(2))

    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    with acting_for(acme.id):
        assert Hunt.objects.count() == 1


@pytest.mark.usefixtures("connections")
def test_what_was_asked_of_several_customers_is_told_to_no_one_customers_people(
    acme: Tenant, globex: Tenant, ada: User, ren: User, pia: User, browse: Browse
) -> None:
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ada, role=Role.ANALYST)
    body = {"tenants": [acme.id, globex.id], "recipient": "ceo@globex.example"}
    batch = post(browse(ada), "mail-searches/", body).json()["batch"]
    pages = ("/admin/hunting/mailsearch/", f"/admin/hunting/mailsearch/?again={batch}",
             f"/admin/hunting/mailsearch/batch/{batch}/")  # fmt: skip

    with acting_for(acme.id):
        hunt = Hunt.objects.get()
    for reader, is_told in ((ren, False), (ada, True), (pia, True)):
        [shown] = [row for row in browse(reader).get("/api/v1/hunts/").json()["results"] if row["id"] == str(hunt.pk)]
        whole = browse(reader).get(f"/api/v1/hunts/{hunt.pk}/").json()
        told = [row[name] is not None for row in (shown, whole) for name in ("query", "criteria")]
        assert told == [is_told] * 4
        page = f"/admin/hunting/mailsearch/{hunt.pk}/"
        seen = ["ceo@globex" in browse(reader).get(path).content.decode() for path in (*pages, f"{page}change/")]
        assert seen == [is_told] * 4
        assert "ceo@globex" not in browse(reader).get(f"{page}history/").content.decode()
        assert "ceo@globex" not in browse(reader).get("/api/v1/audit-events/?page_size=200").content.decode()


@pytest.mark.usefixtures("connections")
def test_a_person_has_at_most_twenty_open_questions_in_a_tenant(
    acme: Tenant, globex: Tenant, ada: User, bob: User, browse: Browse
) -> None:
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ada, role=Role.ANALYST)
    for _each in range(20):
        make_hunt(acme, asked_by=ada, state="queued")
    body = {"tenants": [acme.id], "query": "DeviceInfo"}

    full = post(browse(ada), "hunts/", body)
    both = post(browse(ada), "hunts/", {**body, "tenants": [acme.id, globex.id]})

    assert (full.status_code, "20" in full.json()["detail"]) == (409, True)
    told = {line["tenant"]: line for line in both.json()["results"]}
    assert told[str(globex.id)]["outcome"] == "queued"
    assert (told[str(acme.id)]["outcome"], "20" in told[str(acme.id)]["reason"]) == ("refused", True)
    assert post(browse(bob), "hunts/", body).status_code == 201


@pytest.mark.usefixtures("connections")
def test_a_reader_asks_nothing_and_reads_everything(acme: Tenant, ren: User, browse: Browse) -> None:
    hunt = make_hunt(acme, rows=[{"DeviceId": MACHINE}])
    client = browse(ren)

    assert post(client, "hunts/", {"tenants": [acme.id], "query": "DeviceInfo"}).status_code == 403
    assert client.get(f"/api/v1/hunts/{hunt.pk}/").json()["rows"] == [{"DeviceId": MACHINE}]
    body = {"type": "isolate_device", "rows": [0], "parameters": {"isolation_type": "Full"}, "reason": "No."}
    assert post(client, f"hunts/{hunt.pk}/actions/", body).status_code == 403
    with acting_for(acme.id):
        assert Hunt.objects.count() == 1
        assert not RemediationAction.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": ""},
        {"query": "x" * 50_001},
        {"query": "Device\x00Info"},
        {"timespan": "a week"},
        {"tenants": []},
        {"tenants": ["none"]},
    ],
)
def test_what_makes_no_sense_is_refused(acme: Tenant, ada: User, browse: Browse, wrong: dict[str, Any]) -> None:
    body = {"tenants": [str(acme.id)], "query": "DeviceInfo", "timespan": "P1D", **wrong}

    assert post(browse(ada), "hunts/", body).status_code == 400

    with acting_for(acme.id):
        assert not Hunt.objects.exists()


def test_device_rows_become_one_action_per_device(acme: Tenant, ada: User, browse: Browse) -> None:
    make_device(acme, "lap-7", machine_id=MACHINE, os_platform="Windows11")
    rows = [{"DeviceId": MACHINE}, {"DeviceId": MACHINE.upper()}, {"DeviceId": "2" * 40}, {"DeviceId": "lap-7"}]
    hunt = make_hunt(acme, rows=rows)
    body = {"type": "run_antivirus_scan", "rows": [0, 1, 2, 3, 9], "parameters": {"scan_type": "Quick"}, "reason": "R"}

    answer = post(browse(ada), f"hunts/{hunt.pk}/actions/", body)

    assert answer.status_code == 200, answer.json()
    assert [(row, outcome) for row, outcome, _why in outcomes(answer)] == [
        (0, "created"), (1, "created"), (2, "refused"), (3, "refused"), (9, "refused"),
    ]  # fmt: skip
    assert "does not know this device" in outcomes(answer)[2][2]
    assert "no Defender device id" in outcomes(answer)[3][2]
    assert outcomes(answer)[4][2] == "There is no such row."
    again = post(browse(ada), f"hunts/{hunt.pk}/actions/", body | {"rows": [0]})
    assert outcomes(again) == [(0, "already_open", "")]
    with acting_for(acme.id):
        action = RemediationAction.objects.select_related("device").get()
        events = AuditEvent.objects.filter(object_id=hunt.pk, verb="hunt.actions_requested")
        assert events.count() == 2
    assert (action.source, action.state, action.device.machine_id) == (
        Source.ADVANCED_HUNTING, "pending_approval", MACHINE,
    )  # fmt: skip


def test_a_device_of_another_tenant_is_no_device_here(acme: Tenant, globex: Tenant, pia: User, browse: Browse) -> None:
    make_device(globex, "theirs", machine_id=MACHINE, os_platform="Windows11")
    hunt = make_hunt(acme, rows=[{"DeviceId": MACHINE}])
    body = {"type": "isolate_device", "rows": [0], "parameters": {"isolation_type": "Full"}, "reason": "Because."}

    [(_row, outcome, _why)] = outcomes(post(browse(pia), f"hunts/{hunt.pk}/actions/", body))

    assert outcome == "refused"
    for tenant in (acme, globex):
        with acting_for(tenant.id):
            assert not RemediationAction.objects.exists()


def test_file_rows_take_the_file_from_the_row(acme: Tenant, ada: User, browse: Browse) -> None:
    make_device(acme, "lap-7", machine_id=MACHINE, os_platform="Windows11")
    hunt = make_hunt(acme, rows=[{"DeviceId": MACHINE, "SHA1": "A" * 40}, {"DeviceId": MACHINE, "SHA1": ""}])
    body = {"type": "stop_and_quarantine_file", "rows": [0, 1], "reason": "Malware."}

    answer = post(browse(ada), f"hunts/{hunt.pk}/actions/", body)

    assert outcomes(answer)[0][:2] == (0, "created")
    assert outcomes(answer)[1] == (1, "refused", "The column SHA1 is empty in this row.")
    with acting_for(acme.id):
        assert RemediationAction.objects.get().parameters == {"sha1": "a" * 40}


def test_mail_rows_become_actions_of_at_most_a_hundred_messages(acme: Tenant, ada: User, browse: Browse) -> None:
    rows = [{"NetworkMessageId": MESSAGE, "RecipientEmailAddress": f"p{n}@acme.example"} for n in range(250)]
    hunt = make_hunt(acme, rows=[*rows, rows[0]])

    answer = post(
        browse(ada),
        f"hunts/{hunt.pk}/actions/",
        {"type": "soft_delete_email", "rows": list(range(251)), "reason": "Phishing."},
    )

    assert {outcome for _row, outcome, _why in outcomes(answer)} == {"created"}
    with acting_for(acme.id):
        actions = list(RemediationAction.objects.order_by("id"))
    assert [len(action.parameters["messages"]) for action in actions] == [100, 100, 50]
    pairs = {each["recipient"] for action in actions for each in action.parameters["messages"]}
    assert len(pairs) == 250


@pytest.mark.parametrize(
    ("type_name", "words"),
    [
        ("isolate_device", "needs the columns DeviceId"),
        ("widen_investigation", "could be asked for"),
        ("classify_alert", "cannot be asked for from rows"),
    ],
)
def test_a_type_the_columns_do_not_allow_is_refused(
    acme: Tenant, bob: User, browse: Browse, type_name: str, words: str
) -> None:
    hunt = make_hunt(acme, rows=[{"NetworkMessageId": MESSAGE, "RecipientEmailAddress": "eve@acme.example"}])

    answer = post(browse(bob), f"hunts/{hunt.pk}/actions/", {"type": type_name, "rows": [0], "reason": "R"})

    assert answer.status_code == 400
    assert words in answer.json()["detail"]


def test_more_than_a_hundred_actions_at_once_are_refused_whole(acme: Tenant, ada: User, browse: Browse) -> None:
    machines = [f"{number:040x}" for number in range(101)]
    for machine_id in machines:
        make_device(acme, machine_id[-4:], machine_id=machine_id, os_platform="Windows11")
    hunt = make_hunt(acme, rows=[{"DeviceId": machine_id} for machine_id in machines])
    body = {"type": "run_antivirus_scan", "rows": list(range(101)), "parameters": {"scan_type": "Quick"}, "reason": "R"}

    assert post(browse(ada), f"hunts/{hunt.pk}/actions/", body).status_code == 400

    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()


def test_at_most_ten_messages_are_submitted_at_once(acme: Tenant, ada: User, browse: Browse) -> None:
    rows = [{"NetworkMessageId": MESSAGE, "RecipientEmailAddress": f"p{n}@acme.example"} for n in range(11)]
    hunt = make_hunt(acme, rows=rows)
    body = {"type": "submit_email", "parameters": {"category": "phishing"}, "reason": "Missed."}

    refused = post(browse(ada), f"hunts/{hunt.pk}/actions/", {**body, "rows": list(range(11))})

    assert (refused.status_code, "10" in refused.json()["detail"]) == (400, True)
    with acting_for(acme.id):
        assert not RemediationAction.objects.exists()
    assert post(browse(ada), f"hunts/{hunt.pk}/actions/", {**body, "rows": list(range(10))}).status_code == 200
    with acting_for(acme.id):
        about = [action.parameters["messages"] for action in RemediationAction.objects.all()]
    assert [len(messages) for messages in about] == [1] * 10


def test_a_list_leaves_the_rows_where_they_are_and_costs_the_same_for_many(
    acme: Tenant, ada: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _each in range(20):
        make_hunt(acme, rows=[{"DeviceId": MACHINE}], asked_by=ada)
    client = browse(ada)
    client.get("/api/v1/hunts/")

    with django_assert_num_queries(8) as asked:
        listed = client.get("/api/v1/hunts/").json()["results"]

    assert len(listed) == 20
    assert "rows" not in listed[0]
    assert not any('"hunting_hunt"."rows"' in query["sql"] for query in asked.captured_queries)


@pytest.mark.usefixtures("connections")
def test_a_mail_search_becomes_a_hunt_of_the_explorer(acme: Tenant, ada: User, browse: Browse) -> None:
    body = {"tenants": [acme.id], "url": 'bad.example/"x', "received_before": "2026-11-02T00:00:00+02:00"}

    answer = post(browse(ada), "mail-searches/", body)

    assert answer.status_code == 201
    with acting_for(acme.id):
        hunt = Hunt.objects.get()
    assert (hunt.source, hunt.timespan) == ("explorer", "P30D/2026-11-01T22:00:00Z")
    assert 'Url contains "bad.example/\\"x"' in hunt.query
    assert post(browse(ada), "mail-searches/", {"tenants": [acme.id], "sender": "  "}).status_code == 400
