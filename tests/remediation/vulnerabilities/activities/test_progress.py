"""How activities follow their devices: fixed, gone, done, exposed again, and the burn-down."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.outbound.telling import Event, Notice
from portal.audit.models import AuditEvent
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities import telling
from remediation.vulnerabilities.activities.completing import complete
from remediation.vulnerabilities.activities.progress import refresh_progress
from remediation.vulnerabilities.intune.asking import NO_ENTRA_ID
from remediation.vulnerabilities.models import ActivityDevice, BurnDownDay, Recommendation, RemediationActivity
from tests.factories import make_device, make_recommendation
from tests.remediation.vulnerabilities.activities.conftest import (
    ATTENTION,
    in_days,
    make_activity,
    read_devices,
    reread,
)


@pytest.fixture
def told(monkeypatch) -> list[tuple[Event, str]]:
    """What IT admins would be told: event and key."""
    written: list[tuple[Event, str]] = []

    def tell(tenant_id: Any, notice: Notice, *, key: str) -> int:
        written.append((notice.event, key))
        return 1

    monkeypatch.setattr(telling, "tell", tell)
    return written


@pytest.fixture
def pcs(acme):
    """Three devices of Acme."""
    return [make_device(acme, f"pc-{place}", last_seen_at=timezone.now() - timedelta(days=2)) for place in range(3)]


@pytest.fixture
def seven_zip(acme, pcs):
    """The recommendation they are exposed to."""
    return make_recommendation(acme, *pcs)


@pytest.fixture
def activity(seven_zip, ada, as_actor):
    """Ada's request to update it on all three."""
    return make_activity(seven_zip, as_actor(ada))


def counts(activity):
    """Fixed, exposed and gone, as the activity says."""
    now = reread(activity)
    return now.devices_fixed, now.devices_exposed, now.devices_gone


def standings(activity):
    """How each device stands, by name."""
    with acting_for(activity.tenant_id):
        return dict(
            ActivityDevice.objects.filter(activity=activity)
            .order_by("device__name")
            .values_list("device__name", "standing")
        )


def test_a_device_that_was_seen_is_fixed_and_one_that_was_not_is_gone(activity, seven_zip, pcs):
    read_devices(seven_zip, pcs[0], seen=(pcs[0], pcs[1]))

    assert standings(activity) == {"pc-0": "exposed", "pc-1": "fixed", "pc-2": "gone"}
    assert counts(activity) == (1, 1, 1)
    assert reread(activity).percent_done == 66
    assert reread(activity).state == "active"


def test_a_device_that_comes_back_is_fixed_or_exposed_as_it_is_found(activity, seven_zip, pcs):
    read_devices(seven_zip, pcs[0])
    assert counts(activity) == (0, 1, 2)

    read_devices(seven_zip, pcs[0], pcs[2], seen=(pcs[1],))

    assert standings(activity) == {"pc-0": "exposed", "pc-1": "fixed", "pc-2": "exposed"}


def test_a_device_not_seen_for_thirty_days_is_gone(activity, seven_zip, pcs, acme):
    long_ago = timezone.now() - timedelta(days=31)
    with acting_for(acme.id):
        RemediationActivity.objects.update(requested_at=long_ago - timedelta(days=9))
        type(pcs[1]).objects.filter(pk=pcs[1].pk).update(last_seen_at=long_ago)
    read_devices(seven_zip, pcs[0], seen=(pcs[0],))

    assert standings(activity)["pc-1"] == "gone"


def test_a_device_onboarded_anew_is_exposed_as_long_as_its_new_self_is(activity, seven_zip, pcs, acme):
    with acting_for(acme.id):
        type(pcs[0]).objects.filter(pk=pcs[0].pk).update(entra_device_id="5B1F2C1E-77AA-4B0E-9A51-0D6C0F3B9E21")
        for nobody in pcs[1:]:
            type(nobody).objects.filter(pk=nobody.pk).update(entra_device_id=NO_ENTRA_ID)
    anew = make_device(acme, "pc-0", entra_device_id="5b1f2c1e-77aa-4b0e-9a51-0d6c0f3b9e21")
    other = make_device(acme, "pc-9", entra_device_id=NO_ENTRA_ID)

    read_devices(seven_zip, anew, other, seen=tuple(pcs[1:]))
    assert (counts(activity), reread(activity).state) == ((2, 1, 0), "active")

    read_devices(seven_zip, other, seen=(pcs[0],))
    assert (counts(activity), reread(activity).completion) == ((3, 0, 0), "system")


def test_what_was_seen_fixed_stays_fixed_in_a_drawer(activity, seven_zip, pcs, acme):
    read_devices(seven_zip, pcs[0], seen=(pcs[1],))
    with acting_for(acme.id):
        type(pcs[1]).objects.filter(pk=pcs[1].pk).update(last_seen_at=timezone.now() - timedelta(days=60))
    read_devices(seven_zip, pcs[0])

    assert standings(activity)["pc-1"] == "fixed"


def test_no_device_left_exposed_is_system_confirmation(activity, seven_zip, pcs, acme, told):
    read_devices(seven_zip, seen=tuple(pcs))

    now = reread(activity)
    assert (now.state, now.completion, now.completed_by_label) == ("completed", "system", "System confirmation")
    assert now.completed_by_id is None
    assert (counts(activity), now.percent_done) == ((3, 0, 0), 100)
    with acting_for(acme.id):
        event = AuditEvent.objects.get(verb="activity.completed")
        assert (event.actor_label, event.data["after"]["devices_fixed"]) == ("Automation", 3)
    assert told == [(Event.REMEDIATION_COMPLETED, f"remediation_completed:{activity.pk}")]


def test_devices_read_before_the_request_complete_nothing(activity, seven_zip, pcs, acme):
    with acting_for(acme.id):
        seven_zip.exposures.all().delete()
    refresh_progress(acme.id)

    assert counts(activity) == (0, 3, 0)
    assert reread(activity).state == "active"


def test_a_recommendation_that_has_been_gone_for_a_day_leaves_nobody_exposed(activity, seven_zip, pcs, acme):
    with acting_for(acme.id):
        type(pcs[0]).objects.update(last_seen_at=timezone.now())
        gone = {"exposures_read_at": timezone.now(), "disappeared_at": timezone.now() - timedelta(hours=23)}
        Recommendation.objects.update(**gone)
    refresh_progress(acme.id)
    assert (counts(activity), reread(activity).state) == ((0, 3, 0), "active")

    with acting_for(acme.id):
        RemediationActivity.objects.update(requested_at=timezone.now() - timedelta(days=3))
        Recommendation.objects.update(disappeared_at=timezone.now() - timedelta(hours=25))
    refresh_progress(acme.id)
    assert counts(activity) == (3, 0, 0)
    assert reread(activity).completion == "system"


@pytest.mark.parametrize("disappeared_at", [None, timezone.now()])
def test_devices_that_an_exception_at_microsoft_may_hide_are_never_taken_for_fixed(
    activity, seven_zip, pcs, acme, disappeared_at
):
    with acting_for(acme.id):
        Recommendation.objects.update(status_at_source="Exception", disappeared_at=disappeared_at)
    read_devices(seven_zip, seen=tuple(pcs))

    assert (counts(activity), reread(activity).state) == ((0, 3, 0), "active")

    with acting_for(acme.id):
        Recommendation.objects.update(status_at_source="Active", disappeared_at=None)
    read_devices(seven_zip, pcs[0])
    assert (counts(activity), reread(activity).state) == ((2, 1, 0), "active")


def test_attention_required_is_followed_but_never_completed_and_shows_no_progress(seven_zip, pcs, ada, as_actor):
    activity = make_activity(seven_zip, as_actor(ada), ATTENTION)
    read_devices(seven_zip, seen=tuple(pcs))

    now = reread(activity)
    assert (now.state, now.percent_done, now.due_on) == ("active", None, None)
    assert standings(activity)["pc-0"] == "fixed"


def test_completed_activities_say_that_devices_are_exposed_again(activity, seven_zip, pcs, told):
    read_devices(seven_zip, seen=tuple(pcs))
    told.clear()
    read_devices(seven_zip, pcs[1])
    read_devices(seven_zip, pcs[1], pcs[2])

    now = reread(activity)
    assert (now.state, now.exposed_again_count, counts(activity)) == ("completed", 2, (3, 0, 0))
    assert now.exposed_again_at is not None
    assert [event for event, _key in told] == [Event.EXPOSED_AGAIN]  # once for one relapse

    read_devices(seven_zip)
    assert (reread(activity).exposed_again_at, reread(activity).exposed_again_count) == (None, 0)
    read_devices(seven_zip, pcs[0])
    assert len({key for _event, key in told}) == 2  # the next relapse is told again


def test_devices_that_were_exposed_when_a_person_completed_it_are_not_exposed_again(
    activity, seven_zip, pcs, ada, as_actor, acme
):
    with acting_for(acme.id):
        complete(activity.pk, note="", actor=as_actor(ada))
    read_devices(seven_zip, *pcs)

    assert (reread(activity).exposed_again_at, counts(activity)) == (None, (0, 3, 0))


def test_a_device_that_was_deleted_counts_as_gone(activity, seven_zip, pcs, acme):
    with acting_for(acme.id):
        seven_zip.exposures.filter(device=pcs[2]).delete()
        pcs[2].delete()
    read_devices(seven_zip, pcs[0], seen=(pcs[1],))

    assert counts(activity) == (1, 1, 1)


def test_the_burn_down_counts_a_tenants_day_once(activity, seven_zip, pcs, acme, globex, ada, as_actor):
    done = make_activity(seven_zip, as_actor(ada))
    make_activity(seven_zip, as_actor(ada), ATTENTION)
    with acting_for(acme.id):
        complete(done.pk, note="", actor=as_actor(ada))
        RemediationActivity.objects.filter(pk=activity.pk).update(due_on=in_days(-1))
    refresh_progress(globex.id)
    read_devices(seven_zip, pcs[0])
    read_devices(seven_zip, pcs[0], pcs[1])

    with acting_for(acme.id):
        [day] = BurnDownDay.objects.all()
    assert day.day == in_days(0)
    assert (day.open_activities, day.overdue_activities, day.completed_activities) == (2, 1, 1)
    assert day.exposed_devices == 2  # those of attention required are not counted


def test_the_burn_down_settles_the_days_before(activity, seven_zip, pcs, acme, ada, as_actor):
    done = make_activity(seven_zip, as_actor(ada))
    yesterday = datetime.combine(in_days(-1), time(23, 59), tzinfo=UTC)
    with acting_for(acme.id):
        RemediationActivity.objects.update(requested_at=yesterday - timedelta(days=9), due_on=in_days(-2))
        completed = {"state": "completed", "completion": "system", "completed_at": yesterday}
        RemediationActivity.objects.filter(pk=done.pk).update(**completed)  # after the last count of that day
        counted = {"overdue_activities": 0, "completed_activities": 0, "exposed_devices": 6}
        BurnDownDay.objects.create(tenant=acme, day=in_days(-3), open_activities=1, **counted)
    refresh_progress(acme.id)

    with acting_for(acme.id):
        days = BurnDownDay.objects.order_by("day").values_list(
            "day", "open_activities", "overdue_activities", "completed_activities", "exposed_devices"
        )
        assert list(days) == [
            (in_days(-3), 2, 0, 0, 6),
            (in_days(-2), 2, 0, 0, 6),
            (in_days(-1), 1, 1, 1, 6),
            (in_days(0), 1, 1, 0, 3),
        ]


def test_statements_do_not_grow_with_activities(seven_zip, pcs, ada, as_actor, acme):
    def statements() -> int:
        with acting_for(acme.id):
            Recommendation.objects.update(exposures_read_at=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            refresh_progress(acme.id)
        return len(queries)

    make_activity(seven_zip, as_actor(ada))
    few = statements()
    for _more in range(4):
        make_activity(seven_zip, as_actor(ada))

    assert statements() == few
