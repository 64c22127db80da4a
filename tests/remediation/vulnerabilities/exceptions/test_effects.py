"""What exceptions leave of a recommendation, by kind and scope, and which devices are new in a scope."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from django.utils.functional import Promise

from investigations.turns import take_turn
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.exceptions import telling
from remediation.vulnerabilities.exceptions.cancelling import cancel
from remediation.vulnerabilities.exceptions.effects import refresh_effects
from remediation.vulnerabilities.exceptions.preview import preview
from remediation.vulnerabilities.exceptions.requesting import Reach
from remediation.vulnerabilities.models import (
    ExceptedDevice,
    Exposure,
    Recommendation,
    RecommendationException,
)
from tests.factories import make_device, make_group
from tests.remediation.vulnerabilities.exceptions.conftest import (
    CVE,
    OTHER_CVE,
    Ask,
    Estate,
    decide,
    make_recommendation,
)

pytestmark = pytest.mark.django_db

ACTIVE, PARTIAL, FULL = "active", "partial_exception", "full_exception"


def test_a_global_exception_hides_all_and_one_by_group_its_group(estate: Estate, grant: Ask, tess: User) -> None:
    by_group = grant(estate.servers)
    assert estate.left() == (PARTIAL, 1)
    everywhere = grant()
    assert estate.left() == (FULL, 0)
    decide(estate.tenant, cancel, everywhere.pk, tess)
    assert estate.left() == (PARTIAL, 1)
    decide(estate.tenant, cancel, by_group.pk, tess)
    assert estate.left() == (ACTIVE, 3)


def test_all_groups_are_a_full_exception_until_another_group_is_made(estate: Estate, grant: Ask) -> None:
    grant(estate.servers, estate.laptops)
    assert estate.left() == (FULL, 0)

    late = make_group(estate.tenant, "Made later")
    device = make_device(estate.tenant, "late-1", group=late)
    with acting_for(estate.tenant.id):
        Exposure.objects.create(tenant=estate.tenant, recommendation=estate.browser, device=device)
    refresh_effects(estate.tenant.id)
    assert estate.left() == (PARTIAL, 1)

    grant()
    assert estate.left() == (FULL, 0)


def test_cves_cover_a_recommendation_only_when_every_one_of_them_is_excepted(estate: Estate, grant: Ask) -> None:
    grant(subject=estate.cve(CVE))
    assert estate.left() == (ACTIVE, 3)
    grant(estate.servers, subject=estate.cve(OTHER_CVE))
    assert estate.left() == (PARTIAL, 1)
    grant(estate.laptops, subject=estate.cve(OTHER_CVE))
    assert estate.left() == (FULL, 0)


def test_cves_that_were_not_all_read_cover_nothing(estate: Estate, grant: Ask) -> None:
    with acting_for(estate.tenant.id):
        Recommendation.objects.filter(pk=estate.browser.pk).update(weaknesses=3)
    for cve_id in (CVE, OTHER_CVE):
        grant(subject=estate.cve(cve_id))
    assert estate.left() == (ACTIVE, 3)


def test_what_is_told_is_said_in_the_language_of_who_is_told(ask: Ask) -> None:
    notice = telling.ending(ask())
    assert str(notice.subject) == "The exception for Update Browser is about to end"
    assert all(isinstance(text, Promise) for text in (notice.subject, *(label for label, _value in notice.facts)))


def test_devices_that_were_never_read_leave_microsofts_count(estate: Estate, grant: Ask) -> None:
    with acting_for(estate.tenant.id):
        Exposure.objects.all().delete()
        Recommendation.objects.filter(pk=estate.browser.pk).update(exposures_read_at=None)
    grant(estate.servers)
    assert estate.left() == (PARTIAL, 3)


def test_a_term_that_is_over_covers_nothing_even_before_it_is_ended(estate: Estate, grant: Ask) -> None:
    exception = grant()
    estate.age(exception, expires_on=estate.today() - timedelta(days=1))
    refresh_effects(estate.tenant.id)
    assert estate.left() == (ACTIVE, 3)


def test_another_tenants_exception_covers_nothing_here(estate: Estate, globex: Tenant, grant: Ask) -> None:
    theirs = make_recommendation(globex, "Browser", [CVE], [make_device(globex)])
    grant()
    refresh_effects(globex.id)
    with acting_for(globex.id):
        assert Recommendation.objects.get(pk=theirs.pk).exposed_after_exceptions == 1


def test_devices_that_come_later_are_flagged_told_of_once_and_leave_again(estate: Estate, grant: Ask) -> None:
    exception = grant(estate.servers)
    estate.age(exception, decided_at=timezone.now() - timedelta(days=1))
    late = make_device(estate.tenant, "srv-3", group=estate.servers)
    elsewhere = make_device(estate.tenant, "pc-2", group=estate.laptops)
    with acting_for(estate.tenant.id):
        for device in (late, elsewhere):
            Exposure.objects.create(tenant=estate.tenant, recommendation=estate.browser, device=device)
    refresh_effects(estate.tenant.id)
    refresh_effects(estate.tenant.id)

    with acting_for(estate.tenant.id):
        flagged = dict(ExceptedDevice.objects.values_list("device__name", "is_new"))
        events = AuditEvent.objects.filter(verb="exception.devices_entered")
        assert [event.data["after"] for event in events] == [{"new_device_count": 1}]
        assert RecommendationException.objects.get(pk=exception.pk).new_device_count == 1
        Exposure.objects.filter(device__in=(late, estate.devices[0])).delete()
    assert flagged == {"srv-1": False, "srv-2": False, "srv-3": True}

    refresh_effects(estate.tenant.id)
    with acting_for(estate.tenant.id):
        assert list(ExceptedDevice.objects.values_list("device__name", flat=True)) == ["srv-2"]
        assert RecommendationException.objects.get(pk=exception.pk).new_device_count == 0


def test_the_preview_promises_what_granting_then_brings(estate: Estate, grant: Ask) -> None:
    with acting_for(estate.tenant.id):
        told = preview(estate.subject(), Reach(False, frozenset([estate.servers.pk])))
    assert [(group.name, group.exposed_before, group.exposed_after) for group in told.groups] == [
        ("Servers", 2, 0),
        (estate.laptops.name, 1, 1),
    ]
    exception = grant(estate.servers)
    assert (exception.exposed_before, exception.exposed_after) == (3, told.exposed_after) == (3, estate.left()[1])


def test_the_preview_of_a_cve_leaves_out_what_is_excepted_already(estate: Estate, grant: Ask) -> None:
    device = make_device(estate.tenant, "pc-9", group=estate.laptops)
    make_recommendation(estate.tenant, "Viewer", [CVE], [device, estate.devices[0]])
    grant(estate.servers)  # the browser's servers; srv-1 still has the CVE by its viewer
    with acting_for(estate.tenant.id):
        told = preview(estate.cve(), Reach(True))
    assert {group.name: group.exposed_before for group in told.groups} == {"Servers": 1, estate.laptops.name: 2}
    assert told.exposed_after == 0


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_who_stores_recommendations_since_both_lock_their_rows(acme: Tenant) -> None:
    def refresh(tenant_id: UUID) -> None:
        try:
            refresh_effects(tenant_id)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with acting_for(acme.id):
            take_turn(acme.id)
            refreshed = other.submit(refresh, acme.id)
            with pytest.raises(TimeoutError):
                refreshed.result(timeout=0.5)
        refreshed.result(timeout=10)
