"""The pages of tenants, people, memberships and connections: who may change what, and that it goes on record."""

import time
from collections.abc import Callable

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connectors.clouds import ADDRESSES
from connectors.models import Connection
from investigations.models import DeviceGroup
from portal.access.models import Invitation, ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup, TenantGroupMember
from portal.tenancy.scope import acting_for
from tests.conftest import make_member
from tests.portal.access.sign_in.codes import give_app

MEMBERS = "/admin/access/tenantmembership/"
STAFF = "/admin/access/providermembership/"
USERS = "/admin/access/user/"
TENANTS = "/admin/tenancy/tenant/"
GROUPS = "/admin/tenancy/tenantgroup/"


def told(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_a_tenant_admin_gives_and_takes_roles_in_their_own_tenant_alone(
    acme: Tenant, globex: Tenant, tess: User, gil: User, browse: Callable[[User], Client]
) -> None:
    client = browse(tess)
    role = {"email": gil.email.upper(), "role": Role.READER}
    assert client.post(f"{MEMBERS}add/", {**role, "tenant": acme.pk}).status_code == 302
    with acting_for(acme.id):
        given = TenantMembership.objects.get(user=gil)
        event = AuditEvent.objects.get(object_id=given.pk)
    assert (event.actor_id, event.data["after"]["role"]) == (tess.pk, Role.READER)
    assert "Select a valid choice" in client.post(f"{MEMBERS}add/", {**role, "tenant": globex.pk}).content.decode()
    for above in (Role.PROVIDER_ADMIN, Role.BREAK_GLASS):
        assert client.post(f"{MEMBERS}add/", {**role, "role": above, "tenant": acme.pk}).status_code == 200
    assert "They lose it from their next request on." in client.get(f"{MEMBERS}{given.pk}/delete/").content.decode()
    assert client.post(f"{MEMBERS}{given.pk}/delete/", {"post": "yes"}).status_code == 302
    with acting_for(acme.id):
        assert not TenantMembership.objects.filter(user=gil).exists()


def test_nobody_takes_back_their_own_role(acme: Tenant, tess: User, browse: Callable[[User], Client]) -> None:
    with acting_for(acme.id):
        own = TenantMembership.objects.get(user=tess)
    answer = browse(tess).post(f"{MEMBERS}{own.pk}/delete/", {"post": "yes"})
    assert told(answer) == ["You cannot change your own roles; ask another admin."]
    with acting_for(acme.id):
        assert TenantMembership.objects.filter(pk=own.pk).exists()
        assert not AuditEvent.objects.filter(object_id=own.pk).exists()


def test_a_provider_admin_adds_people_who_choose_their_own_password(
    pia: User, browse: Callable[[User], Client], acme: Tenant
) -> None:
    client = browse(pia)
    assert client.post(f"{USERS}add/", {"email": "new@provider.example", "name": "New"}).status_code == 302
    made = User.objects.get(email="new@provider.example")
    assert not made.has_usable_password()
    assert Invitation.objects.get(user=made).sent_at is None
    assert "Invited" in client.get(f"{USERS}?q=new@").content.decode()
    with acting_for(PROVIDER_TENANT_ID):
        assert AuditEvent.objects.get(object_id=made.pk).actor_id == pia.pk
    page = client.get(f"{USERS}{made.pk}/deactivate/").content.decode()
    assert "turned away from the next request on" in page
    made.refresh_from_db()
    assert made.is_active
    assert client.post(f"{USERS}{made.pk}/deactivate/").status_code == 302
    made.refresh_from_db()
    assert not made.is_active


def test_a_provider_admin_cannot_switch_themselves_off(
    pia: User, acme: Tenant, browse: Callable[[User], Client]
) -> None:
    assert "This is the last provider admin" in told(browse(pia).post(f"{USERS}{pia.pk}/deactivate/"))[0]
    other = User.objects.create_user("pam@provider.example")
    ProviderMembership.objects.create(user=other, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
    assert "your own account" in told(browse(pia).post(f"{USERS}{pia.pk}/deactivate/"))[0]
    pia.refresh_from_db()
    assert pia.is_active


def test_passwords_hashes_cannot_be_filtered_by(pia: User, acme: Tenant, browse: Callable[[User], Client]) -> None:
    assert browse(pia).get(f"{USERS}?password__startswith=argon2").status_code == 400


def test_provider_staff_are_for_provider_admins(
    acme: Tenant, pia: User, tess: User, ada: User, browse: Callable[[User], Client]
) -> None:
    role = {"email": ada.email, "role": Role.READER, "reach": "all"}
    assert browse(tess).post(f"{STAFF}add/", role).status_code == 403
    assert browse(pia).post(f"{STAFF}add/", role).status_code == 302
    assert ProviderMembership.objects.filter(user=ada, role=Role.READER).exists()


def test_a_refused_form_says_why_and_keeps_what_was_typed(
    acme: Tenant, pia: User, browse: Callable[[User], Client]
) -> None:
    role = {"email": "nobody@provider.example", "role": Role.READER, "reach": Reach.ALL}
    page = browse(pia).post(f"{STAFF}add/", role).content.decode()
    assert "There is no active account with this e-mail" in page
    assert 'value="nobody@provider.example"' in page
    page = browse(pia).post(f"{STAFF}add/", {**role, "reach": Reach.GROUP}).content.decode()
    assert "Choose the tenant group that the role reaches." in page
    assert "Constraint" not in page


def test_the_fresh_second_factor_is_asked_for_before_anything_is_typed_and_again_where_it_grew_old(
    acme: Tenant, bob: User, pia: User, browse: Callable[[User], Client]
) -> None:
    give_app(pia)
    client = browse(pia)
    for page in (TENANTS, USERS, STAFF, GROUPS, MEMBERS, "/admin/access/apikey/"):
        assert client.get(f"{page}add/").status_code == 200
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time() - 360}]
    session.save()
    for page in (TENANTS, USERS, STAFF, GROUPS, MEMBERS, "/admin/access/apikey/"):
        assert client.get(f"{page}add/")["Location"].startswith("/accounts/2fa/reauthenticate/"), page
    with acting_for(acme.id):
        given = TenantMembership.objects.get(user=bob)
    typed = {"email": "new@provider.example", "name": "New"}
    for page, form in ((f"{USERS}add/", typed), (f"{MEMBERS}{given.pk}/delete/", {"post": "yes"})):
        assert client.post(page, form)["Location"].startswith("/accounts/2fa/reauthenticate/"), page


def test_the_provider_takes_a_tenant_on_and_switches_it_off_and_on_again(
    acme: Tenant, pia: User, tess: User, browse: Callable[[User], Client]
) -> None:
    client = browse(pia)
    wanted = {"slug": "initech", "name": "Initech", "entra_tenant_id": "7b1c2f52-6d0e-4c39-9a55-21f0c9a4d101"}
    answer = client.post(f"{TENANTS}add/", wanted)
    assert answer.status_code == 302
    assert "already exists" in client.post(f"{TENANTS}add/", wanted).content.decode()
    assert "Initech" in client.get(TENANTS).content.decode()
    page = f"{TENANTS}{acme.pk}/deactivate/"
    assert "nothing more is sent for it" in client.get(page).content.decode()
    assert client.post(page).status_code == 302
    assert "Acme" in client.get(TENANTS).content.decode()
    assert "Acme" not in browse(tess).get(TENANTS).content.decode()
    assert client.post(f"{TENANTS}{acme.pk}/reactivate/").status_code == 302
    assert "Acme" in browse(tess).get(TENANTS).content.decode()
    with acting_for(acme.id):
        assert list(
            AuditEvent.objects.filter(verb__startswith="tenant.").order_by("seq").values_list("verb", flat=True)
        ) == [
            "tenant.deactivated",
            "tenant.reactivated",
        ]


def test_a_new_tenant_begins_with_a_default_group_and_a_connection(
    pia: User, acme: Tenant, browse: Callable[[User], Client]
) -> None:
    wanted = {"slug": "initech", "name": "Initech", "entra_tenant_id": "7b1c2f52-6d0e-4c39-9a55-21f0c9a4d101"}
    made = browse(pia).post("/api/v1/tenants/", wanted, content_type="application/json").json()
    with acting_for(made["id"]):
        assert DeviceGroup.objects.get().is_default
        assert not Connection.objects.get().is_enabled, "in development nothing calls Microsoft by itself"
        assert AuditEvent.objects.get(verb__startswith="tenant.").verb == "tenant.created"


@pytest.mark.parametrize("page", [TENANTS, USERS, STAFF, GROUPS])
def test_a_provider_admin_of_one_group_manages_nothing_beyond_it(
    page: str, acme: Tenant, globex: Tenant, browse: Callable[[User], Client]
) -> None:
    gus = User.objects.create_user("gus@provider.example")
    group = TenantGroup.objects.create(name="Ours")
    TenantGroupMember.objects.create(group=group, tenant=acme)
    ProviderMembership.objects.create(user=gus, role=Role.PROVIDER_ADMIN, reach=Reach.GROUP, group=group)
    client = browse(gus)
    assert client.get(f"{page}add/").status_code == 403
    assert client.post(f"{TENANTS}{acme.pk}/deactivate/").status_code == 403
    assert client.get(f"/api/v1/audit-events/?tenant={PROVIDER_TENANT_ID}").json()["results"] == []
    assert client.get("/api/v1/users/").json()["results"] == []
    assert (
        client.post(f"{MEMBERS}add/", {"email": "a@b.example", "role": "reader", "tenant": acme.pk}).status_code == 302
    )


def test_groups_get_their_tenants_and_are_kept_while_staff_have_roles_over_them(
    acme: Tenant, globex: Tenant, pia: User, browse: Callable[[User], Client]
) -> None:
    client = browse(pia)
    assert client.post(f"{GROUPS}add/", {"name": "Nordics", "members": [acme.pk, globex.pk]}).status_code == 302
    group = TenantGroup.objects.get()
    client.post(f"{GROUPS}{group.pk}/change/", {"name": "North", "members": [acme.pk]})
    assert list(TenantGroupMember.objects.values_list("tenant_id", flat=True)) == [acme.pk]
    gus = User.objects.create_user("gus@provider.example")
    ProviderMembership.objects.create(user=gus, role=Role.READER, reach=Reach.GROUP, group=group)
    answer = client.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"})
    assert "take those back first" in told(answer)[-1]
    ProviderMembership.objects.filter(user=gus).delete()
    assert client.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 302
    with acting_for(PROVIDER_TENANT_ID):
        changed = AuditEvent.objects.get(verb="tenant_group.changed")
    assert changed.data["before"] == {"name": "Nordics", "tenants": ["acme", "globex"]}
    assert changed.data["after"] == {"name": "North", "tenants": ["acme"]}


@pytest.mark.parametrize("page", [TENANTS, USERS, MEMBERS, STAFF, "/admin/access/serviceaccount/"])
def test_lists_cost_the_same_for_one_row_and_for_many(
    page: str, acme: Tenant, pia: User, browse: Callable[[User], Client]
) -> None:
    def add(name: str) -> None:
        user = make_member(name, acme, Role.READER)
        ProviderMembership.objects.create(user=user, role=Role.READER, reach=Reach.ALL)
        User.objects.create_user(f"{name}@robots.example", name=name, is_service_account=True, belongs_to=acme)

    client = browse(pia)
    add("one")
    client.get(page)
    with CaptureQueriesContext(connection) as few:
        client.get(page)
    for name in ("two", "three", "four"):
        add(name)
    with CaptureQueriesContext(connection) as many:
        client.get(page)
    assert len(many) == len(few) <= 14


def test_addresses_that_get_the_providers_credential_are_not_a_tenant_admins_to_change(
    acme: Tenant, pia: User, tess: User, browse: Callable[[User], Client]
) -> None:
    with acting_for(acme.id):
        connection = Connection.objects.create(tenant=acme)
    url = f"/admin/connectors/connection/{connection.pk}/change/"
    elsewhere = {"cloud": "global", **dict.fromkeys(ADDRESSES, "https://elsewhere.example")}
    assert browse(tess).post(url, elsewhere).status_code == 302
    with acting_for(acme.id):
        connection.refresh_from_db()
        event = AuditEvent.objects.get(object_id=connection.pk)
    assert (connection.is_enabled, connection.login_url) == (False, "https://login.microsoftonline.com")
    assert (event.data["before"]["is_enabled"], event.data["after"]["is_enabled"]) == (True, False)
    assert browse(pia).post(url, elsewhere).status_code == 302
    with acting_for(acme.id):
        connection.refresh_from_db()
    assert connection.login_url == "https://elsewhere.example"
