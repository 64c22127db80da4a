"""POST /alerts/: good records in, bad ones named, and nothing half-written."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from investigations.models import Alert, Evidence
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.api import alerts as api
from tests.factories import default_group, make_key

ALERTS = "/api/v1/alerts/"
MACHINE = "c" * 40


def device_evidence() -> dict[str, Any]:
    """Return a device as Graph names it in an alert."""
    return {
        "@odata.type": "#microsoft.graph.security.deviceEvidence",
        "verdict": "unknown",
        "mdeDeviceId": MACHINE,
        "deviceDnsName": "pc-1.acme.example",
        "osPlatform": "Windows11",
    }


def file_evidence() -> dict[str, Any]:
    """Return a malicious file on that device."""
    return {
        "@odata.type": "#microsoft.graph.security.fileEvidence",
        "verdict": "malicious",
        "mdeDeviceId": MACHINE,
        "fileDetails": {"sha1": "d" * 40, "fileName": "bad.exe", "filePath": "C:\\Users\\pat"},
    }


def alert(tenant: Tenant, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a Graph alert of the tenant with a device and a file."""
    return {
        "@odata.type": "#microsoft.graph.security.alert",
        "id": f"da{number}",
        "tenantId": str(tenant.entra_tenant_id),
        "title": "Malware was seen",
        "severity": "high",
        "createdDateTime": "2026-11-20T07:12:44.5133337Z",
        "lastUpdateDateTime": "2026-11-20T07:12:44.5133337Z",
        "evidence": [device_evidence(), file_evidence()],
    } | changes


def send(client: Client, body: object, query: str = "", **headers: str) -> Any:
    """POST alerts."""
    return client.post(f"{ALERTS}{query}", body, content_type="application/json", headers=headers)


def count_alerts(tenant: Tenant) -> int:
    """Return how many alerts the tenant has."""
    with acting_for(tenant.id):
        return Alert.objects.count()


@pytest.fixture(autouse=True)
def _groups(acme):
    """Acme asks about everything: its default group is at Semi, all folders."""
    default_group(acme)


@pytest.mark.parametrize("shape", ["object", "list", "value", "envelope", "envelope of value", "by id"])
def test_every_shape_is_taken_in(acme, ada, browse, shape):
    one = alert(acme)
    bodies: dict[str, tuple[object, str]] = {
        "object": (one, "?tenant=acme"),
        "list": ([one], "?tenant=acme"),
        "value": ({"value": [one]}, "?tenant=acme"),
        "envelope": ({"tenant": "acme", "alerts": one}, ""),
        "envelope of value": ({"tenant": "acme", "alerts": {"value": [one]}}, ""),
        "by id": ({"tenant": str(acme.id), "alerts": [one]}, ""),
    }

    answer = send(browse(ada), *bodies[shape])

    assert answer.status_code == 200, answer.json()
    assert answer.json()["tenant"] == str(acme.id)
    assert answer.json()["alerts"] == {"new": 1, "changed": 0, "unchanged": 0}
    assert answer.json()["refused"] == []
    assert answer.json()["actions"] == {"pending_approval": 1}


def test_the_same_again_changes_nothing(acme, ada, browse):
    send(browse(ada), alert(acme), "?tenant=acme")

    again = send(browse(ada), alert(acme), "?tenant=acme").json()

    assert again["alerts"] == {"new": 0, "changed": 0, "unchanged": 1}
    assert again["actions"] == {}
    assert count_alerts(acme) == 1


def test_what_can_be_used_is_and_the_rest_is_named(acme, ada, browse):
    strange = alert(acme, 3, tenantId=str(uuid4()))
    partly = alert(acme, 2, evidence=[{"@odata.type": "#microsoft.graph.security.fileEvidence"}, device_evidence()])
    unheard = alert(acme, 4, evidence=[{"@odata.type": "#microsoft.graph.security.toasterEvidence"}])

    body = [alert(acme), partly, strange, "text", {}, unheard]
    answer = send(browse(ada), body, "?tenant=acme")

    assert answer.status_code == 200
    assert answer.json()["alerts"]["new"] == 3
    places = {name: [line["position"] for line in answer.json()[name]] for name in ("refused", "unrecognised")}
    assert places["refused"] == ["[1] evidence[0]", "[2] tenantId", "[3]", "[4] tenantId"]
    assert places["unrecognised"] == ["[5] evidence[0]"]
    with acting_for(acme.id):
        assert Evidence.objects.filter(kind="other").count() == 1


@pytest.mark.parametrize("body", ["[]", "{}", '{"value": []}', "[1]", '["x"]', '"x"', "7", "null", '{"id": "\\ud800"}'])
def test_nothing_usable_is_400(acme, ada, browse, body):
    answer = send(browse(ada), body, "?tenant=acme")

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert count_alerts(acme) == 0


def test_another_tenants_alert_is_refused_by_its_place(acme, ada, browse):
    answer = send(browse(ada), alert(acme, tenantId=str(uuid4())), "?tenant=acme")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["(document) tenantId"]


@pytest.mark.parametrize(
    ("raw", "place"),
    [(b'[{"id": 1},\n{"id": }]', "line 2 column 8"), (b'{"value": [NaN]}', "NaN"), (b"\xff", "position 0")],
)
def test_malformed_json_is_named_by_its_place(acme, ada, browse, raw, place):
    answer = send(browse(ada), raw, "?tenant=acme")

    assert answer.status_code == 400
    assert place in answer.json()["detail"]


@pytest.mark.parametrize("depth", [90, 500, 900, 100_000])
def test_nesting_is_bounded(acme, ada, browse, depth):
    answer = send(browse(ada), b"[" * depth + b"]" * depth, "?tenant=acme", **{"Idempotency-Key": "deep"})

    assert answer.status_code == 400


def test_too_many_records_are_413_before_any_is_read(acme, ada, browse, monkeypatch):
    monkeypatch.setattr(api, "MOST_RECORDS", 2)

    for body in ([alert(acme, number) for number in range(3)], {"value": [alert(acme, number) for number in range(3)]}):
        assert send(browse(ada), body, "?tenant=acme").status_code == 413
    assert count_alerts(acme) == 0
    assert send(browse(ada), [alert(acme, number) for number in range(2)], "?tenant=acme").status_code == 200


@pytest.mark.parametrize("name", ["globex", "nobody", "0190a0b0-0000-7000-8000-000000000000", "", "a\x00b", "Acme"])
def test_a_foreign_tenant_is_answered_as_an_unknown_one(acme, globex, ada, browse, name):
    unknown = send(browse(ada), {"tenant": "unheard-of", "alerts": alert(acme)})

    for wanted in (name, str(globex.id)):
        answer = send(browse(ada), {"tenant": wanted, "alerts": alert(acme)})
        assert answer.status_code == 400
        assert answer.json() == unknown.json()
    assert count_alerts(globex) == 0


@pytest.mark.parametrize("body", [{"alerts": []}, [], {"tenant": "acme"}, {"tenant": ["acme"], "alerts": []}])
def test_a_body_that_names_no_tenant_is_refused(acme, ada, browse, body):
    answer = send(browse(ada), body)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["tenant"]


def test_readers_may_not_and_analysts_keys_may(acme, ren, browse):
    assert send(browse(ren), alert(acme), "?tenant=acme").status_code == 403
    assert count_alerts(acme) == 0

    robot = Client(headers={"authorization": f"Api-Key {make_key(acme, Role.ANALYST)}"})
    assert send(robot, alert(acme), "?tenant=acme").status_code == 200


def test_a_replay_answers_the_same_and_another_tenant_under_the_key_is_refused(acme, globex, pia, browse):
    client, key = browse(pia), {"Idempotency-Key": "one"}

    first, again = (send(client, alert(acme), "?tenant=acme", **key) for _ in range(2))

    assert first.json() == again.json()
    assert again.json()["alerts"]["new"] == 1
    assert send(client, alert(acme), "?tenant=globex", **key).status_code == 422
