"""The pages of people, memberships and connections: who may change what, and that it goes on record."""

from collections.abc import Callable

from django.contrib.messages import get_messages
from django.test import Client

from connectors.models import Connection
from portal.access.models import ProviderMembership, TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for

MEMBERS = "/admin/access/tenantmembership/"
USERS = "/admin/access/user/"


def test_a_tenant_admin_gives_and_takes_roles_in_their_own_tenant_alone(
    acme: Tenant, globex: Tenant, tess: User, gil: User, browse: Callable[[User], Client]
) -> None:
    client = browse(tess)
    role = {"user": gil.email.upper(), "role": Role.READER}
    assert client.post(f"{MEMBERS}add/", {**role, "tenant": acme.pk}).status_code == 302
    with acting_for(acme.id):
        given = TenantMembership.objects.get(user=gil)
        event = AuditEvent.objects.get(object_id=given.pk)
    assert (event.actor_id, event.data["after"]["role"]) == (tess.pk, Role.READER)
    assert "Select a valid choice" in client.post(f"{MEMBERS}add/", {**role, "tenant": globex.pk}).content.decode()
    too_much = {"user": gil.email, "role": Role.PROVIDER_ADMIN, "tenant": acme.pk}
    assert client.post(f"{MEMBERS}add/", too_much).status_code == 200
    assert client.post(f"{MEMBERS}{given.pk}/delete/", {"post": "yes"}).status_code == 302
    with acting_for(acme.id):
        assert not TenantMembership.objects.filter(user=gil).exists()


def test_nobody_takes_back_their_own_role(acme: Tenant, tess: User, browse: Callable[[User], Client]) -> None:
    with acting_for(acme.id):
        own = TenantMembership.objects.get(user=tess)
    answer = browse(tess).post(f"{MEMBERS}{own.pk}/delete/", {"post": "yes"})
    assert [str(message) for message in get_messages(answer.wsgi_request)] == [
        "You cannot take back your own role; ask another admin."
    ]
    with acting_for(acme.id):
        assert TenantMembership.objects.filter(pk=own.pk).exists()
        assert not AuditEvent.objects.filter(object_id=own.pk).exists()


def test_a_provider_admin_adds_people_and_it_is_on_the_providers_record(
    pia: User, browse: Callable[[User], Client], acme: Tenant
) -> None:
    client = browse(pia)
    person = {"email": "new@provider.example", "name": "New"}
    assert "needs a first password" in client.post(f"{USERS}add/", person).content.decode()
    assert "too short" in client.post(f"{USERS}add/", {**person, "password": "short"}).content.decode()
    assert client.post(f"{USERS}add/", {**person, "password": "correct horse battery"}).status_code == 302
    made = User.objects.get(email="new@provider.example")
    assert made.check_password("correct horse battery")
    with acting_for(PROVIDER_TENANT_ID):
        event = AuditEvent.objects.get(object_id=made.pk)
    assert event.actor_id == pia.pk
    assert "horse" not in str(event.data)
    assert client.post(f"{USERS}{made.pk}/change/", {"name": "New"}).status_code == 302
    made.refresh_from_db()
    assert not made.is_active


def test_a_provider_admin_cannot_switch_themselves_off(
    pia: User, acme: Tenant, browse: Callable[[User], Client]
) -> None:
    browse(pia).post(f"{USERS}{pia.pk}/change/", {"name": "Pia"})
    pia.refresh_from_db()
    assert pia.is_active


def test_passwords_hashes_cannot_be_filtered_by(pia: User, acme: Tenant, browse: Callable[[User], Client]) -> None:
    assert browse(pia).get(f"{USERS}?password__startswith=argon2").status_code == 400


def test_provider_staff_are_for_provider_admins(
    acme: Tenant, pia: User, tess: User, ada: User, browse: Callable[[User], Client]
) -> None:
    url = "/admin/access/providermembership/add/"
    role = {"user": ada.email, "role": Role.READER, "reach": "all"}
    assert browse(tess).post(url, role).status_code == 403
    assert browse(pia).post(url, role).status_code == 302
    assert ProviderMembership.objects.filter(user=ada, role=Role.READER).exists()


def test_addresses_that_get_the_providers_credential_are_not_a_tenant_admins_to_change(
    acme: Tenant, pia: User, tess: User, browse: Callable[[User], Client]
) -> None:
    with acting_for(acme.id):
        connection = Connection.objects.create(tenant=acme)
    url = f"/admin/connectors/connection/{connection.pk}/change/"
    elsewhere = dict.fromkeys(("login_url", "defender_url", "graph_url"), "https://elsewhere.example")
    assert browse(tess).post(url, elsewhere).status_code == 302
    with acting_for(acme.id):
        connection.refresh_from_db()
        event = AuditEvent.objects.get(object_id=connection.pk)
    assert (connection.is_enabled, connection.login_url) == (False, "https://login.microsoftonline.com")
    assert (event.data["before"]["is_enabled"], event.data["after"]["is_enabled"]) == ("True", "False")
    assert browse(pia).post(url, elsewhere).status_code == 302
    with acting_for(acme.id):
        connection.refresh_from_db()
    assert connection.login_url == "https://elsewhere.example"
