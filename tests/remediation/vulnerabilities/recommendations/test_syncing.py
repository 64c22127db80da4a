"""Reading recommendations over HTTP: by difference, whole lists only, the rest goes on, bad input changes nothing."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from uuid_utils.compat import uuid7

from connectors.health import note_working
from connectors.models import Connection, Health
from connectors.protocol import OutcomeUnknown
from investigations.models import Device
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import Exposure, Recommendation, RemediationActivity, VulnerabilitySync
from remediation.vulnerabilities.recommendations import lists, syncing
from remediation.vulnerabilities.recommendations.exposures import DeviceDirectory
from remediation.vulnerabilities.recommendations.syncing import sync_recommendations
from tests.factories import make_device
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.recommendations.conftest import (
    EDGE,
    TEAMS,
    ZIP,
    change,
    counted_days,
    exposed,
    machine,
    recommendation,
    seed,
    sync,
    sync_row,
    weak,
)

pytestmark = pytest.mark.django_db(transaction=True)


def asked(caplog: pytest.LogCaptureFixture, part: str) -> int:
    return sum(f"/{part} for tenant" in message and "action -: HTTP" in message for message in caplog.messages)


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    """Have every call in the log."""
    caplog.set_level(logging.INFO, "connectors.microsoft.http")


def test_recommendations_come_with_their_devices_cves_and_the_day(connected: Tenant, vendor: Vendor) -> None:
    seed(vendor, connected, weak(ZIP, [0, 1, 2], publicExploit=True), weak(EDGE, [3]))

    assert sync(connected)

    found = recommendation(connected)
    assert (found.exposed_count, found.weaknesses, found.has_public_exploit) == (3, 1, True)
    assert found.cve_ids == ["CVE-2024-11477"]
    assert exposed(connected) == {machine(0), machine(1), machine(2)}
    assert exposed(connected, EDGE) == {machine(3)}
    assert sorted(exposed_count for exposed_count, _total in counted_days(connected)) == [1, 3]
    with acting_for(connected.id):
        assert Device.objects.get(machine_id=machine(0)).name == "pc-0"
    row = sync_row(connected)
    assert (row.detail, row.next_sync_at > timezone.now() + timedelta(minutes=50)) == ("", True)


def test_a_second_sync_reads_only_the_lists_whose_counts_changed_and_touches_only_what_differs(
    connected: Tenant, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    seed(vendor, connected, weak(ZIP, [0, 1, 2]), weak(EDGE, [3]))
    sync(connected)
    with acting_for(connected.id):
        kept = Exposure.objects.get(device__machine_id=machine(2)).pk
    change(vendor, connected, "fix", ZIP, [0, 1])

    assert sync(connected)

    assert exposed(connected) == {machine(2)}
    with acting_for(connected.id):
        assert Exposure.objects.get(device__machine_id=machine(2)).pk == kept
    assert (asked(caplog, "recommendations"), asked(caplog, "machineReferences")) == (2, 2 + 1)
    assert sorted(counted_days(connected))[0][0] == 1


def test_a_sync_that_is_not_due_or_under_way_elsewhere_does_nothing(
    connected: Tenant, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    seed(vendor, connected, weak(ZIP, [0]))
    sync(connected)

    assert not sync_recommendations(connected.id)

    assert asked(caplog, "recommendations") == 1


def test_a_list_of_devices_that_breaks_off_takes_nobody_away(connected: Tenant, vendor: Vendor) -> None:
    seed(vendor, connected, weak(ZIP, [0, 1, 2]), weak(EDGE, [3]))
    sync(connected)
    change(vendor, connected, "fix", ZIP, [0])
    change(vendor, connected, "fix", EDGE, [3])
    vendor.fault("server_error", method="GET", path=f"/api/recommendations/{ZIP}/machineReferences", count=1)

    sync(connected)

    assert exposed(connected) == {machine(0), machine(1), machine(2)}
    assert exposed(connected, EDGE) == set()
    row = sync_row(connected)
    assert "1 not read" in row.detail
    assert ZIP in row.detail


def test_what_the_quota_leaves_is_read_by_the_next_sync_soon(
    connected: Tenant, vendor: Vendor, settings: Settings
) -> None:
    seed(vendor, connected, *(weak(f"va-_-v-_-p{number}", [number]) for number in range(5)))
    settings.MICROSOFT_QUOTA_PERCENT = 3

    assert not sync(connected)

    with acting_for(connected.id):
        assert Recommendation.objects.exclude(exposures_read_at=None).count() == 3
        assert Exposure.objects.count() == 3
    row = sync_row(connected)
    assert "left for the next sync" in row.detail
    assert row.next_sync_at < timezone.now() + timedelta(seconds=70)

    settings.MICROSOFT_QUOTA_PERCENT = 1_000_000
    assert sync(connected)
    with acting_for(connected.id):
        assert Exposure.objects.count() == 5
    assert sync_row(connected).detail == ""


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


def test_five_failures_in_a_row_leave_the_rest(
    connected: Tenant, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    seed(vendor, connected, *(weak(f"va-_-v-_-p{number}", [0]) for number in range(8)))
    vendor.fault("server_error", method="GET", path="/machineReferences")

    assert not sync(connected)

    with acting_for(connected.id):
        assert not Exposure.objects.exists()
    assert asked(caplog, "machineReferences") <= lists.MOST_FAILURES + 1
    assert "4 lists of devices or CVEs are left" in sync_row(connected).detail


def test_a_refused_reading_is_tried_again_minutes_later_not_at_every_sweep(connected: Tenant, vendor: Vendor) -> None:
    vendor.seed(connected, withheld_roles=["SecurityRecommendation.Read.All"])

    assert not sync(connected)

    row = sync_row(connected)
    assert "403" in row.detail
    assert row.next_sync_at > timezone.now() + timedelta(minutes=4)


def test_lists_that_are_followed_and_cannot_be_read_do_not_hold_up_the_others(
    connected: Tenant, vendor: Vendor
) -> None:
    names = [f"va-_-v-_-p{number}" for number in range(lists.MOST_FAILURES)]
    seed(vendor, connected, *(weak(name, [0]) for name in names))
    sync(connected)
    with acting_for(connected.id):
        for found in Recommendation.objects.all():
            RemediationActivity.objects.create(
                tenant=connected, recommendation=found, campaign=uuid7(), title=found.name,
                option="software_update", priority="high",
            )  # fmt: skip
        Recommendation.objects.update(exposures_read_at=timezone.now() - timedelta(hours=1))
    seed(vendor, connected, *(weak(name, [0]) for name in names), weak(ZIP, [1]))
    for name in names:
        vendor.fault("server_error", method="GET", path=f"/api/recommendations/{name}/machineReferences")

    for _again in range(2):
        sync(connected)

    assert exposed(connected) == {machine(1)}


def test_trouble_is_told_until_a_sync_ends_well_and_leaves_the_connections_health_alone(
    connected: Tenant, vendor: Vendor
) -> None:
    seed(vendor, connected, weak(ZIP, [0]))
    with acting_for(connected.id):
        Connection.objects.update(health=Health.REFUSED, health_detail="Alerts cannot be read.")
    vendor.fault("server_error", method="GET", path="/api/recommendations", count=1)

    sync(connected)
    note_working(connected.id)  # the alerts are read every minute

    assert "HTTP 503" in sync_row(connected).detail
    with acting_for(connected.id):
        Connection.objects.update(health=Health.REFUSED)
    sync(connected)
    assert sync_row(connected).detail == ""
    with acting_for(connected.id):
        assert Connection.objects.get().health == Health.REFUSED


def test_a_secret_that_cannot_be_read_is_told_and_not_tried_at_every_sweep(
    connected: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_row: Connection) -> None:
        raise SecretUnreadable("The secret was sealed with another key.")

    monkeypatch.setattr(Connection, "as_settings", unreadable)

    assert not sync_recommendations(connected.id)

    assert "another key" in sync_row(connected).detail
    assert sync_row(connected).next_sync_at > timezone.now() + timedelta(minutes=50)


def test_a_tenant_that_was_switched_off_is_not_read(connected: Tenant, vendor: Vendor) -> None:
    seed(vendor, connected, weak(ZIP, [0]))
    with acting_for(connected.id):
        Tenant.objects.update(is_active=False)

    assert not sync(connected)

    assert exposed(connected) == set()


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
