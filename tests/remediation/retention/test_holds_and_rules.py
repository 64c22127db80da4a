"""Legal holds keep, and take two people to lift; rules keep longer or shorter, within bounds, told before it hurts."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from connectors.outbound.models import Delivery
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden, SecondFactorNeeded
from portal.access.models import ProviderMembership, Reach, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention import purging
from remediation.retention.holds import keep_hold, lift_hold, place_hold
from remediation.retention.kinds import KINDS
from remediation.retention.models import LegalHold, RetentionRule
from remediation.retention.preview import preview
from remediation.retention.purging import purge_tenant
from remediation.retention.rules import days_kept, set_rule
from tests.factories import make_device, make_investigation, make_pending_action
from tests.remediation.retention.conftest import kept, make_activity, move_back
from tests.remediation.retention.test_purging import end_action

pytestmark = pytest.mark.django_db(transaction=True)
AsActor = Callable[[User], Actor]


@pytest.fixture
def pat(db: None) -> User:
    """A second provider admin over all tenants."""
    user = User.objects.create_user("pat@provider.example", name="Pat")
    ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
    return user


def verbs(tenant: Tenant) -> list[str]:
    with acting_for(tenant.id):
        found = AuditEvent.objects.exclude(verb="audit.chain_started").order_by("seq")
        return list(found.values_list("verb", flat=True))


def test_a_hold_over_a_tenant_keeps_all_of_it_until_two_people_lift_it(
    acme: Tenant, globex: Tenant, pia: User, pat: User, tess: User, as_actor: AsActor
) -> None:
    activity = make_activity(acme)
    make_activity(globex)
    with pytest.raises(Forbidden):
        place_hold(acme.id, actor=as_actor(tess), reason="Mine.")
    hold = place_hold(acme.id, actor=as_actor(pia), reason="Litigation 7/26.")
    with pytest.raises(Conflict):
        place_hold(acme.id, actor=as_actor(pat), reason="Again.")
    assert purge_tenant(acme.id)
    assert purge_tenant(globex.id)
    assert (kept(acme), kept(globex)) == ({activity.pk}, set())
    with acting_for(acme.id):
        [first, *_rest] = preview(acme.id)
        assert (first.due, first.held) == (0, 1)
        lift_hold(hold.pk, actor=as_actor(pia), reason="Settled.")
        with pytest.raises(Forbidden, match="somebody else"):
            lift_hold(hold.pk, actor=as_actor(pia), reason="Settled.")
        keep_hold(hold.pk, actor=as_actor(pat), reason="Not yet.")
        with pytest.raises(Conflict):
            keep_hold(hold.pk, actor=as_actor(pat), reason="Not yet.")
        lift_hold(hold.pk, actor=as_actor(pat), reason="Settled now.")
    assert purge_tenant(acme.id)
    assert kept(acme) == {activity.pk}
    with acting_for(acme.id):
        assert lift_hold(hold.pk, actor=as_actor(pia), reason="Yes.").lifted_by_id == pia.pk
        with pytest.raises(Conflict):
            lift_hold(hold.pk, actor=as_actor(pia), reason="Yes.")
    assert purge_tenant(acme.id)
    assert kept(acme) == set()
    assert verbs(acme) == [
        "legal_hold.placed", "legal_hold.lift_asked", "legal_hold.kept", "legal_hold.lift_asked", "legal_hold.lifted",
        "retention.purged",
    ]  # fmt: skip


def test_a_hold_over_one_row_keeps_that_row(acme: Tenant, globex: Tenant, pia: User, as_actor: AsActor) -> None:
    held, free, foreign = make_activity(acme), make_activity(acme), make_activity(globex)
    for unknown in (foreign.pk, uuid7(), None):
        with pytest.raises(BadRequest):
            place_hold(acme.id, actor=as_actor(pia), reason="Case.", covers="activity", object_id=unknown)
    place_hold(acme.id, actor=as_actor(pia), reason="Case.", covers="activity", object_id=held.pk)
    assert purge_tenant(acme.id)
    assert kept(acme) == {held.pk}
    assert free.pk not in kept(acme)


def test_a_hold_over_an_activity_keeps_what_was_told_of_it(acme: Tenant, pia: User, as_actor: AsActor) -> None:
    held, free = make_activity(acme), make_activity(acme)
    place_hold(acme.id, actor=as_actor(pia), reason="Case.", covers="activity", object_id=held.pk)
    with acting_for(acme.id):
        for about in (held, free):
            Delivery.objects.create(
                tenant=acme, channel_name="IT", kind="email", event="overdue", key=str(about.pk), subject="Overdue",
                object_type="remediation activity", object_id=about.pk, state="delivered",
                delivered_at=timezone.now() - timedelta(days=181),
            )  # fmt: skip

    assert purge_tenant(acme.id)

    with acting_for(acme.id):
        assert [row.object_id for row in Delivery.objects.all()] == [held.pk]


def test_a_hold_over_an_investigation_keeps_its_actions(
    acme: Tenant, pia: User, as_actor: AsActor, receipts_file: object
) -> None:
    case = make_investigation(acme)
    ours = make_pending_action(acme, make_device(acme, "pc-1"), investigation_id=case.pk)
    other, single = (make_pending_action(acme, make_device(acme, f"pc-{n}")) for n in (2, 3))
    for action in (ours, other, single):
        end_action(action, 401)
    place_hold(acme.id, actor=as_actor(pia), reason="Case.", covers="investigation", object_id=case.pk)
    place_hold(acme.id, actor=as_actor(pia), reason="Case.", covers="action", object_id=single.pk)
    assert purge_tenant(acme.id)
    with acting_for(acme.id):
        assert set(type(ours).objects.values_list("pk", flat=True)) == {ours.pk, single.pk}


def test_a_hold_waits_for_the_batch_that_is_under_way_and_no_later_one_begins(
    acme: Tenant, pia: User, as_actor: AsActor
) -> None:
    make_activity(acme)
    actor, placed = as_actor(pia), threading.Event()

    def place() -> None:
        try:
            place_hold(acme.id, actor=actor, reason="Case.")
            placed.set()
        finally:
            connection.close()

    with acting_for(acme.id):
        purging.purge_batch(acme.id, KINDS["remediation_activities"], uuid7(), after=None, size=10)
        thread = threading.Thread(target=place)
        thread.start()
        assert not placed.wait(0.3)
    thread.join()
    late = make_activity(acme)
    assert placed.is_set()
    assert purge_tenant(acme.id)
    assert kept(acme) == {late.pk}


def test_a_rule_keeps_longer_at_once_and_shorter_only_once_its_rows_are_confirmed(
    acme: Tenant, globex: Tenant, pia: User, tess: User, as_actor: AsActor
) -> None:
    actor, name = as_actor(pia), "remediation_activities"
    old, middle = make_activity(acme, days_ago=181), make_activity(acme, days_ago=60)
    with pytest.raises(Forbidden):
        set_rule(acme.id, name, 365, actor=as_actor(tess), reason="Mine.")
    assert set_rule(acme.id, name, 365, actor=actor, reason="Contract.") == 365
    assert purge_tenant(acme.id)
    assert kept(acme) == {old.pk, middle.pk}

    with pytest.raises(Conflict, match="makes 2 rows leave at once"):
        set_rule(acme.id, name, 30, actor=actor, reason="Less data.")
    with pytest.raises(Conflict, match="makes 2 rows"):
        set_rule(acme.id, name, 30, actor=actor, reason="Less data.", confirmed_rows=1)
    stale = Actor(actor.id, actor.label, actor.capabilities)
    with pytest.raises(SecondFactorNeeded):
        set_rule(acme.id, name, 30, actor=stale, reason="Less data.", confirmed_rows=2)
    assert kept(acme) == {old.pk, middle.pk}
    assert set_rule(acme.id, name, 30, actor=actor, reason="Less data.", confirmed_rows=2) == 30
    move_back(acme, middle.pk, 31)
    assert purge_tenant(acme.id)
    assert kept(acme) == set()
    assert set_rule(acme.id, name, None, actor=actor, reason="As others.") == 180
    with acting_for(acme.id):
        assert not RetentionRule.objects.exists()
        event = AuditEvent.objects.filter(verb="retention.rule_changed").order_by("seq")[1]
        assert (event.data["before"]["days"], event.data["after"]["days"]) == (365, 30)
    with acting_for(globex.id):
        assert days_kept(globex.id)[name] == 180


@pytest.mark.parametrize(
    ("name", "days"),
    [("remediation_activities", 29), ("remediation_activities", 3651), ("actions", 179), ("idempotent_answers", 30),
     ("history", 30)],
)  # fmt: skip
def test_rules_have_bounds(acme: Tenant, pia: User, as_actor: AsActor, name: str, days: int) -> None:
    with pytest.raises(BadRequest):
        set_rule(acme.id, name, days, actor=as_actor(pia), reason="Why not.", confirmed_rows=0)
    with acting_for(acme.id):
        assert not RetentionRule.objects.exists()
        assert not LegalHold.objects.exists()
