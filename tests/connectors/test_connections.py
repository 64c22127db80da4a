"""Connections and their own credentials: who may set them, what is shown of them, and what goes on record."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connectors.choosing import find_enabled
from connectors.clouds import ADDRESSES
from connectors.models import Connection, Health
from investigations.syncing import sync_tenant
from portal.access.models import User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.draining import way_out_of
from tests.factories import make_key

pytestmark = pytest.mark.django_db
SECRET = "Zebra-canary-client-secret"
Browse = Callable[[User], Client]


@pytest.fixture
def row(acme: Tenant) -> Connection:
    """Acme's connection."""
    with acting_for(acme.id):
        return Connection.objects.create(tenant=acme)


def send(client: Client, method: str, path: str, **body: Any) -> Any:
    return getattr(client, method)(f"/api/v1/connections/{path}", body, content_type="application/json")


def settings_of(tenant: Tenant) -> Any:
    with acting_for(tenant.id):
        found = find_enabled(tenant.id)
        assert found is not None
        return found.as_settings()


def an_hour_later(client: Client) -> Client:
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time() - 3600}]
    session.save()
    return client


def test_a_tenant_admin_sets_the_tenants_own_credential_and_nobody_reads_it_again(
    acme: Tenant, row: Connection, tess: User, browse: Browse, settings: Any
) -> None:
    settings.MICROSOFT_CLIENT_ID, settings.MICROSOFT_CLIENT_SECRET = "provider", "provider-secret"
    assert settings_of(acme).client_secret.reveal() == "provider-secret"
    client = browse(tess)
    assert send(client, "patch", f"{row.pk}/", client_id="own-app").status_code == 200
    assert settings_of(acme).client_id == "provider"  # until its secret is there too

    answer = send(client, "post", f"{row.pk}/set-client-secret/", client_secret=SECRET)

    assert answer.status_code == 200, answer.content
    assert answer.json()["client_secret_set_at"]
    own = settings_of(acme)
    assert (own.client_id, own.client_secret.reveal()) == ("own-app", SECRET)
    pages = [
        answer,
        client.get("/api/v1/connections/"),
        client.get(f"/api/v1/connections/{row.pk}/"),
        client.get(f"/admin/connectors/connection/{row.pk}/change/"),
        client.get(f"/admin/connectors/connection/{row.pk}/history/"),
        client.get("/api/v1/audit-events/"),
    ]
    assert [page.status_code for page in pages] == [200] * 6
    assert not [page for page in pages if SECRET.encode() in page.content]
    with acting_for(acme.id):
        [event] = AuditEvent.objects.filter(verb="connection.client_secret_set")
        assert SECRET not in str(event.data)
        assert event.actor_id == tess.pk
        assert SECRET.encode() not in bytes(Connection.objects.defer(None).get().client_secret_sealed or b"")


def test_without_a_client_id_the_secret_is_forgotten_and_the_providers_used(
    acme: Tenant, row: Connection, tess: User, browse: Browse
) -> None:
    client = browse(tess)
    assert send(client, "post", f"{row.pk}/set-client-secret/", client_secret=SECRET).status_code == 409
    send(client, "patch", f"{row.pk}/", client_id="own-app")
    send(client, "post", f"{row.pk}/set-client-secret/", client_secret=SECRET)
    assert send(client, "patch", f"{row.pk}/", client_id="").json()["client_secret_set_at"] is None
    assert settings_of(acme).client_secret.reveal() != SECRET


def test_lists_leave_the_sealed_secret_in_the_database(row: Connection, tess: User, browse: Browse) -> None:
    client = browse(tess)
    client.get("/api/v1/connections/")
    with CaptureQueriesContext(database) as queries:
        assert client.get("/api/v1/connections/").status_code == 200
    assert len([query for query in queries if "connectors_connection" in query["sql"]]) == 1
    assert not [query for query in queries if "client_secret_sealed" in query["sql"]]


@pytest.mark.parametrize("who", ["ren", "ada", "bob"])
def test_less_than_a_tenant_admin_changes_nothing(
    row: Connection, who: str, request: pytest.FixtureRequest, browse: Browse
) -> None:
    client = browse(request.getfixturevalue(who))
    assert send(client, "patch", f"{row.pk}/", is_enabled=False).status_code == 403
    assert send(client, "post", f"{row.pk}/set-client-secret/", client_secret=SECRET).status_code == 403


def test_a_foreign_connection_answers_as_an_unknown_one(row: Connection, gil: User, browse: Browse) -> None:
    client = browse(gil)
    assert client.get("/api/v1/connections/").json()["results"] == []
    for path in (f"{row.pk}/", f"{row.pk}/set-client-secret/"):
        method = "post" if "set" in path else "patch"
        assert send(client, method, path, client_secret=SECRET).status_code == 404


def test_an_old_second_factor_is_not_enough(row: Connection, tess: User, browse: Browse) -> None:
    client = an_hour_later(browse(tess))
    assert send(client, "post", f"{row.pk}/set-client-secret/", client_secret=SECRET).status_code == 403
    assert send(client, "patch", f"{row.pk}/", client_id="own-app").status_code == 403
    assert send(client, "patch", f"{row.pk}/", is_enabled=False).status_code == 200


def test_an_api_key_never_sets_a_credential(acme: Tenant, row: Connection) -> None:
    client = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"})
    assert send(client, "post", f"{row.pk}/set-client-secret/", client_secret=SECRET).status_code == 403
    assert send(client, "patch", f"{row.pk}/", client_id="own-app").status_code == 403
    assert send(client, "patch", f"{row.pk}/", graph_url="https://evil.example").status_code == 403
    assert send(client, "post", "", tenant=str(acme.id)).status_code == 403


def test_addresses_are_the_providers_to_change(row: Connection, tess: User, pia: User, browse: Browse) -> None:
    address = {"graph_url": "https://graph.microsoft.us"}
    assert send(browse(tess), "patch", f"{row.pk}/", **address).status_code == 403
    assert send(browse(pia), "patch", f"{row.pk}/", **address).json()["graph_url"] == address["graph_url"]


def test_an_address_without_tls_is_refused(row: Connection, pia: User, browse: Browse, settings: Any) -> None:
    settings.IS_DEVELOPMENT = False
    assert send(browse(pia), "patch", f"{row.pk}/", graph_url="http://graph.example").status_code == 400


def test_a_provider_admin_connects_a_tenant_once(acme: Tenant, tess: User, pia: User, browse: Browse) -> None:
    assert send(browse(tess), "post", "", tenant=str(acme.id)).status_code == 403
    answer = send(browse(pia), "post", "", tenant=str(acme.id), is_enabled=False)
    assert answer.status_code == 201, answer.content
    assert answer.json()["graph_url"] == "https://graph.microsoft.com"
    assert send(browse(pia), "post", "", tenant=str(acme.id)).status_code == 409
    with acting_for(acme.id):
        assert AuditEvent.objects.filter(verb="connection.created").count() == 1


def test_the_admin_takes_a_secret_and_says_since_when(
    acme: Tenant, row: Connection, tess: User, browse: Browse
) -> None:
    client, page = browse(tess), f"/admin/connectors/connection/{row.pk}/change/"
    saved = client.post(page, {"is_enabled": "on", "client_id": "own-app", "new_client_secret": SECRET})
    assert saved.status_code == 302, saved.content
    assert settings_of(acme).client_secret.reveal() == SECRET
    shown = client.get(page).content.decode()
    assert SECRET not in shown
    assert "Set on" in shown
    client.post(page, {"is_enabled": "on", "client_id": "own-app", "new_client_secret": ""})
    assert settings_of(acme).client_secret.reveal() == SECRET
    refused = an_hour_later(client).post(page, {"client_id": "other", "new_client_secret": "x" * 600})
    assert b"xxxx" not in refused.content
    assert settings_of(acme).client_id == "own-app"


def test_the_admin_connects_a_tenant(acme: Tenant, tess: User, pia: User, browse: Browse) -> None:
    page = "/admin/connectors/connection/add/"
    assert browse(tess).get(page).status_code == 403
    client = browse(pia)
    assert client.get(page).status_code == 200
    form = {"tenant": str(acme.id), "kind": "microsoft", "client_id": "own", "new_client_secret": SECRET}
    form |= {"cloud": "global", **dict.fromkeys(ADDRESSES, "https://one.example")}
    assert client.post(page, form).status_code == 302
    with acting_for(acme.id):
        assert Connection.objects.get().client_secret_set_at is not None


def test_a_secret_that_does_not_open_shows_in_the_health_and_stops_nobody_else(acme: Tenant, row: Connection) -> None:
    with acting_for(acme.id):
        Connection.objects.update(
            client_id="own-app", client_secret_sealed=b"\x01" * 60, client_secret_set_at=acme.created_at
        )
    assert sync_tenant(acme.id, lambda page: None) is False
    assert way_out_of(acme.id).connector is None
    with acting_for(acme.id):
        row.refresh_from_db()
    assert row.health == Health.CREDENTIAL_WRONG
    assert "does not open" in row.health_detail
    assert str(acme.id) in row.health_detail
