"""Lists that are cut short, broken or odd: what is in doubt takes nothing away, and the rest is kept."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connectors.protocol import OutcomeUnknown
from investigations.models import Device
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import Recommendation, VulnerabilitySync
from remediation.vulnerabilities.recommendations import syncing
from remediation.vulnerabilities.recommendations.exposures import DeviceDirectory
from tests.factories import make_device
from tests.remediation.vulnerabilities.recommendations.conftest import (
    EDGE,
    TEAMS,
    ZIP,
    counted_days,
    exposed,
    machine,
    recommendation,
)

pytestmark = pytest.mark.django_db(transaction=True)


class Scripted:
    """A source whose rows a test writes down."""

    def __init__(self, recommendations: list[Any], references: list[Any]) -> None:
        self._recommendations, self._references = recommendations, references

    def recommendations(self) -> Any:
        return iter([self._recommendations])

    def exposed_devices(self, recommendation_id: str) -> Any:
        return iter([self._references])

    def weaknesses(self, recommendation_id: str) -> Any:
        return iter([[{"id": "CVE-2024-11477"}, {"id": "TVM-2020-0002"}, {"id": None}]])

    tasks: list[Any] = []

    def remediation_tasks(self) -> Any:
        return iter([self.tasks])


def broken(_recommendation_id: str) -> Any:
    raise OutcomeUnknown("HTTP 500")


def row(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "recommendationName": name, "weaknesses": 1, "exposedMachinesCount": 1, **fields}


def read(tenant: Tenant, source: Scripted) -> syncing._Course:
    with acting_for(tenant.id):
        VulnerabilitySync.objects.get_or_create(tenant=tenant)
    return syncing._read(tenant.id, source)


def let_half_an_interval_pass(tenant: Tenant) -> None:
    with acting_for(tenant.id):
        VulnerabilitySync.objects.exclude(shrunk_at=None).update(shrunk_at=timezone.now() - timedelta(minutes=31))


def test_bad_rows_are_refused_with_place_and_reason_and_the_rest_kept(
    acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row(ZIP), row("", weaknesses=1), row(EDGE, weaknesses="many"), row("va-_-x-_-y\0")]
    references = [{"id": machine(1).upper()}, {"id": "no-machine"}]

    with caplog.at_level(logging.WARNING):
        course = read(acme, Scripted(rows, references))

    with acting_for(acme.id):
        assert list(Recommendation.objects.values_list("recommendation_id", "cve_ids")) == [(ZIP, ["CVE-2024-11477"])]
        assert recommendation(acme).exposures_read_at is None  # a list with a refused row is not whole
    assert exposed(acme) == {machine(1)}
    assert course.words[0].startswith("3 refused: recommendation 1: id is missing; recommendation 2: weaknesses")
    assert f"{ZIP}, device 1: id is not 40 hexadecimal digits" in course.words[1]
    assert "recommendation 1: id is missing" in caplog.text


def test_a_refused_row_of_devices_lets_nobody_be_taken_away_and_a_refused_recommendation_does_not_disappear(
    acme: Tenant,
) -> None:
    read(acme, Scripted([row(ZIP), row(EDGE)], [{"id": machine(1)}, {"id": machine(2)}]))
    again = Scripted([row(ZIP, exposedMachinesCount=2), row(EDGE, weaknesses=-1)], [{"id": machine(1)}, {"id": 7}])

    read(acme, again)

    assert exposed(acme) == {machine(1), machine(2)}
    assert recommendation(acme, EDGE).disappeared_at is None


def test_a_list_with_fewer_than_half_of_the_devices_that_are_counted_takes_nobody_away(acme: Tenant) -> None:
    machines = [{"id": machine(number)} for number in range(5)]
    read(acme, Scripted([row(ZIP, exposedMachinesCount=5)], machines))
    first = recommendation(acme).exposures_read_at

    course = read(acme, Scripted([row(ZIP, exposedMachinesCount=4)], machines[:1]))

    assert f"1 refused: {ZIP}, 1 of the 4 devices that Microsoft counts were listed" in course.words
    assert (len(exposed(acme)), recommendation(acme).exposures_read_at) == (5, first)

    read(acme, Scripted([row(ZIP, exposedMachinesCount=3)], machines[:2]))
    assert len(exposed(acme)) == 2


def test_a_list_that_shrinks_by_half_is_believed_the_second_time_and_one_that_shrinks_by_less_at_once(
    acme: Tenant,
) -> None:
    names = [f"va-_-v-_-p{number}" for number in range(7)]
    devices = [{"id": machine(1)}]
    read(acme, Scripted([row(name) for name in names], devices))
    names = names[:4]
    assert read(acme, Scripted([row(name) for name in names], devices)).words == []

    course = read(acme, Scripted([row(name) for name in names[:2]], devices))
    assert course.words[0].startswith("Shrunk: the list has 2 recommendations and had 4.")
    with acting_for(acme.id):
        assert Recommendation.objects.filter(disappeared_at=None).count() == 4

    course = read(acme, Scripted([row(name) for name in names[:2]], devices))  # seconds later proves nothing
    assert course.words[0].startswith("Shrunk")
    let_half_an_interval_pass(acme)
    assert read(acme, Scripted([row(name) for name in names[:2]], devices)).words == []
    gone = recommendation(acme, names[3])
    assert (gone.disappeared_at is not None, gone.exposed_count) == (True, 0)
    assert exposed(acme, names[3]) == set()
    assert exposed(acme, names[0]) == {machine(1)}


def test_an_empty_list_is_not_believed_at_once_and_one_that_grows_back_is_forgotten(acme: Tenant) -> None:
    devices = [{"id": machine(1)}]
    read(acme, Scripted([row(ZIP)], devices))

    for rows in ([], [row(ZIP)], []):
        let_half_an_interval_pass(acme)
        read(acme, Scripted(rows, devices))

    assert recommendation(acme).disappeared_at is None


def test_the_day_something_disappears_ends_with_nobody_exposed(acme: Tenant) -> None:
    devices = [{"id": machine(1)}]
    read(acme, Scripted([row(ZIP), row(TEAMS), row(EDGE)], devices))
    before = counted_days(acme)

    read(acme, Scripted([row(ZIP), row(TEAMS)], devices))

    assert [exposed_count for exposed_count, _total in before] == [1, 1, 1]
    assert sorted(exposed_count for exposed_count, _total in counted_days(acme)) == [0, 1, 1]


def test_a_machine_that_the_device_list_described_meanwhile_keeps_what_that_said(acme: Tenant) -> None:
    with acting_for(acme.id):
        directory = DeviceDirectory(acme.id)
    described = make_device(acme, "pc-1", machine_id=machine(1), entra_device_id="e", last_seen_at=timezone.now())

    with acting_for(acme.id):
        found = directory.ids_of({machine(1): {"id": machine(1), "computerDnsName": "pc-1"}})
        now = Device.objects.get(pk=described.pk)

    assert found == {str(described.pk)}
    assert (now.entra_device_id, now.last_seen_at) == ("e", described.last_seen_at)


def test_what_is_gone_and_comes_back_is_listed_again_and_its_devices_are_read_anew(acme: Tenant) -> None:
    devices = [{"id": machine(1)}]
    read(acme, Scripted([row(ZIP), row(TEAMS), row(EDGE)], devices))
    read(acme, Scripted([row(ZIP), row(TEAMS)], devices))
    assert recommendation(acme, EDGE).disappeared_at is not None

    read(acme, Scripted([row(ZIP), row(TEAMS), row(EDGE)], devices))

    assert recommendation(acme, EDGE).disappeared_at is None
    assert exposed(acme, EDGE) == {machine(1)}


def test_refused_rows_of_remediation_tasks_are_told(acme: Tenant) -> None:
    source = Scripted([row(ZIP)], [{"id": machine(1)}])
    source.tasks = [{"id": None}]

    assert "1 refused: remediation task 0: id is missing" in read(acme, source).words


@pytest.mark.parametrize("how", ["gone", "excepted"])
def test_what_is_back_has_no_list_of_devices_until_it_is_read_anew(acme: Tenant, how: str) -> None:
    devices = [{"id": machine(1)}]
    read(acme, Scripted([row(ZIP), row(TEAMS), row(EDGE, status="Active")], devices))
    away = [row(ZIP), row(TEAMS)] if how == "gone" else [row(ZIP), row(TEAMS), row(EDGE, status="Exception")]
    read(acme, Scripted(away, devices))
    source = Scripted([row(ZIP), row(TEAMS), row(EDGE, status="Active")], devices)
    source.exposed_devices = broken  # type: ignore[method-assign, assignment]

    read(acme, source)
    assert recommendation(acme, EDGE).exposures_read_at is None

    with acting_for(acme.id):
        Recommendation.objects.update(exposures_due_at=timezone.now())
    read(acme, Scripted([row(ZIP), row(TEAMS), row(EDGE, status="Active")], devices))
    assert recommendation(acme, EDGE).exposures_read_at is not None


def test_a_list_counts_from_when_its_reading_began(acme: Tenant) -> None:
    source = Scripted([row(ZIP)], [{"id": machine(1)}])
    asked_at = []

    def slow(_recommendation_id: str) -> Any:
        asked_at.append(timezone.now())
        return iter([[{"id": machine(1)}]])

    source.exposed_devices = slow  # type: ignore[method-assign, assignment]

    read(acme, source)

    read_at = recommendation(acme).exposures_read_at
    assert read_at is not None
    assert read_at <= asked_at[0]
