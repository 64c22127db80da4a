"""Tenants, groups, people, roles, service accounts and keys by the API: who sees and changes which."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.access.models import ApiKey, ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Role
from portal.api.models import IdempotentAnswer
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for
from tests.conftest import make_member

PROVIDERS = ["tenant-groups", "users", "provider-memberships"]
ALL = [*PROVIDERS, "members", "service-accounts", "api-keys"]


def send(client: Client, path: str, body: dict[str, Any] | None = None, method: str = "post", **headers: str) -> Any:
    return getattr(client, method)(f"/api/v1/{path}", body or {}, content_type="application/json", headers=headers)


@pytest.fixture
def robots(acme, globex):
    """A service account with a key for each of the two tenants, and one of the provider's."""
    made = {}
    for owner in (acme, globex, None):
        name = owner.slug if owner else "provider"
        account = User.objects.create_user(f"{name}-robot@r.example", is_service_account=True, belongs_to=owner)
        key = ApiKey.objects.create(user=account, name=name, prefix=name, digest="", expires_at="2100-01-01T00:00Z")
        made[name] = (account, key)
    return made


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_providers_own_is_nobody_elses(name, acme, tess, pia, browse):
    client, group = browse(tess), send(browse(pia), "tenant-groups/", {"name": "All"}).json()
    known = {"tenant-groups": group["id"], "users": pia.pk, "provider-memberships": ProviderMembership.objects.get().pk}

    assert client.get(f"/api/v1/{name}/").json()["results"] == []
    assert client.get(f"/api/v1/{name}/{known[name]}/").status_code == 404
    for path in ("", f"{known[name]}/deactivate/", f"{uuid4()}/deactivate/"):
        assert send(client, f"{name}/{path}").status_code in ({403} if name == "users" or not path else {404})
    assert len(browse(pia).get(f"/api/v1/{name}/").json()["results"]) >= 1


def test_foreign_members_answer_as_unknown_ones(acme, globex, tess, gil, browse):
    with acting_for(globex.id):
        foreign = TenantMembership.objects.get(user=gil).pk
    client = browse(tess)

    for method in ("get", "delete"):
        known, unknown = (send(client, f"members/{key}/", method=method) for key in (foreign, uuid4()))
        assert (known.status_code, known.json()) == (404, unknown.json())
    assert [row["email"] for row in client.get("/api/v1/members/").json()["results"]] == [tess.email]
    assert client.get(f"/api/v1/members/?tenant={globex.id}").json()["results"] == []
    answers = [
        send(client, "members/", {"tenant": str(key), "email": "a@b.example", "role": "reader"})
        for key in (globex.id, uuid4(), PROVIDER_TENANT_ID)
    ]
    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].json()["errors"][0]["field"] == answers[1].json()["errors"][0]["field"] == "tenant"
    with acting_for(globex.id):
        assert TenantMembership.objects.filter(pk=foreign).exists()


def test_readers_see_no_members_and_give_no_roles(acme, ren, browse):
    client = browse(ren)

    assert client.get("/api/v1/members/").json()["results"] == []
    body = {"tenant": str(acme.id), "email": "a@b.example", "role": "reader"}
    assert send(client, "members/", body).status_code == 403


def test_a_tenant_admin_sees_and_manages_the_robots_of_their_tenant_alone(acme, robots, tess, pia, browse):
    client = browse(tess)
    own, foreign, provider = (robots[name] for name in ("acme", "globex", "provider"))

    for name, place in (("service-accounts", 0), ("api-keys", 1)):
        assert [row["id"] for row in client.get(f"/api/v1/{name}/").json()["results"]] == [str(own[place].pk)]
        assert len(browse(pia).get(f"/api/v1/{name}/").json()["results"]) == 3
    for account, key in (foreign, provider):
        assert send(client, f"service-accounts/{account.pk}/deactivate/").status_code == 404
        assert send(client, f"api-keys/{key.pk}/revoke/").status_code == 404
        answer = send(client, "api-keys/", {"account": str(account.pk), "name": "x"})
        unknown = send(client, "api-keys/", {"account": str(uuid4()), "name": "x"})
        assert answer.status_code == unknown.status_code == 400
        assert answer.json() == unknown.json()
    assert send(client, f"api-keys/{own[1].pk}/revoke/").status_code == 200
    assert send(client, f"api-keys/{own[1].pk}/revoke/").status_code == 409
    with acting_for(acme.id):
        assert AuditEvent.objects.get(verb="api_key.revoked").actor_id == tess.pk


def test_a_key_is_made_used_rotated_and_revoked_and_its_text_is_told_once(acme, globex, tess, browse):
    client = browse(tess)
    account = send(client, "service-accounts/", {"tenant": str(acme.id), "name": "Ticket system", "role": "analyst"})
    assert account.status_code == 201
    wanted = {"account": account.json()["id"], "name": "tickets", "days": 30, "networks": ["127.0.0.0/8"]}
    made = send(client, "api-keys/", wanted, **{"idempotency-key": "one"})
    text = made.json()["key"]

    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    replayed = send(client, "api-keys/", wanted, **{"idempotency-key": "one"})
    assert replayed.json() == {**made.json(), "key": None}
    with acting_for(acme.id):
        assert text not in str(list(IdempotentAnswer.objects.values("body")))
        assert text.rpartition("_")[2] not in str(list(AuditEvent.objects.values("data")))

    def works(key: str) -> bool:
        return Client().get("/api/v1/me/", headers={"authorization": f"Api-Key {key}"}).status_code == 200

    assert works(text)
    rotated = send(client, f"api-keys/{made.json()['id']}/rotate/", {"hours": 1}).json()
    assert rotated["networks"] == ["127.0.0.0/8"]
    assert works(text)
    assert works(rotated["key"])
    again = send(client, f"api-keys/{made.json()['id']}/rotate/", {"hours": 0}).json()
    assert (works(text), works(again["key"])) == (False, True)
    assert send(client, f"api-keys/{made.json()['id']}/rotate/").status_code == 409
    send(client, f"service-accounts/{account.json()['id']}/deactivate/")
    assert not works(again["key"])
    wider = {**wanted, "tenants": [str(globex.id)]}
    assert send(client, "api-keys/", wider).status_code == 400


@pytest.mark.parametrize(("field", "value"), [("days", 91), ("days", 0), ("networks", ["x"]), ("tenants", [])])
def test_keys_are_refused_what_would_make_them_too_wide(field, value, robots, tess, browse):
    body = {"account": str(robots["acme"][0].pk), "name": "x", field: value}

    assert send(browse(tess), "api-keys/", body).status_code == 400


def test_a_key_is_held_to_tenants_of_its_account_alone(globex, robots, pia, browse):
    body = {"account": str(robots["acme"][0].pk), "name": "x", "tenants": [str(globex.id)]}

    assert (
        send(browse(pia), "api-keys/", body).json()["detail"]
        == "The key can only be limited to tenants of its account."
    )


def test_rotation_keeps_the_old_key_a_week_at_most(robots, tess, browse):
    assert send(browse(tess), f"api-keys/{robots['acme'][1].pk}/rotate/", {"hours": 169}).status_code == 400


def test_a_provider_manages_groups_staff_and_people(acme, globex, pia, gil, browse):
    client = browse(pia)
    group = send(client, "tenant-groups/", {"name": "North", "tenants": [str(acme.id)]}, **{"idempotency-key": "g"})
    assert (
        send(client, "tenant-groups/", {"name": "North", "tenants": [str(acme.id)]}, **{"idempotency-key": "g"}).json()
        == group.json()
    )
    page = f"tenant-groups/{group.json()['id']}/"
    both = send(client, f"{page}add-tenants/", {"tenants": [str(globex.id)]}).json()["tenants"]
    assert sorted(both) == sorted([str(acme.id), str(globex.id)])
    person = send(client, "users/", {"email": "gus@provider.example", "name": "Gus"}).json()
    assert send(client, "users/", {"email": "GUS@provider.example"}).status_code == 409
    staff = {"email": "gus@provider.example", "role": "reader", "reach": "group", "group": group.json()["id"]}
    given = send(client, "provider-memberships/", staff)
    assert given.status_code == 201
    assert send(client, "provider-memberships/", staff).status_code == 409
    assert send(client, "provider-memberships/", {**staff, "group": None}).status_code == 400
    assert send(client, "provider-memberships/", {**staff, "group": str(uuid4())}).status_code == 400
    assert send(client, page, method="delete").status_code == 409
    gus = browse(User.objects.get(pk=person["id"]))
    assert len(gus.get("/api/v1/tenants/").json()["results"]) == 2
    send(client, f"{page}remove-tenants/", {"tenants": [str(globex.id)]})
    assert [row["slug"] for row in gus.get("/api/v1/tenants/").json()["results"]] == ["acme"]
    assert send(client, f"users/{person['id']}/deactivate/").json()["is_active"] is False
    assert gus.get("/api/v1/tenants/").status_code == 401
    assert send(client, f"provider-memberships/{given.json()['id']}/", method="delete").status_code == 204
    assert send(client, page, method="delete").status_code == 204


def test_a_provider_takes_on_changes_and_switches_off_tenants(acme, tess, pia, browse):
    client = browse(pia)
    wanted = {"slug": "initech", "name": "Initech", "entra_tenant_id": str(uuid4())}

    assert send(browse(tess), "tenants/", wanted).status_code == 403
    made = send(client, "tenants/", wanted, **{"idempotency-key": "t"})
    assert made.status_code == 201
    assert send(client, "tenants/", wanted, **{"idempotency-key": "t"}).json() == made.json()
    assert send(client, "tenants/", wanted).status_code == 400
    page = f"tenants/{made.json()['id']}/"
    assert send(client, page, {"name": "Initrode"}, method="patch").json()["name"] == "Initrode"
    assert send(browse(tess), f"tenants/{acme.id}/", {"name": "Mine"}, method="patch").status_code == 403
    assert send(client, f"{page}deactivate/").json()["is_active"] is False
    assert [row["slug"] for row in client.get("/api/v1/tenants/?is_active=true").json()["results"]] == ["acme"]
    assert [row["slug"] for row in client.get("/api/v1/me/").json()["tenants"]] == ["acme"]
    assert send(client, f"{page}reactivate/").json()["is_active"] is True
    assert send(client, f"tenants/{PROVIDER_TENANT_ID}/reactivate/").status_code == 404


@pytest.mark.parametrize("name", [*ALL, "tenants"])
def test_lists_cost_the_same_for_one_row_and_for_many(name, acme, pia, browse):
    def add(number: int) -> None:
        user = make_member(f"m{number}", acme, Role.READER)
        ProviderMembership.objects.create(user=user, role=Role.READER, reach=Reach.ALL)
        send(client, "tenant-groups/", {"name": f"g{number}", "tenants": [str(acme.id)]})
        account = User.objects.create_user(f"r{number}@r.example", is_service_account=True, belongs_to=acme)
        ApiKey.objects.create(user=account, name="k", prefix=f"k{number}", digest="", expires_at="2100-01-01T00:00Z")

    client = browse(pia)
    add(0)
    client.get(f"/api/v1/{name}/")
    with CaptureQueriesContext(connection) as few:
        client.get(f"/api/v1/{name}/")
    for number in range(1, 4):
        add(number)
    with CaptureQueriesContext(connection) as many:
        assert len(client.get(f"/api/v1/{name}/").json()["results"]) >= (1 if name == "tenants" else 4)
    assert len(many) == len(few) <= 9


@pytest.mark.parametrize("name", ALL)
def test_strangers_and_misspelt_filters_are_turned_away(name, pia, browse, db):
    assert Client().get(f"/api/v1/{name}/").status_code == 401
    assert browse(pia).get(f"/api/v1/{name}/?tennant=x").status_code == 400
    nobody = browse(User.objects.create_user("nobody@nowhere.example"))
    assert nobody.get(f"/api/v1/{name}/").json()["results"] == []
    assert nobody.get(f"/api/v1/{name}/{uuid4()}/").status_code == 404
