"""Four eyes: two different people who hold the right, both with a fresh second factor, and every step on record."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden, SecondFactorNeeded
from portal.access.models import TenantMembership, User
from portal.access.roles import Capability, Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.safeguards import changes, tasks
from remediation.safeguards.changes import KINDS
from remediation.safeguards.models import ApprovalRule, GuardedChange
from tests.conftest import make_member
from tests.factories import make_key

pytestmark = pytest.mark.django_db

AsActor = Callable[[User], Actor]
State = GuardedChange.State
THREE = {"action_type": "isolate_device", "approvers": 3}


@pytest.fixture
def tom(acme: Tenant) -> User:
    """A second admin of Acme."""
    return make_member("tom", acme, Role.TENANT_ADMIN)


@pytest.fixture
def asked(acme: Tenant, tess: User, as_actor: AsActor) -> GuardedChange:
    """Tess asks that isolating a device takes three approvals."""
    with acting_for(acme.id):
        return changes.ask_for_change(acme.id, "set_approval_rule", THREE, actor=as_actor(tess), reason="A hospital.")


def decide(verb: Callable[..., GuardedChange], change: GuardedChange, actor: Actor) -> GuardedChange:
    with acting_for(change.tenant_id):
        return verb(change.pk, actor=actor, reason="Talked it over.")


def state_of(change: GuardedChange) -> str:
    with acting_for(change.tenant_id):
        return GuardedChange.objects.get(pk=change.pk).state


def rule_of(tenant: Tenant) -> int | None:
    with acting_for(tenant.id):
        rule = ApprovalRule.objects.filter(action_type="isolate_device").first()
        return rule.approvers if rule else None


def stale(actor: Actor) -> Actor:
    return replace(actor, second_factor_at=datetime.now(UTC) - timedelta(minutes=6))


def test_one_asks_another_confirms_and_all_of_it_is_on_record(
    acme: Tenant, asked: GuardedChange, tess: User, tom: User, as_actor: AsActor
) -> None:
    assert rule_of(acme) is None
    decide(changes.confirm_change, asked, as_actor(tom))
    assert (state_of(asked), rule_of(acme)) == (State.MADE, 3)
    with acting_for(acme.id):
        found = list(AuditEvent.objects.exclude(actor_id=None).order_by("seq"))
        events = [(event.verb, event.actor_id, event.data["before"], event.data["after"]) for event in found]
    assert events == [
        ("guarded_change.asked", tess.pk, None, {"state": "waiting"}),
        ("guarded_change.made", tom.pk, {"state": "waiting"}, {"state": "made"}),
        ("approval_rule.changed", tom.pk, {"approvers": 1}, {"approvers": 3}),
    ]


def test_who_asked_cannot_confirm_nor_reject_only_withdraw(
    acme: Tenant, asked: GuardedChange, tess: User, tom: User, as_actor: AsActor
) -> None:
    for verb in (changes.confirm_change, changes.reject_change):
        with pytest.raises(Forbidden):
            decide(verb, asked, as_actor(tess))
    with pytest.raises(Forbidden):
        decide(changes.withdraw_change, asked, as_actor(tom))
    assert (state_of(asked), rule_of(acme)) == (State.WAITING, None)
    decide(changes.withdraw_change, asked, as_actor(tess))
    assert state_of(asked) == State.WITHDRAWN


def test_the_database_itself_takes_two_people(acme: Tenant, asked: GuardedChange, tess: User) -> None:
    with pytest.raises(IntegrityError), acting_for(acme.id):
        GuardedChange.objects.filter(pk=asked.pk).update(state=State.MADE, decided_by=tess)


def test_asking_and_confirming_take_a_fresh_second_factor_and_rejecting_none(
    acme: Tenant, asked: GuardedChange, tess: User, tom: User, as_actor: AsActor
) -> None:
    with pytest.raises(SecondFactorNeeded), acting_for(acme.id):
        changes.ask_for_change(
            acme.id, "set_approval_rule", {**THREE, "approvers": 2}, actor=stale(as_actor(tess)), reason="x"
        )
    with pytest.raises(SecondFactorNeeded):
        decide(changes.confirm_change, asked, stale(as_actor(tom)))
    assert (state_of(asked), rule_of(acme)) == (State.WAITING, None)
    decide(changes.reject_change, asked, stale(as_actor(tom)))
    assert (state_of(asked), rule_of(acme)) == (State.REJECTED, None)


@pytest.mark.parametrize("role", [Role.READER, Role.ANALYST, Role.APPROVER, Role.BREAK_GLASS])
def test_who_does_not_manage_the_policy_can_neither_ask_nor_decide(
    acme: Tenant, asked: GuardedChange, role: Role, as_actor: AsActor
) -> None:
    outsider = as_actor(make_member("olaf", acme, role))
    for kind, what in KINDS.items():
        assert not outsider.may(what.capability, acme.id)
        with pytest.raises(Forbidden), acting_for(acme.id):
            changes.ask_for_change(acme.id, kind, {}, actor=outsider, reason="x")
    for verb in (changes.confirm_change, changes.reject_change, changes.withdraw_change):
        with pytest.raises(Forbidden):
            decide(verb, asked, outsider)
    assert (state_of(asked), rule_of(acme)) == (State.WAITING, None)


def test_who_asked_must_still_hold_the_right(
    acme: Tenant, asked: GuardedChange, tess: User, tom: User, as_actor: AsActor
) -> None:
    with acting_for(acme.id):
        TenantMembership.objects.filter(user=tess).update(role=Role.APPROVER)
    with pytest.raises(Conflict, match="may no longer"):
        decide(changes.confirm_change, asked, as_actor(tom))
    assert (state_of(asked), rule_of(acme)) == (State.WAITING, None)


def test_a_decided_change_is_decided(acme: Tenant, asked: GuardedChange, tom: User, as_actor: AsActor) -> None:
    decide(changes.reject_change, asked, as_actor(tom))
    with pytest.raises(Conflict, match="no longer waits"):
        decide(changes.confirm_change, asked, as_actor(tom))
    assert rule_of(acme) is None


def test_after_seven_days_it_has_expired_with_or_without_the_sweep(
    acme: Tenant, asked: GuardedChange, tom: User, as_actor: AsActor
) -> None:
    with acting_for(acme.id):
        GuardedChange.objects.update(requested_at=datetime.now(UTC) - timedelta(days=7, seconds=1))
    with pytest.raises(Conflict, match="expired"):
        decide(changes.confirm_change, asked, as_actor(tom))
    tasks.sweep()
    assert (state_of(asked), rule_of(acme)) == (State.EXPIRED, None)
    with acting_for(acme.id):
        assert AuditEvent.objects.filter(object_id=asked.pk, verb="guarded_change.expired").count() == 1


def test_the_same_change_waits_once_and_another_beside_it(
    acme: Tenant, asked: GuardedChange, tess: User, tom: User, as_actor: AsActor
) -> None:
    with pytest.raises(Conflict, match="waits"), acting_for(acme.id):
        changes.ask_for_change(acme.id, "set_approval_rule", THREE, actor=as_actor(tom), reason="Me too.")
    with acting_for(acme.id):
        changes.ask_for_change(
            acme.id, "set_approval_rule", {**THREE, "approvers": 2}, actor=as_actor(tom), reason="Or"
        )


@pytest.mark.parametrize(
    ("kind", "details", "reason"),
    [("grant_role", {}, "x"), ("set_approval_rule", {"approvers": 3}, "x"), ("set_approval_rule", THREE, "  ")],
)
def test_nonsense_is_refused(
    acme: Tenant, tess: User, as_actor: AsActor, kind: str, details: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadRequest), acting_for(acme.id):
        changes.ask_for_change(acme.id, kind, details, actor=as_actor(tess), reason=reason)


def test_a_key_of_an_admin_can_do_none_of_it(acme: Tenant, asked: GuardedChange) -> None:
    key = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"})
    body = {"tenant": str(acme.pk), "kind": "set_approval_rule", "details": {**THREE, "approvers": 2}, "reason": "x"}
    assert key.post("/api/v1/guarded-changes/", body, "application/json").status_code == 403
    for verb in ("confirm", "reject", "withdraw"):
        answer = key.post(f"/api/v1/guarded-changes/{asked.pk}/{verb}/", {"reason": "x"}, "application/json")
        assert answer.status_code == 403
    assert (state_of(asked), rule_of(acme)) == (State.WAITING, None)


def test_a_stranger_gets_what_an_unknown_id_gets(
    acme: Tenant, asked: GuardedChange, gil: User, browse: Callable[[User], Client]
) -> None:
    client = browse(gil)
    body = {"tenant": str(acme.pk), "kind": "set_approval_rule", "details": THREE, "reason": "x"}
    unknown = UUID(int=7)
    answers = [
        client.post(f"/api/v1/guarded-changes/{key}/confirm/", {"reason": "x"}, "application/json")
        for key in (asked.pk, unknown)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    asks = [
        client.post("/api/v1/guarded-changes/", {**body, "tenant": str(key)}, "application/json")
        for key in (acme.pk, unknown)
    ]
    assert [answer.status_code for answer in asks] == [400, 400]
    assert asks[0].json() == asks[1].json()
    assert client.get(f"/admin/safeguards/guardedchange/{asked.pk}/confirm/decide/").status_code == 404


def test_the_api_asks_tells_the_effect_and_confirms(
    acme: Tenant, tess: User, tom: User, browse: Callable[[User], Client]
) -> None:
    body = {"tenant": str(acme.pk), "kind": "set_approval_rule", "details": THREE, "reason": "A hospital."}
    asked = browse(tess).post("/api/v1/guarded-changes/", body, "application/json")
    assert asked.status_code == 201, asked.json()
    assert asked.json()["effect"].startswith("“Isolate device” will need 3 approvals (today 1)")
    url = f"/api/v1/guarded-changes/{asked.json()['id']}/"
    own = browse(tess).post(f"{url}confirm/", {"reason": "x"}, "application/json")
    assert own.status_code == 403
    made = browse(tom).post(f"{url}confirm/", {"reason": "Right."}, "application/json")
    assert (made.status_code, made.json()["state"], rule_of(acme)) == (200, "made", 3)
    [row] = browse(tom).get("/api/v1/guarded-changes/?state=made").json()["results"]
    assert row["decided_by"]["email"] == tom.email


@pytest.mark.django_db(transaction=True)
def test_a_refused_confirmation_is_on_record(
    acme: Tenant, asked: GuardedChange, tess: User, browse: Callable[[User], Client]
) -> None:
    browse(tess).post(f"/api/v1/guarded-changes/{asked.pk}/confirm/", {"reason": "x"}, "application/json")
    with acting_for(acme.id):
        event = AuditEvent.objects.get(object_id=asked.pk, verb="guarded_change.confirmation_refused")
    assert event.actor_id == tess.pk
    assert "somebody else has to confirm" in event.data["reason"]


def test_the_pages_lead_from_the_overview_to_the_change_made(
    acme: Tenant, asked: GuardedChange, tess: User, tom: User, ren: User, browse: Callable[[User], Client]
) -> None:
    client = browse(tom)
    assert "Changes waiting for a second person" in client.get("/admin/").content.decode()
    assert str(asked.pk) in client.get("/admin/safeguards/guardedchange/?state__exact=waiting").content.decode()
    page = f"/admin/safeguards/guardedchange/{asked.pk}/"
    assert "will need 3 approvals" in client.get(f"{page}change/").content.decode()
    assert "/confirm/decide/" not in browse(tess).get(f"{page}change/").content.decode()
    assert "/decide/" not in browse(ren).get(f"{page}change/").content.decode()
    assert "will need 3 approvals" in client.get(f"{page}confirm/decide/").content.decode()
    client.post(f"{page}confirm/decide/", {"reason": "Talked it over."})
    assert (state_of(asked), rule_of(acme)) == (State.MADE, 3)


@pytest.mark.django_db(transaction=True)
def test_eight_who_confirm_at_once_make_it_once(acme: Tenant, asked: GuardedChange, as_actor: AsActor) -> None:
    admins = [as_actor(make_member(f"admin-{number}", acme, Role.TENANT_ADMIN)) for number in range(8)]

    def confirm(actor: Actor) -> int:
        try:
            return int(decide(changes.confirm_change, asked, actor).state == State.MADE)
        except Conflict:
            return 0
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(confirm, admins)) == 1
    with acting_for(acme.id):
        assert AuditEvent.objects.filter(verb="approval_rule.changed").count() == 1


@pytest.mark.parametrize("path", ["/api/v1/guarded-changes/", "/admin/safeguards/guardedchange/"])
def test_a_list_costs_the_same_for_one_row_and_for_many(
    acme: Tenant,
    asked: GuardedChange,
    tess: User,
    as_actor: AsActor,
    browse: Callable[[User], Client],
    django_assert_num_queries: Any,
    path: str,
) -> None:
    client = browse(tess)
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    with acting_for(acme.id):
        for count in (1, 2, 4, 5):
            details = {**THREE, "approvers": count}
            changes.ask_for_change(acme.id, "set_approval_rule", details, actor=as_actor(tess), reason="Another.")
    with django_assert_num_queries(len(few)):
        client.get(path)


def test_every_capability_of_a_kind_is_one_no_key_and_no_emergency_holds() -> None:
    assert {kind.capability for kind in KINDS.values()} <= {Capability.MANAGE_APPROVAL_POLICY, Capability.FREEZE}
