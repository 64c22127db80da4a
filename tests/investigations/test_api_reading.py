"""Devices, alerts, evidence and investigations over HTTP: what is shown, found, and kept from strangers."""

from dataclasses import dataclass

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid4

from investigations.models import Alert, Device, Evidence, Investigation
from investigations.states import EvidenceKind, EvidenceOutcome, InvestigationState, Verdict
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.factories import make_alert, make_device, make_evidence, make_group, make_investigation


@dataclass
class Case:
    """An investigation of one device with one alert and one piece of evidence."""

    device: Device
    investigation: Investigation
    alert: Alert
    evidence: Evidence


def make_case(tenant: Tenant, name: str = "pc-1") -> Case:
    """Create a case with all its rows."""
    device = make_device(tenant, name, os_platform="Windows11", tags=["finance", "vip"])
    investigation = make_investigation(tenant, f"Malware on {name}", device=device)
    with acting_for(tenant.id):
        investigation.reached.create(tenant=tenant, device=device)
    alert = make_alert(tenant, investigation)
    return Case(device, investigation, alert, make_evidence(alert, device))


def test_a_device_tells_its_group_and_how_far_automation_may_go(acme, ada, browse):
    device = make_device(acme, group=make_group(acme, "Servers"))

    shown = browse(ada).get(f"/api/v1/devices/{device.pk}/").json()

    assert (shown["group_name"], shown["automation_level"]) == ("Servers", "full")
    assert shown["machine_id"] == device.machine_id


def test_devices_are_found(acme, ada, browse):
    case = make_case(acme, "Laptop-7")
    make_device(acme, "server-1", os_platform="Linux")
    client = browse(ada)

    def found(query: str) -> list[str]:
        return [row["name"] for row in client.get(f"/api/v1/devices/?{query}").json()["results"]]

    assert found("") == ["server-1", "Laptop-7"]
    assert found("name=LAPTOP") == found("tag=vip") == found("os_platform=windows11") == ["Laptop-7"]
    assert found(f"machine_id={case.device.machine_id.upper()}") == ["Laptop-7"]
    assert found(f"group={case.device.group_id}") == ["server-1", "Laptop-7"]
    assert found("tag=vi") == found(f"group={uuid4()}") == []


def test_what_microsoft_sent_is_shown_with_one_row_not_in_lists(acme, ada, browse):
    case = make_case(acme)
    client = browse(ada)

    for name, row in (("alerts", case.alert), ("evidence", case.evidence)):
        assert client.get(f"/api/v1/{name}/{row.pk}/").json()["raw"] == row.raw
        assert "raw" not in client.get(f"/api/v1/{name}/").json()["results"][0]


def test_evidence_is_found(acme, ada, browse):
    case = make_case(acme)
    make_evidence(
        case.alert, kind=EvidenceKind.URL, verdict=Verdict.SUSPICIOUS, outcome=EvidenceOutcome.NO_ACTION, label="url"
    )
    client = browse(ada)

    def found(query: str) -> list[str]:
        return [row["label"] for row in client.get(f"/api/v1/evidence/?{query}").json()["results"]]

    assert found(f"investigation={case.investigation.pk}") == found(f"alert={case.alert.pk}") == ["url", "bad.exe"]
    assert found(f"device={case.device.pk}") == ["bad.exe"]
    assert found("kind=url") == found("verdict=suspicious") == found("outcome=no_action") == ["url"]
    assert found(f"device={uuid4()}") == []
    assert client.get("/api/v1/evidence/?kind=smell").status_code == 400


def test_investigations_are_found_and_show_the_devices_they_reach(acme, ada, browse):
    case = make_case(acme)
    make_investigation(acme, "Over", state=InvestigationState.BENIGN)
    client = browse(ada)

    def found(query: str) -> list[str]:
        return [row["title"] for row in client.get(f"/api/v1/investigations/?{query}").json()["results"]]

    assert found("") == ["Over", "Malware on pc-1"]
    assert found("state=Queued") == found(f"device={case.device.pk}") == ["Malware on pc-1"]
    assert found("state=Queued&state=Benign") == ["Over", "Malware on pc-1"]
    assert client.get(f"/api/v1/investigations/{case.investigation.pk}/").json()["devices"] == [
        {"device": str(case.device.pk), "name": "pc-1", "is_widened": False}
    ]


def test_strangers_find_none_of_it(acme, globex, gil, browse):
    case = make_case(acme)
    client = browse(gil)

    for name, row in (
        ("devices", case.device),
        ("device-groups", case.device.group),
        ("alerts", case.alert),
        ("evidence", case.evidence),
        ("investigations", case.investigation),
    ):
        assert client.get(f"/api/v1/{name}/{row.pk}/").status_code == 404
        assert client.get(f"/api/v1/{name}/").json()["results"] == []
    assert client.get(f"/api/v1/evidence/?investigation={case.investigation.pk}").json()["results"] == []
    assert client.get(f"/api/v1/investigations/?device={case.device.pk}").json()["results"] == []


@pytest.mark.parametrize("name", ["devices", "device-groups", "alerts", "evidence", "investigations"])
def test_lists_cost_the_same_for_one_row_and_for_many(acme, ada, browse, django_assert_num_queries, name):
    client = browse(ada)
    make_case(acme)
    with CaptureQueriesContext(connection) as few:
        client.get(f"/api/v1/{name}/")
    for number in range(4):
        make_case(acme, f"pc-{number}")
        make_group(acme, f"group {number}")

    with django_assert_num_queries(len(few)):
        assert len(client.get(f"/api/v1/{name}/").json()["results"]) == 5
    assert len(few) == (9 if name == "device-groups" else 8)  # rules are one query more
