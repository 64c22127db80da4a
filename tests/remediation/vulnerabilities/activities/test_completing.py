"""Completing by hand, notes, and what IT admins are told about due dates."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connection
from django.utils import timezone

from connectors.outbound.telling import Event
from portal.access.actors import actor_of_key
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.keys import find_key
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities import due_dates
from remediation.vulnerabilities.activities.completing import change_notes, complete
from remediation.vulnerabilities.activities.progress import refresh_progress
from remediation.vulnerabilities.models import Exposure, Recommendation, RemediationActivity
from tests.factories import make_device, make_key, make_recommendation
from tests.remediation.vulnerabilities.activities.conftest import (
    ATTENTION,
    a_request,
    in_days,
    make_activity,
    reread,
)


@pytest.fixture
def activity(acme, ada, as_actor):
    """Ada's request to update 7-zip."""
    return make_activity(make_recommendation(acme, make_device(acme)), as_actor(ada), a_request(notes="First."))


def test_a_person_who_completes_it_is_shown_by_their_e_mail(activity, acme, bob, as_actor):
    with acting_for(acme.id):
        complete(activity.pk, note=" Patched by hand. ", actor=as_actor(bob))

    now = reread(activity)
    assert (now.state, now.completion, now.completed_by_label) == ("completed", "person", bob.email)
    assert (now.completed_by_id, now.completion_note) == (bob.pk, "Patched by hand.")
    with acting_for(acme.id):
        event = AuditEvent.objects.get(verb="activity.completed")
        assert (event.actor_label, event.data["before"], event.data["after"]["note"]) == (
            bob.email,
            {"state": "active"},
            "Patched by hand.",
        )
        with pytest.raises(Conflict, match=f"completed already, by {bob.email}"):
            complete(activity.pk, note="", actor=as_actor(bob))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["person", "system"])
def test_of_a_person_and_the_system_at_once_the_first_completes_it(acme, ada, as_actor, first):
    device = make_device(acme)
    found = make_recommendation(acme, device)
    activity, actor = make_activity(found, as_actor(ada)), as_actor(ada)
    with acting_for(acme.id):
        Exposure.objects.all().delete()
        Recommendation.objects.update(exposures_read_at=timezone.now())

    def the_other() -> None:
        try:
            if first == "person":
                refresh_progress(acme.id)
            else:
                with acting_for(acme.id), suppress(Conflict):
                    complete(activity.pk, note="", actor=actor)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with acting_for(acme.id):  # the other waits for this to end, and sees what it did
            complete(activity.pk, note="", actor=actor) if first == "person" else refresh_progress(acme.id)
            waiting = other.submit(the_other)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
        waiting.result(timeout=10)

    assert reread(activity).completion == first
    with acting_for(acme.id):
        assert AuditEvent.objects.filter(verb="activity.completed").count() == 1


def test_an_api_key_does_not_stand_for_a_person(activity, acme):
    key = find_key(make_key(acme, Role.ANALYST), None)
    assert key is not None
    with acting_for(acme.id), pytest.raises(Forbidden, match="Sign in as a person"):
        complete(activity.pk, note="", actor=actor_of_key(key))
    assert reread(activity).state == "active"


def test_readers_and_strangers_complete_nothing(activity, acme, globex, ren, gil, as_actor):
    with acting_for(acme.id), pytest.raises(Forbidden, match="remediation handling"):
        complete(activity.pk, note="", actor=as_actor(ren))
    with acting_for(globex.id), pytest.raises(BadRequest):
        complete(activity.pk, note="", actor=as_actor(gil))
    assert reread(activity).state == "active"


def test_attention_required_is_completed_by_hand(acme, ada, as_actor):
    activity = make_activity(make_recommendation(acme, make_device(acme)), as_actor(ada), ATTENTION)
    with acting_for(acme.id):
        complete(activity.pk, note="", actor=as_actor(ada))
    assert reread(activity).completed_by_label == ada.email


def test_what_was_made_in_defender_is_changed_in_defender(activity, acme, ada, as_actor):
    with acting_for(acme.id):
        RemediationActivity.objects.update(origin="defender")
        for change in (lambda: complete(activity.pk, note="", actor=as_actor(ada)),
                       lambda: change_notes(activity.pk, "Mine.", actor=as_actor(ada))):  # fmt: skip
            with pytest.raises(Conflict, match="made in Microsoft Defender"):
                change()


def test_notes_are_replaced_on_record_until_it_is_completed(activity, acme, ada, as_actor):
    with acting_for(acme.id):
        change_notes(activity.pk, "Second.", actor=as_actor(ada))
        change_notes(activity.pk, "Second. ", actor=as_actor(ada))
    with acting_for(acme.id):
        [event] = AuditEvent.objects.filter(verb="activity.notes_changed")
        assert event.data == {"before": {"notes": "First."}, "after": {"notes": "Second."}}
        with pytest.raises(BadRequest):
            change_notes(activity.pk, "x" * 4001, actor=as_actor(ada))
        complete(activity.pk, note="", actor=as_actor(ada))
        with pytest.raises(Conflict):
            change_notes(activity.pk, "Third.", actor=as_actor(ada))
    assert reread(activity).notes == "Second."


def test_a_tenant_that_is_switched_off_is_told_once_it_is_on_again(acme, ada, as_actor):
    activity = make_activity(make_recommendation(acme, make_device(acme)), as_actor(ada))
    with acting_for(acme.id):
        RemediationActivity.objects.update(due_on=in_days(-1))
        Tenant.objects.update(is_active=False)
    due_dates.tell_due_dates(acme.id)
    assert reread(activity).told_overdue_at is None

    with acting_for(acme.id):
        Tenant.objects.update(is_active=True)
    due_dates.tell_due_dates(acme.id)
    assert reread(activity).told_overdue_at is not None


def test_due_dates_are_told_once_each(acme, ada, as_actor, monkeypatch):
    told = []
    monkeypatch.setattr(due_dates, "tell_of", lambda activity, event, *, key: told.append((activity.due_on, event)))
    found = make_recommendation(acme, make_device(acme))
    made = {days: make_activity(found, as_actor(ada)) for days in (-1, 0, 3, 4)}
    done = make_activity(found, as_actor(ada))
    with acting_for(acme.id):
        complete(done.pk, note="", actor=as_actor(ada))
        for days, activity in made.items():
            RemediationActivity.objects.filter(pk=activity.pk).update(due_on=in_days(days))
        RemediationActivity.objects.filter(pk=done.pk).update(due_on=in_days(-1))
        assert [row.pk for row in RemediationActivity.objects.overdue()] == [made[-1].pk]
        assert {row.pk for row in RemediationActivity.objects.due_soon()} == {made[0].pk, made[3].pk}
    due_dates.tell_due_dates(acme.id)
    due_dates.tell_due_dates(acme.id)

    assert sorted(told) == [
        (in_days(-1), Event.OVERDUE),
        (in_days(0), Event.DUE_SOON),
        (in_days(3), Event.DUE_SOON),
    ]
