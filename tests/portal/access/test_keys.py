"""API keys: what a key may at most, from where, for how long, and what is told when it is refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from portal.access.actors import actor_of_key
from portal.access.exceptions import BadRequest
from portal.access.keys import KeyLimits, find_key, issue_key
from portal.access.models import ApiKey, ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Capability, Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for
from tests.factories import make_device, make_pending_action

HERE = "127.0.0.1"


@pytest.fixture
def robot(db: None, acme: Tenant, globex: Tenant) -> User:
    """The provider's service account with the most there is: provider admin over all."""
    account = User.objects.create_user("robot@provider.example", is_service_account=True)
    ProviderMembership.objects.create(user=account, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
    return account


def key_of(account: User, **limits: Any) -> str:
    return issue_key(account, name="robot", lifetime=timedelta(days=1), limits=KeyLimits(**limits))[1]


def ask(text: str, path: str = "devices/", address: str = HERE) -> Any:
    return Client(REMOTE_ADDR=address).get(f"/api/v1/{path}", headers={"authorization": f"Api-Key {text}"})


def test_a_key_may_be_held_to_less_than_its_account_and_never_to_more(
    acme: Tenant, globex: Tenant, robot: User
) -> None:
    def may(**limits: Any) -> dict[Any, Any]:
        key = ApiKey.objects.get(prefix=key_of(robot, **limits).split("_")[1])
        return dict(actor_of_key(key).capabilities)

    widest = may()
    assert set(widest) == {acme.id, globex.id}
    assert Capability.REQUEST_ACTION in widest[acme.id]
    never = {"DECIDE_ACTION", "MANAGE_MEMBERS", "MANAGE_TENANTS", "MANAGE_APPROVAL_POLICY", "FREEZE", "BREAK_GLASS"}
    assert not {Capability[name] for name in never} & widest[acme.id]
    assert may(role=Role.READER)[acme.id] == {Capability.READ}
    assert set(may(tenant_ids=[globex.id])) == {globex.id}
    assert may(role=Role.BREAK_GLASS)[acme.id] <= widest[acme.id]


def test_no_tenants_are_not_all_tenants(robot: User) -> None:
    with pytest.raises(BadRequest, match="at least one tenant"):
        key_of(robot, tenant_ids=[])


@pytest.mark.parametrize("verb", ["approve", "reject", "undo", "resolve", "cancel"])
def test_a_key_of_a_provider_admin_decides_nothing(verb: str, acme: Tenant, robot: User, ada: User) -> None:
    action = make_pending_action(acme, make_device(acme), requested_by=ada)
    answer = Client().post(
        f"/api/v1/actions/{action.pk}/{verb}/",
        {"reason": "I am a robot.", "outcome": "failed"},
        content_type="application/json",
        headers={"authorization": f"Api-Key {key_of(robot)}"},
    )
    assert answer.status_code == 403
    with acting_for(acme.id):
        action.refresh_from_db()
    assert action.state == "pending_approval"


MANAGING = ["tenant-groups", "users", "members", "provider-memberships", "service-accounts", "api-keys"]


@pytest.mark.parametrize("name", MANAGING)
def test_people_and_keys_are_not_managed_by_key(name: str, robot: User) -> None:
    credentials = {"authorization": f"Api-Key {key_of(robot)}"}
    for method in ("get", "post"):
        answer = getattr(Client(), method)(f"/api/v1/{name}/", {}, content_type="application/json", headers=credentials)
        assert answer.status_code == 403, method
    mine = ApiKey.objects.get()
    for verb in ("rotate", "revoke"):
        answer = Client().post(
            f"/api/v1/api-keys/{mine.pk}/{verb}/", {}, content_type="application/json", headers=credentials
        )
        assert answer.status_code == 403
    assert ask(key_of(robot), "tenants/").status_code == 200
    posted = Client().post("/api/v1/tenants/", {}, content_type="application/json", headers=credentials)
    assert posted.status_code == 403


def test_a_key_opens_the_api_alone_whatever_session_comes_with_it(
    robot: User, bob: User, browse: Callable[[User], Client]
) -> None:
    client, headers = browse(bob), {"authorization": f"Api-Key {key_of(robot)}"}
    for path in ("/admin/", "/accounts/2fa/", "/accounts/2fa/app/activate/", "/accounts/organisations/"):
        assert client.get(path).status_code == 200
        assert "/login/?next=" in client.get(path, headers=headers)["Location"]
    assert client.get("/api/v1/me/", headers=headers).json()["is_service_account"]


def expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())


def revoke(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())


def switch_off(key: ApiKey) -> None:
    User.objects.filter(pk=key.user_id).update(is_active=False)


def move_away(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(networks=["192.0.2.0/24", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (expire, "it has expired"),
        (revoke, "it was revoked"),
        (switch_off, "its account is switched off"),
        (move_away, "it came from outside its networks"),
    ],
)
def test_a_refused_key_is_told_no_more_than_a_wrong_one_and_goes_on_record_once_a_minute(
    spoil: Callable[[ApiKey], None], reason: str, robot: User
) -> None:
    text = key_of(robot)
    key = ApiKey.objects.get()
    spoil(key)
    wrong = ask("quell_000000000000_x")
    for _ in range(3):
        refused = ask(text, address="198.51.100.7")
        assert (refused.status_code, refused.json()) == (401, wrong.json())
    with acting_for(PROVIDER_TENANT_ID):
        event = AuditEvent.objects.get(verb="api_key.refused")
    assert (event.object_id, event.data["reason"], event.data["address"]) == (key.pk, reason, "198.51.100.7")
    assert key.prefix in event.data["target"]
    assert text.rpartition("_")[2] not in str(event.data)
    ApiKey.objects.update(last_refused_at=timezone.now() - timedelta(minutes=2))
    ask(text)
    with acting_for(PROVIDER_TENANT_ID):
        assert AuditEvent.objects.filter(verb="api_key.refused").count() == 2


def test_a_guess_at_a_known_prefix_leaves_no_trace(robot: User) -> None:
    prefix = key_of(robot).split("_")[1]
    assert ask(f"quell_{prefix}_guess").status_code == 401
    with acting_for(PROVIDER_TENANT_ID):
        assert not AuditEvent.objects.filter(verb="api_key.refused").exists()
    assert ApiKey.objects.get().last_refused_at is None


def test_a_key_works_from_its_networks(robot: User) -> None:
    text = key_of(robot, networks=["192.0.2.0/24", "2001:db8::7"])
    assert ask(text, address="192.0.2.200").status_code == 200
    assert ask(text, address="2001:db8::7").status_code == 200
    assert ask(text, address="2001:db8::8").status_code == 401
    assert ApiKey.objects.get().networks == ["192.0.2.0/24", "2001:db8::7/128"]


@pytest.mark.parametrize("network", ["192.0.2.7/24", "anywhere", "300.0.0.0/8", ""])
def test_what_is_no_network_is_named(network: str, robot: User) -> None:
    with pytest.raises(BadRequest, match="is not a network"):
        key_of(robot, networks=[network])


def test_use_is_noted_once_a_minute_also_when_the_request_is_refused(
    robot: User, django_assert_num_queries: Any
) -> None:
    text = key_of(robot)
    assert ask(text, "devices/?nonsense=1", "198.51.100.7").status_code == 400
    used = ApiKey.objects.get()
    assert (used.last_used_address, used.last_used_at is not None) == ("198.51.100.7", True)
    with django_assert_num_queries(1):
        find_key(text, None)
    assert ApiKey.objects.get().last_used_at == used.last_used_at


def test_an_account_of_a_tenant_has_roles_there_alone_whatever_memberships_say(acme: Tenant, globex: Tenant) -> None:
    account = User.objects.create_user("robot@acme.example", is_service_account=True, belongs_to=acme)
    for tenant in (acme, globex):
        with acting_for(tenant.id):
            TenantMembership.objects.create(tenant=tenant, user=account, role=Role.READER)
    ProviderMembership.objects.create(user=account, role=Role.READER, reach=Reach.ALL)
    make_device(acme), make_device(globex)
    seen = ask(key_of(account)).json()["results"]
    assert [row["tenant"] for row in seen] == [str(acme.id)]
