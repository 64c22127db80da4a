"""What may be asked for, of whom, and what one request leaves behind."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.api.fields import NOT_YOURS
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from remediation.vulnerabilities.activities.completing import complete
from remediation.vulnerabilities.activities.requesting import (
    Offer,
    UnfitRequest,
    offer_for,
    request_campaign,
    request_remediation,
)
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity, SecurityTask
from remediation.vulnerabilities.states import Mitigation, RemediationOption
from tests.factories import connect_intune, make_device, make_group, make_recommendation
from tests.remediation.vulnerabilities.activities.conftest import (
    ATTENTION,
    SEVEN_ZIP,
    a_request,
    in_days,
)

UPDATE, UNINSTALL = RemediationOption.SOFTWARE_UPDATE, RemediationOption.SOFTWARE_UNINSTALL
CHANGE, LOOK = RemediationOption.CONFIGURATION_CHANGE, RemediationOption.ATTENTION_REQUIRED
ANY = tuple(Mitigation)


@pytest.fixture
def seven_zip(acme):
    """Acme's recommendation to update 7-zip, with two devices exposed."""
    return make_recommendation(acme, make_device(acme, "pc-1"), make_device(acme, "pc-2"))


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({}, Offer((UPDATE, UNINSTALL, LOOK), ANY, ticket=False)),
        ({"vendor": "microsoft"}, Offer((UPDATE, UNINSTALL, LOOK), (Mitigation.NONE,), ticket=False)),
        ({"category": "OS"}, Offer((UPDATE, UNINSTALL, LOOK), (Mitigation.NONE,), ticket=False)),
        ({"recommendation_id": "sca-_-scid-2000"}, Offer((CHANGE, LOOK), (Mitigation.NONE,), ticket=False)),
        ({"remediation_type": "ConfigurationChange"}, Offer((CHANGE, LOOK), (Mitigation.NONE,), ticket=False)),
        ({"disappeared_at": timezone.now()}, Offer((), (Mitigation.NONE,), ticket=False)),
    ],
)
def test_what_is_offered_follows_the_kind_of_recommendation(fields, offered, acme):
    found = make_recommendation(acme, **fields)
    with acting_for(acme.id):
        assert offer_for(found) == offered


def test_a_ticket_is_offered_where_intune_is_connected(acme, globex):
    connect_intune(acme)
    ours, theirs = make_recommendation(acme), make_recommendation(globex)
    with viewing([acme.id, globex.id]):
        assert (offer_for(ours).ticket, offer_for(theirs).ticket) == (True, False)


def test_a_request_keeps_the_devices_exposed_and_changes_none_of_them(seven_zip, acme, ada, as_actor):
    make_device(acme, "not exposed")
    with acting_for(acme.id):
        made = request_remediation(seven_zip.pk, a_request(notes=" See CHG-884. "), group_ids=[], actor=as_actor(ada))
        made.refresh_from_db()
        names = list(ActivityDevice.objects.order_by("device__name").values_list("device__name", "standing"))

    assert names == [("pc-1", "exposed"), ("pc-2", "exposed")]
    assert (made.devices_at_start, made.devices_exposed, made.devices_fixed, made.devices_gone) == (2, 2, 0, 0)
    assert (made.title, made.related_component, made.notes) == ("Update 7-zip", "7-zip", "See CHG-884.")
    assert (made.requested_by_label, made.state, made.tenants_asked) == (ada.email, "active", 1)
    with acting_for(acme.id):
        [event] = AuditEvent.objects.filter(object_id=made.pk)
        assert (event.verb, event.actor_label) == ("activity.requested", ada.email)
        assert event.data["after"]["devices_at_start"] == 2
        assert not SecurityTask.objects.exists()


def test_only_devices_of_the_chosen_groups_are_asked_for(acme, ada, as_actor):
    servers, kiosks = make_group(acme, "Servers"), make_group(acme, "Kiosks")
    server = make_device(acme, "srv-1", group=servers)
    found = make_recommendation(acme, server, make_device(acme, "pc-1"))
    with acting_for(acme.id):
        made = request_remediation(found.pk, a_request(), group_ids=[servers.pk], actor=as_actor(ada))
        assert list(made.devices.values_list("device_id", flat=True)) == [server.pk]
        assert (made.devices_at_start, made.group_names) == (1, ["Servers"])
        with pytest.raises(Conflict, match="No device of these groups is exposed"):
            request_remediation(found.pk, a_request(), group_ids=[kiosks.pk], actor=as_actor(ada))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (a_request(due_on=None), "due_on"),
        (a_request(due_on=in_days(-1)), "due_on"),
        (a_request(due_on=in_days(366)), "due_on"),
        (a_request(option=LOOK), "due_on"),
        (a_request(option=LOOK, due_on=None, opens_ticket=True), "open_ticket"),
        (a_request(option=LOOK, due_on=None, mitigation=Mitigation.BLOCK), "mitigation"),
        (a_request(option=CHANGE), "option"),
        (a_request(opens_ticket=True), "open_ticket"),
        (a_request(notes="x" * 4001), "notes"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(request_, field, seven_zip, acme, ada, as_actor):
    with acting_for(acme.id):
        with pytest.raises(UnfitRequest) as refusal:
            request_remediation(seven_zip.pk, request_, group_ids=[], actor=as_actor(ada))
        assert refusal.value.field == field
        assert not RemediationActivity.objects.exists()


@pytest.mark.parametrize("due_in", [0, 365])
def test_the_first_and_the_last_day_may_be_chosen(due_in, seven_zip, acme, ada, as_actor):
    with acting_for(acme.id):
        made = request_remediation(seven_zip.pk, a_request(due_on=in_days(due_in)), group_ids=[], actor=as_actor(ada))
    assert made.due_on == in_days(due_in)


def test_microsofts_own_software_is_not_blocked(acme, ada, as_actor):
    found = make_recommendation(acme, make_device(acme), vendor="Microsoft")
    with acting_for(acme.id), pytest.raises(UnfitRequest, match="cannot be blocked"):
        request_remediation(found.pk, a_request(mitigation=Mitigation.BLOCK), group_ids=[], actor=as_actor(ada))


def test_ids_of_another_tenant_are_nobodys(seven_zip, acme, globex, ada, as_actor):
    theirs, foreign = make_group(globex), make_recommendation(globex, make_device(globex))
    with acting_for(acme.id):
        for recommendation, groups in ((seven_zip.pk, [theirs.pk]), (seven_zip.pk, [uuid7()]), (foreign.pk, [])):
            with pytest.raises(BadRequest) as refusal:
                request_remediation(recommendation, a_request(), group_ids=groups, actor=as_actor(ada))
            assert str(refusal.value) == str(NOT_YOURS)


def test_even_who_sees_both_tenants_cannot_mix_them(seven_zip, acme, globex, pia, as_actor):
    theirs = make_group(globex)
    with viewing([acme.id, globex.id]), pytest.raises(BadRequest, match="not one of yours"):
        request_remediation(seven_zip.pk, a_request(), group_ids=[theirs.pk], actor=as_actor(pia))


def test_a_recommendation_that_disappeared_says_so(acme, ada, as_actor):
    found = make_recommendation(acme, make_device(acme), disappeared_at=timezone.now())
    with acting_for(acme.id), pytest.raises(Conflict, match="no longer lists the recommendation “Update 7-zip”"):
        request_remediation(found.pk, a_request(), group_ids=[], actor=as_actor(ada))


def test_where_no_device_is_exposed_nothing_is_requested(acme, ada, as_actor):
    healed, unread = (
        make_recommendation(acme),
        make_recommendation(acme, recommendation_id="va-_-x-_-y", exposures_read_at=None),
    )
    with acting_for(acme.id):
        with pytest.raises(Conflict, match="any more"):
            request_remediation(healed.pk, ATTENTION, group_ids=[], actor=as_actor(ada))
        with pytest.raises(Conflict, match="not been read yet"):
            request_remediation(unread.pk, a_request(), group_ids=[], actor=as_actor(ada))


def test_a_reader_may_not_ask(seven_zip, acme, ren, as_actor):
    with acting_for(acme.id):
        with pytest.raises(Forbidden):
            request_remediation(seven_zip.pk, a_request(), group_ids=[], actor=as_actor(ren))
        assert not RemediationActivity.objects.exists()


def test_a_ticket_is_put_on_its_way_where_intune_is_connected(seven_zip, acme, ada, as_actor):
    connect_intune(acme)
    with acting_for(acme.id):
        made = request_remediation(seven_zip.pk, a_request(opens_ticket=True), group_ids=[], actor=as_actor(ada))
        assert [task.activity_id for task in SecurityTask.objects.all()] == [made.pk]
        assert made.wants_ticket


def test_a_request_sent_twice_makes_one_activity(seven_zip, acme, ada, pia, as_actor):
    with acting_for(acme.id):
        made = request_remediation(seven_zip.pk, a_request(), group_ids=[], actor=as_actor(ada))
        with pytest.raises(Conflict, match=f"requested just like this by {ada.email} at .* still open"):
            request_remediation(seven_zip.pk, a_request(), group_ids=[], actor=as_actor(ada))
        [answer] = request_campaign(SEVEN_ZIP, [acme.id], a_request(), actor=as_actor(pia))
        assert "still open" in answer.reason
        request_remediation(seven_zip.pk, a_request(due_on=in_days(9)), group_ids=[], actor=as_actor(ada))
        complete(made.pk, note="Done by hand.", actor=as_actor(ada))
        request_remediation(seven_zip.pk, a_request(), group_ids=[], actor=as_actor(ada))


def test_after_a_rejected_ticket_the_same_may_be_asked_for_again(seven_zip, acme, ada, as_actor):
    connect_intune(acme)
    with acting_for(acme.id):
        request_remediation(seven_zip.pk, a_request(opens_ticket=True), group_ids=[], actor=as_actor(ada))
        with pytest.raises(Conflict):
            request_remediation(seven_zip.pk, a_request(opens_ticket=True), group_ids=[], actor=as_actor(ada))
        SecurityTask.objects.update(status="rejected")
        request_remediation(seven_zip.pk, a_request(opens_ticket=True), group_ids=[], actor=as_actor(ada))


@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_activity(seven_zip, acme, ada, as_actor):
    actor = as_actor(ada)

    def click() -> bool:
        try:
            with acting_for(acme.id):
                request_remediation(seven_zip.pk, a_request(), group_ids=[], actor=actor)
        except Conflict:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: click(), range(4))) == [False, False, False, True]
    with acting_for(acme.id):
        assert RemediationActivity.objects.count() == 1


def test_a_campaign_makes_one_activity_a_tenant_and_tells_where_not(acme, globex, pia, as_actor, seven_zip):
    make_recommendation(globex, make_device(globex), disappeared_at=timezone.now())
    nobodys = uuid7()
    with viewing([acme.id, globex.id]):
        answers = request_campaign(SEVEN_ZIP, [acme.id, globex.id, nobodys], a_request(), actor=as_actor(pia))
        [made] = RemediationActivity.objects.all()

    by_tenant = {answer.tenant_id: answer for answer in answers}
    assert by_tenant[acme.id].activity == made
    assert (made.devices_at_start, made.tenants_asked) == (2, 3)
    assert by_tenant[globex.id].activity is None
    assert "no longer lists" in by_tenant[globex.id].reason
    assert (by_tenant[nobodys].reason, by_tenant[nobodys].is_found) == (str(NOT_YOURS), False)


def test_a_campaign_goes_only_where_one_may_ask(acme, globex, ada, as_actor, seven_zip):
    make_recommendation(globex, make_device(globex))
    with viewing([acme.id, globex.id]):
        answers = request_campaign(SEVEN_ZIP, [acme.id, globex.id], a_request(), actor=as_actor(ada))

    assert [bool(answer.activity) for answer in sorted(answers, key=lambda answer: answer.tenant_id != acme.id)] == [
        True,
        False,
    ]
    assert "remediation handling" in next(answer.reason for answer in answers if answer.tenant_id == globex.id)


def test_a_tenant_that_is_switched_off_gets_no_request(acme, globex, pia, as_actor, seven_zip):
    make_recommendation(globex, make_device(globex))
    with acting_for(globex.id):
        Tenant.objects.filter(pk=globex.id).update(is_active=False)
    with viewing([acme.id, globex.id]):
        answers = request_campaign(SEVEN_ZIP, [acme.id, globex.id], a_request(), actor=as_actor(pia))

    assert {answer.tenant_id: bool(answer.activity) for answer in answers} == {acme.id: True, globex.id: False}


def test_a_campaign_opens_tickets_only_where_intune_is_connected(acme, globex, pia, as_actor, seven_zip):
    connect_intune(acme)
    make_recommendation(globex, make_device(globex))
    with viewing([acme.id, globex.id]):
        answers = request_campaign(SEVEN_ZIP, [acme.id, globex.id], a_request(opens_ticket=True), actor=as_actor(pia))
        assert SecurityTask.objects.count() == RemediationActivity.objects.count() == 1

    assert next(answer.reason for answer in answers if answer.tenant_id == globex.id).startswith(
        "The Microsoft Intune connection of this tenant is off"
    )


def test_a_campaigns_statements_do_not_grow_with_its_devices(acme, globex, pia, as_actor, seven_zip):
    make_recommendation(globex, *(make_device(globex, f"pc-{place}") for place in range(5)))
    with viewing([acme.id, globex.id]), CaptureQueriesContext(connection) as queries:
        request_campaign(SEVEN_ZIP, [acme.id, globex.id], a_request(), actor=as_actor(pia))

    assert sum("vulnerabilities_" in query["sql"] for query in queries) == 5
