"""Who may give and take which role, that it acts at once, and that the last provider admin stays."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client

from portal.access import people, tenant_groups
from portal.access.actors import Actor, actor_for
from portal.access.exceptions import BadRequest, Conflict, Forbidden, Refusal, SecondFactorNeeded
from portal.access.memberships import give_provider_role, give_role, take_provider_role, take_role
from portal.access.models import Invitation, ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import OVER_INACTIVE, Capability, Role
from portal.access.tenants import deactivate_tenant, reactivate_tenant
from portal.tenancy.exceptions import WiderScope
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup
from portal.tenancy.scope import acting_for, admit_new_tenant, viewing
from tests.conftest import make_member

AsActor = Callable[[User], Actor]


def provider_admin(name: str) -> User:
    user = User.objects.create_user(f"{name}@provider.example")
    ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
    return user


def capabilities(user: User) -> dict:
    return dict(actor_for(user, by_key=False).capabilities)


def test_rights_add_up_per_tenant_and_no_membership_means_nothing(acme: Tenant, globex: Tenant) -> None:
    user = User.objects.create_user("sum@provider.example")
    assert capabilities(user) == {}
    for tenant, role in ((acme, Role.READER), (acme, Role.APPROVER), (globex, Role.READER)):
        with acting_for(tenant.id):
            TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    held = capabilities(user)
    assert Capability.DECIDE_ACTION in held[acme.id]
    assert held[globex.id] == {Capability.READ}
    group = TenantGroup.objects.create(name="Empty")
    ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.GROUP, group=group)
    assert capabilities(user) == held


def test_a_role_given_or_taken_acts_at_the_next_request(
    acme: Tenant, tess: User, as_actor: AsActor, browse: Callable[[User], Client]
) -> None:
    new = User.objects.create_user("new@acme.example")
    client = browse(new)
    slugs = lambda: [row["slug"] for row in client.get("/api/v1/tenants/").json()["results"]]  # noqa: E731 # twice below
    assert slugs() == []
    with acting_for(acme.id):
        given = give_role(tenant_id=acme.id, email=new.email, role=Role.READER, actor=as_actor(tess))
    assert slugs() == ["acme"]
    with acting_for(acme.id):
        take_role(given.pk, actor=as_actor(tess))
    assert slugs() == []


@pytest.mark.parametrize("role", [Role.READER, Role.ANALYST, Role.APPROVER])
def test_only_those_who_manage_members_give_roles(role: Role, acme: Tenant, as_actor: AsActor) -> None:
    member = make_member("some", acme, role)
    with acting_for(acme.id), pytest.raises(Forbidden):
        give_role(tenant_id=acme.id, email="x@acme.example", role=Role.READER, actor=as_actor(member))
    assert not User.objects.filter(email="x@acme.example").exists()


def test_nobody_gives_what_is_above_their_own_reach(acme: Tenant, tess: User, pia: User, as_actor: AsActor) -> None:
    with acting_for(acme.id):
        with pytest.raises(BadRequest):
            give_role(tenant_id=acme.id, email="x@acme.example", role=Role.PROVIDER_ADMIN, actor=as_actor(tess))
        with pytest.raises(Forbidden):
            give_role(tenant_id=acme.id, email="x@acme.example", role=Role.BREAK_GLASS, actor=as_actor(tess))
        with pytest.raises(Forbidden):
            give_provider_role(
                email="x@acme.example", role=Role.READER, reach=Reach.ALL, group=None, actor=as_actor(tess)
            )
        given = give_role(tenant_id=acme.id, email="x@acme.example", role=Role.BREAK_GLASS, actor=as_actor(pia))
        with pytest.raises(Forbidden):
            take_role(given.pk, actor=as_actor(tess))


def test_nobody_changes_their_own_roles(acme: Tenant, tess: User, pia: User, as_actor: AsActor) -> None:
    provider_admin("pam")
    with viewing([acme.id, PROVIDER_TENANT_ID]):
        with pytest.raises(Conflict, match="your own"):
            give_role(tenant_id=acme.id, email=tess.email, role=Role.APPROVER, actor=as_actor(tess))
        with pytest.raises(Conflict, match="your own"):
            give_provider_role(email=pia.email, role=Role.BREAK_GLASS, reach=Reach.ALL, group=None, actor=as_actor(pia))
        with pytest.raises(Conflict, match="your own"):
            take_provider_role(ProviderMembership.objects.get(user=pia).pk, actor=as_actor(pia))


def test_every_change_of_rights_needs_a_fresh_second_factor(
    acme: Tenant, tess: User, pia: User, gil: User, as_actor: AsActor
) -> None:
    stale = datetime.now(UTC) - timedelta(minutes=6)
    admin, provider = (replace(as_actor(user), second_factor_at=stale) for user in (tess, pia))
    with viewing([acme.id, PROVIDER_TENANT_ID]):
        membership = TenantMembership.objects.get(user=tess)
        attempts: list[Callable[[], object]] = [
            lambda: give_role(tenant_id=acme.id, email=gil.email, role=Role.READER, actor=admin),
            lambda: take_role(membership.pk, actor=provider),
            lambda: give_provider_role(email=gil.email, role=Role.READER, reach=Reach.ALL, group=None, actor=provider),
            lambda: people.deactivate_person(gil.pk, actor=provider),
            lambda: people.create_person(email="x@y.example", name="", actor=provider),
            lambda: tenant_groups.create_group(name="N", actor=provider),
            lambda: deactivate_tenant(acme.id, actor=provider),
        ]
        for attempt in attempts:
            with pytest.raises(SecondFactorNeeded):
                attempt()


def test_adding_somebody_is_answered_alike_whoever_they_are(
    acme: Tenant, globex: Tenant, tess: User, gil: User, browse: Callable[[User], Client]
) -> None:
    gil.set_password("correct horse battery")
    gil.save()
    User.objects.create_user("off@globex.example", is_active=False, name="Switched off")
    User.objects.create_user("robot@globex.example", is_service_account=True, belongs_to=globex, name="Robot")
    client, answers = browse(tess), []
    for email in ("nobody@globex.example", gil.email, "off@globex.example", "robot@globex.example"):
        body = {"tenant": str(acme.id), "email": email, "role": "reader"}
        answer = client.post("/api/v1/members/", body, content_type="application/json")
        told = answer.json()
        assert told.pop("email") == email
        told.pop("id")
        answers.append((answer.status_code, told))
        assert client.get(f"/api/v1/members/?email={email}").json()["results"][0]["role"] == "reader"
    assert answers == [(201, {"tenant": str(acme.id), "role": "reader"})] * 4
    for email in ("NEW@globex.example", gil.email.upper()):
        body = {"tenant": str(acme.id), "email": email, "role": "analyst"}
        answer = client.post("/api/v1/members/", body, content_type="application/json")
        assert answer.json()["email"] == email.lower()
    body = {"tenant": str(acme.id), "email": "gil@globex.ex\N{LATIN SMALL LETTER DOTLESS I}mple", "role": "analyst"}
    assert client.post("/api/v1/members/", body, content_type="application/json").status_code == 400
    invited = Invitation.objects.order_by("asked_at").values_list("user__email", flat=True)
    assert list(invited) == ["nobody@globex.example", "new@globex.example"]
    assert capabilities(User.objects.get(email="robot@globex.example")) == {}
    assert capabilities(User.objects.get(email="off@globex.example")) == {}


def test_a_switched_off_tenant_is_seen_by_the_provider_alone_and_nothing_is_done_in_it(
    acme: Tenant, tess: User, pia: User, as_actor: AsActor
) -> None:
    with viewing([acme.id, PROVIDER_TENANT_ID]):
        deactivate_tenant(acme.id, actor=as_actor(pia))
        with pytest.raises(Conflict, match="switched off already"):
            deactivate_tenant(acme.id, actor=as_actor(pia))
    assert capabilities(tess) == {}
    assert actor_for(User.objects.get(pk=pia.pk), by_key=True).capabilities == {}
    held = capabilities(pia)[acme.id]
    assert held == {Capability.READ, Capability.MANAGE_TENANTS, Capability.FREEZE}
    assert OVER_INACTIVE not in set(Role)
    with acting_for(acme.id):
        reactivate_tenant(acme.id, actor=as_actor(pia))
    assert Capability.MANAGE_MEMBERS in capabilities(tess)[acme.id]


def test_only_a_tenant_that_does_not_exist_is_admitted_to_an_open_scope(acme: Tenant, globex: Tenant) -> None:
    with acting_for(acme.id):
        with pytest.raises(WiderScope):
            admit_new_tenant(globex.id)
        assert [tenant.pk for tenant in Tenant.objects.all()] == [acme.id]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["membership", "account"])
def test_two_provider_admins_cannot_end_each_other_at_once(way: str) -> None:
    first, second = provider_admin("first"), provider_admin("second")
    both_ready = threading.Barrier(2)

    def end(victim: User, actor: Actor) -> str:
        try:
            with acting_for(PROVIDER_TENANT_ID):
                both_ready.wait(timeout=10)
                if way == "account":
                    people.deactivate_person(victim.pk, actor=actor)
                else:
                    take_provider_role(ProviderMembership.objects.get(user=victim).pk, actor=actor)
        except (Refusal, ProviderMembership.DoesNotExist) as refusal:
            return str(refusal)
        finally:
            connection.close()
        return "done"

    fresh = datetime.now(UTC)
    actors = {user: actor_for(user, by_key=False, second_factor_at=fresh) for user in (first, second)}
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(end, (first, second), (actors[second], actors[first])))
    assert sorted(said)[1] == "done"
    assert "last provider admin" in sorted(said)[0]
    assert people.provider_admins().filter(user__is_active=True).count() == 1
