"""Who may say where a tenant's people sign in: in the admin and the API, with a fresh second factor, on record."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from portal.access.actors import Actor
from portal.access.exceptions import Forbidden
from portal.access.models import User
from portal.access.sign_in.identity_providers import Wanted, find_organisation, save_identity_provider
from portal.access.sign_in.models import IdentityProvider
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for
from tests.portal.access.sign_in.codes import give_app

pytestmark = pytest.mark.django_db

SECRET = "canary-client-secret"
API = "/api/v1/identity-providers/"


def wanted(tenant_id: Any, **changes: Any) -> dict[str, Any]:
    values = {"tenant": str(tenant_id), "issuer": "https://idp.acme.example", "client_id": "quell"}
    return {**values, "client_secret": SECRET, **changes}


def stale(client: Client) -> None:
    """Let the second factor be six minutes old."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 360
    session.save()


def stored(tenant_id: Any) -> IdentityProvider:
    with acting_for(tenant_id):
        return IdentityProvider.objects.get()


def test_a_tenant_admin_makes_changes_and_deletes_it_and_the_secret_never_comes_out(
    acme: Tenant, tess: User, browse
) -> None:
    client = browse(tess)
    made = client.post(API, wanted(acme.id), "application/json")
    assert made.status_code == 201
    place = f"{API}{made.json()['id']}/"
    changed = client.patch(place, {"client_id": "quell-2"}, "application/json")
    assert changed.json()["client_id"] == "quell-2"
    found = find_organisation("acme")
    assert found is not None
    assert (found.client_id, found.client_secret) == ("quell-2", SECRET)
    assert SECRET.encode() not in bytes(stored(acme.id).sealed_client_secret)
    shown = [client.get(path).content.decode() for path in (API, place, "/admin/sign_in/identityprovider/")]
    assert client.delete(place).status_code == 204
    with acting_for(acme.id):
        events = list(AuditEvent.objects.filter(verb__startswith="identity_provider").order_by("seq"))
    assert [event.verb.partition(".")[2] for event in events] == ["added", "changed", "deleted"]
    assert events[1].data["before"]["client_id"] == "quell"
    assert SECRET not in f"{shown}{[event.data for event in events]}{made.content!r}{changed.content!r}{found!r}"
    assert SECRET.encode() not in bytes(
        IdentityProvider.objects.none().model(sealed_client_secret=b"").sealed_client_secret
    )


def test_it_needs_the_right_and_a_fresh_second_factor(acme: Tenant, ada: User, gil: User, tess: User, browse) -> None:
    assert browse(ada).post(API, wanted(acme.id), "application/json").status_code == 403
    assert browse(gil).post(API, wanted(acme.id), "application/json").status_code == 400
    client = browse(tess)
    stale(client)
    refused = client.post(API, wanted(acme.id), "application/json")
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/second-factor-needed")
    with acting_for(acme.id):
        assert not IdentityProvider.objects.exists()


def test_only_who_administers_the_provider_says_where_its_staff_sign_in(
    acme: Tenant, tess: User, pia: User, browse
) -> None:
    assert browse(tess).post(API, wanted(PROVIDER_TENANT_ID), "application/json").status_code == 400
    assert browse(pia).post(API, wanted(PROVIDER_TENANT_ID), "application/json").status_code == 201
    assert stored(PROVIDER_TENANT_ID).client_id == "quell"
    assert browse(tess).get(API).json()["results"] == []


def test_the_service_asks_for_the_right_whoever_calls_it(
    acme: Tenant, ada: User, tess: User, as_actor: Callable[[User], Actor]
) -> None:
    values = Wanted("https://idp.acme.example", "quell", SECRET, None, True)
    for user, tenant_id in ((ada, acme.id), (tess, PROVIDER_TENANT_ID)):
        with pytest.raises(Forbidden):
            save_identity_provider(tenant_id, values, actor=as_actor(user))


def test_the_admin_page_leads_to_a_fresh_second_factor_and_back(acme: Tenant, tess: User, browse) -> None:
    give_app(tess)
    client, page = browse(tess), "/admin/sign_in/identityprovider/add/"
    form = {**wanted(acme.id), "is_enabled": "on"}
    stale(client)
    asked = client.post(page, form, headers={"Referer": f"http://testserver{page}"})
    assert asked["Location"] == "/accounts/2fa/reauthenticate/?next=%2Fadmin%2Fsign_in%2Fidentityprovider%2Fadd%2F"
    with acting_for(acme.id):
        assert not IdentityProvider.objects.exists()
    foreign = client.post(page, form, headers={"Referer": "https://evil.example/x"})
    assert foreign["Location"] == asked["Location"]
    assert browse(tess).post(page, form).status_code == 302
    assert stored(acme.id).issuer == "https://idp.acme.example"
    kept = {**form, "client_secret": "", "client_id": "other"}
    change = f"/admin/sign_in/identityprovider/{stored(acme.id).pk}/change/"
    assert browse(tess).post(change, kept).status_code == 302
    found = find_organisation("acme")
    assert found is not None
    assert (found.client_id, found.client_secret) == ("other", SECRET)
    assert SECRET not in browse(tess).get(change).content.decode()


def test_another_tenants_is_not_there(acme: Tenant, globex: Tenant, tess: User, pia: User, browse) -> None:
    browse(pia).post(API, wanted(globex.id), "application/json")
    row = stored(globex.id)
    assert browse(tess).get(f"{API}{row.pk}/").status_code == 404
    assert browse(tess).get(f"/admin/sign_in/identityprovider/{row.pk}/change/").status_code == 404
