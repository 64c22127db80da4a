"""What is read is stored once, in few queries; only what is newer changes it; two intakes at once double nothing."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from investigations.models import Alert, Device, Evidence, Investigation
from investigations.payloads import read_machine
from investigations.states import Verdict
from investigations.storing import Stored, store_devices
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.investigations.records import START, alert, device, file, machine, store


def the_file(tenant: Tenant) -> Evidence:
    with acting_for(tenant.id):
        return Evidence.objects.get(kind="file")


def list_devices(tenant: Tenant, *rows: dict[str, Any]) -> dict[str, int]:
    with acting_for(tenant.id):
        return dict(store_devices(tenant.id, [read_machine(row) for row in rows]))


def run_together(*works: Callable[[], object]) -> list[BaseException]:
    """Run each work in a thread and a connection of its own; return what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait(10)
            work()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


def test_what_is_new_is_counted_and_to_be_decided_and_the_same_again_is_neither(acme: Tenant) -> None:
    records = [alert(acme, 1, device(1), file(1)), alert(acme, 2, device(2), file(2, "b"))]

    first, second = store(acme, *records), store(acme, *records)

    assert (first.alerts, first.evidence) == ({"new": 2, "changed": 0}, {"new": 4, "changed": 0})
    assert len(first.evidence_to_decide) == 4
    assert (second.alerts, second.evidence) == ({"unchanged": 2}, {"unchanged": 4})
    assert second.evidence_to_decide == []
    assert second.touched_investigations == set()


def test_only_a_strictly_newer_update_changes_anything(acme: Tenant) -> None:
    store(acme, alert(acme, 1, file(1), minutes=5))
    for minutes in (4, 5):
        assert store(acme, alert(acme, 1, file(1, verdict="suspicious"), minutes=minutes)).alerts == {"unchanged": 1}
    assert the_file(acme).verdict == Verdict.MALICIOUS

    newer = store(acme, alert(acme, 1, file(1, verdict="suspicious"), minutes=6))

    assert newer.alerts == {"new": 0, "changed": 1}
    assert newer.evidence_to_decide == [the_file(acme).pk]
    assert the_file(acme).verdict == Verdict.SUSPICIOUS


@pytest.mark.parametrize("order", [1, -1])
def test_of_an_alert_twice_in_one_batch_the_newest_wins(acme: Tenant, order: int) -> None:
    twice = [alert(acme, 1, file(1)), alert(acme, 1, file(1, verdict="suspicious"), minutes=1)]

    stored = store(acme, *twice[::order])

    assert stored.alerts == {"new": 1, "changed": 0, "unchanged": 1}
    assert the_file(acme).verdict == Verdict.SUSPICIOUS


def test_a_change_that_says_nothing_new_about_the_threat_is_kept_and_not_decided_again(acme: Tenant) -> None:
    store(acme, alert(acme, 1, file(1)))

    stored = store(acme, alert(acme, 1, file(1, tags=["seen twice"]), minutes=1))

    assert stored.evidence == {"new": 0, "changed": 1}
    assert stored.evidence_to_decide == []
    assert the_file(acme).raw["tags"] == ["seen twice"]


def test_evidence_that_vanishes_from_an_alert_is_kept(acme: Tenant) -> None:
    store(acme, alert(acme, 1, device(1), file(1)))

    store(acme, alert(acme, 1, device(1), minutes=1))

    assert the_file(acme).verdict == Verdict.MALICIOUS


def test_the_same_alert_id_of_two_tenants_is_two_alerts(acme: Tenant, globex: Tenant) -> None:
    store(acme, alert(acme, 1, file(1)))

    assert store(globex, alert(globex, 1, file(1))).alerts["new"] == 1
    assert the_file(acme).device_id != the_file(globex).device_id


def test_a_device_named_by_its_id_alone_has_no_name_until_something_knows_it(acme: Tenant) -> None:
    store(acme, alert(acme, 1, file(1)))
    with acting_for(acme.id):
        assert Device.objects.get().name == ""

    store(acme, alert(acme, 1, file(1), device(1), minutes=1))

    with acting_for(acme.id):
        known = Device.objects.get()
    assert (known.machine_id, known.name, known.domain) == (machine(1), "pc-1.acme.example", "acme.example")


def test_an_alert_does_not_overrule_what_the_device_list_says(acme: Tenant) -> None:
    row = {"id": machine(1), "computerDnsName": "srv-1.acme.example", "machineTags": ["vip"], "version": None}
    counts = [list_devices(acme, row | {"lastSeen": "2026-11-01T09:00:00.1234567Z"}) for _ in range(2)]

    store(acme, alert(acme, 1, device(1, tags=["old"], version="22H2"), file(1)))

    with acting_for(acme.id):
        found = Device.objects.get()
    assert [(count["new"], count["unchanged"]) for count in counts] == [(1, 0), (0, 1)]
    assert (found.name, found.tags) == ("srv-1.acme.example", ["vip"])
    assert found.os_version == "22H2"  # what the list leaves blank, an alert may fill


def test_a_batch_costs_the_same_queries_however_many_alerts_it_has(acme: Tenant) -> None:
    def cost(numbers: range, minutes: int) -> int:
        records = [alert(acme, n, device(n), file(n, f"{n}"), minutes=minutes) for n in numbers]
        with CaptureQueriesContext(connection) as captured:
            store(acme, *records)
        return len(captured)

    store(acme, alert(acme, 999, device(999)))
    assert cost(range(100, 102), 0) == cost(range(200, 260), 0)
    assert cost(range(100, 102), 1) == cost(range(200, 260), 1)


def test_the_birth_of_an_investigation_is_on_record(acme: Tenant) -> None:
    store(acme, alert(acme, 1, file(1)))

    with acting_for(acme.id):
        event = AuditEvent.objects.get(verb="investigation.started")
        assert event.object_id == Investigation.objects.get().pk
    assert event.actor_label == "Automation"


@pytest.mark.django_db(transaction=True)
def test_two_intakes_of_the_same_alerts_at_once_store_them_once(acme: Tenant) -> None:
    records = [alert(acme, n, device(n), file(n, f"{n}")) for n in range(1, 6)]
    results: list[Stored] = []

    raised = run_together(*[lambda: results.append(store(acme, *records))] * 4)

    assert raised == []
    assert sorted(result.alerts["new"] for result in results) == [0, 0, 0, 5]
    with acting_for(acme.id):
        assert [model.objects.count() for model in (Alert, Evidence, Device, Investigation)] == [5, 10, 5, 5]
        assert Alert.objects.earliest("id").updated_at_source == START
