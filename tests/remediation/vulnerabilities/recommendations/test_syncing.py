"""Reading recommendations over HTTP: by difference, whole lists only, the rest goes on, bad input changes nothing."""

import logging
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from uuid_utils.compat import uuid7

from connectors.health import note_working
from connectors.models import Connection, Health
from investigations.models import Device
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import Exposure, Recommendation, RemediationActivity
from remediation.vulnerabilities.recommendations import lists
from remediation.vulnerabilities.recommendations.syncing import sync_recommendations
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.recommendations.conftest import (
    EDGE,
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
