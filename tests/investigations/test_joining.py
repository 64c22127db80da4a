"""Alerts find the investigation they belong to, and an investigation asks before it spreads to ten other devices."""

import threading
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from investigations.joining import WAITS_FOR_WIDENING
from investigations.models import Alert, Evidence, Investigation, InvestigationDevice
from investigations.services import include_devices, leave_out_devices
from investigations.states import EvidenceOutcome, InvestigationState
from investigations.storing import Stored
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.investigations.records import GRAPH, alert, device, file, machine, message, store


def investigation_of(tenant: Tenant, number: int) -> UUID:
    with acting_for(tenant.id):
        return Alert.objects.get(alert_id=f"da{number}").investigation_id


def reached(tenant: Tenant, number: int) -> dict[int, bool]:
    """The machines the alert's investigation reaches, and whether by widening."""
    with acting_for(tenant.id):
        rows = InvestigationDevice.objects.filter(investigation=investigation_of(tenant, number))
        return {int(key, 16): widened for key, widened in rows.values_list("device__machine_id", "is_widened")}


def evidence_on(tenant: Tenant, number: int) -> list[Evidence]:
    with acting_for(tenant.id):
        return list(Evidence.objects.filter(device__machine_id=machine(number)).order_by("id"))


def spread(tenant: Tenant, number: int, *machines: int, **fields: Any) -> Stored:
    """Store one alert with the same malicious file on all these machines."""
    return store(tenant, alert(tenant, number, *[piece for n in machines for piece in (device(n), file(n))], **fields))


def test_an_alert_joins_the_open_investigation_that_reaches_its_device_and_never_an_ended_one(acme: Tenant) -> None:
    store(acme, alert(acme, 1, device(1), file(1)))
    store(acme, alert(acme, 2, device(1), file(1, "b")))
    with acting_for(acme.id):
        Investigation.objects.update(state=InvestigationState.BENIGN)
    store(acme, alert(acme, 3, device(1), file(1)))

    assert investigation_of(acme, 1) == investigation_of(acme, 2) != investigation_of(acme, 3)


def test_an_alert_keeps_its_investigation_even_an_ended_one(acme: Tenant) -> None:
    store(acme, alert(acme, 1, device(1), file(1)))
    before = investigation_of(acme, 1)
    with acting_for(acme.id):
        Investigation.objects.update(state=InvestigationState.BENIGN)

    stored = store(acme, alert(acme, 1, device(1), file(1, verdict="suspicious"), minutes=1))

    assert investigation_of(acme, 1) == before
    assert stored.touched_investigations == {before}


def test_the_compromised_device_is_the_alerts_own(acme: Tenant) -> None:
    store(acme, alert(acme, 1, file(3), device(1, roles=["source"]), device(2, roles=["Compromised"])))
    store(acme, alert(acme, 2, file(6, "b"), device(5)))

    with acting_for(acme.id):
        own = Investigation.objects.order_by("id").values_list("device__machine_id", "title")
        assert list(own) == [(machine(2), "Alert 1"), (machine(5), "Alert 2")]


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_the_same_file_on_another_device_widens_and_a_device_merely_named_does_not(acme: Tenant, name: str) -> None:
    details = {"fileName": "bad.exe", name: "e" * (40 if name == "sha1" else 64)}
    process = {"@odata.type": f"{GRAPH}processEvidence", "mdeDeviceId": machine(2), "imageFile": details}
    store(acme, alert(acme, 1, device(1), file(1, fileDetails=details)))

    store(acme, alert(acme, 2, device(2), device(3), process))

    assert reached(acme, 1) == {1: False, 2: True, 3: False}


def test_mail_joins_by_incident_and_devices_do_not(acme: Tenant) -> None:
    store(acme, alert(acme, 1, message("eve@acme.example"), incidentId="7"))
    store(acme, alert(acme, 2, message("joe@acme.example"), incidentId="7"))
    store(acme, alert(acme, 3, message("joe@acme.example"), incidentId="8"))
    store(acme, alert(acme, 4, message("joe@acme.example")), alert(acme, 5, message("joe@acme.example")))
    store(acme, alert(acme, 6, device(1), incidentId="7"))

    found = [investigation_of(acme, number) for number in range(1, 7)]
    assert found[0] == found[1]
    assert len(set(found)) == 5


def test_alerts_of_one_batch_find_each_other(acme: Tenant) -> None:
    stored = store(acme, alert(acme, 1, device(1), file(1)), alert(acme, 2, device(1)), alert(acme, 3, file(2)))

    assert stored.investigations["new"] == 1
    assert reached(acme, 3) == {1: False, 2: True}


def test_nine_other_devices_are_reached_and_ten_ask_first(acme: Tenant, globex: Tenant) -> None:
    nine = spread(acme, 1, *range(1, 11))
    ten = spread(globex, 1, *range(1, 12))

    assert nine.widening == []
    assert sum(reached(acme, 1).values()) == 9
    assert [len(asked.device_ids) for asked in ten.widening] == [10]
    assert reached(globex, 1) == {1: False}
    assert len(ten.evidence_to_decide) == 2
    assert {(piece.outcome, piece.reason) for piece in evidence_on(globex, 11)} == {
        (EvidenceOutcome.PENDING, WAITS_FOR_WIDENING)
    }


def test_ten_devices_that_come_in_one_by_one_count_together(acme: Tenant) -> None:
    asked = [spread(acme, number, number).widening for number in range(1, 12)]

    assert asked[:10] == [[]] * 10
    assert len(asked[10]) == 1
    assert 11 not in reached(acme, 1)


def test_devices_of_several_alerts_in_one_batch_are_asked_for_together(acme: Tenant) -> None:
    spread(acme, 1, *range(1, 11))

    stored = store(acme, *[alert(acme, number, device(number), file(number)) for number in range(11, 15)])

    assert [len(asked.device_ids) for asked in stored.widening] == [4]


def test_a_device_that_waits_is_not_asked_for_again_and_what_else_is_found_there_waits_too(acme: Tenant) -> None:
    spread(acme, 1, *range(1, 12))

    again = spread(acme, 2, 11, minutes=1)
    changed = spread(acme, 1, *range(1, 12), minutes=2, title="Changed")

    assert again.widening == changed.widening == []
    assert again.evidence_to_decide == []
    assert {piece.reason for piece in evidence_on(acme, 11)} == {WAITS_FOR_WIDENING}
    assert len(evidence_on(acme, 11)) == 4


def test_an_approved_widening_reaches_the_devices_and_their_evidence_is_decided(acme: Tenant) -> None:
    [asked] = spread(acme, 1, *range(1, 12)).widening

    with acting_for(acme.id):
        to_decide = include_devices(asked.investigation_id, asked.device_ids)

    assert sum(reached(acme, 1).values()) == 10
    assert len(to_decide) == 20
    assert spread(acme, 2, 11, minutes=1).evidence_to_decide != []


def test_a_rejected_widening_leaves_its_devices_out_for_good(acme: Tenant) -> None:
    [asked] = spread(acme, 1, *range(1, 12)).widening
    with acting_for(acme.id):
        leave_out_devices(asked.investigation_id, asked.device_ids, reason="Rejected")

    later = spread(acme, 2, 11, minutes=1)

    assert later.widening == []
    assert later.evidence_to_decide == []
    assert reached(acme, 1) == {1: False}
    assert {piece.outcome for piece in evidence_on(acme, 11)} == {EvidenceOutcome.NO_ACTION}
    assert all("Rejected" in piece.reason for piece in evidence_on(acme, 11))


def test_devices_that_were_held_back_count_towards_the_ten(acme: Tenant) -> None:
    spread(acme, 1, *range(1, 12))

    assert [len(asked.device_ids) for asked in spread(acme, 2, 12).widening] == [1]


@pytest.mark.django_db(transaction=True)
def test_evidence_stored_beside_an_approved_widening_is_decided_and_does_not_wait_for_ever(acme: Tenant) -> None:
    """The intake finds the device still waiting; the approval must see what it stores, so it comes after it."""
    [asked] = spread(acme, 1, *range(1, 12)).widening
    to_decide: list[UUID] = []

    def approve() -> None:
        try:
            with acting_for(acme.id):
                to_decide.extend(include_devices(asked.investigation_id, asked.device_ids))
        finally:
            connection.close()

    approval = threading.Thread(target=approve)
    with acting_for(acme.id):
        spread(acme, 2, 11, minutes=1)
        approval.start()
        approval.join(0.5)
    approval.join(10)

    assert len(to_decide) == 22
