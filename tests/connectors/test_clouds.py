"""National clouds: which addresses they fill in, what they lack, and that the table of permissions knows every type."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from connectors.clouds import ADDRESSES, PLACES, Cloud, lacking, reason_against
from connectors.microsoft.permissions import DEFENDER, GRAPH, PERMISSIONS, missing, permissions_of
from connectors.models import Connection
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.catalogue import CATALOGUE, Route

Browse = Callable[[User], Client]
OVER_APIS = [name for name, type_ in CATALOGUE.items() if type_.route not in (Route.PORTAL_LINK, Route.QUELL)]


@pytest.mark.parametrize("name", OVER_APIS)
def test_every_type_that_goes_over_an_api_says_what_it_needs(name: str) -> None:
    assert permissions_of(name)


def test_no_permission_is_asked_for_that_nothing_uses() -> None:
    used = {name for row in PERMISSIONS for name in row.action_types}
    assert used == set(OVER_APIS)
    assert [row.name for row in PERMISSIONS if not row.action_types and not row.readings] == []


def test_a_permission_to_write_includes_the_one_to_read() -> None:
    all_but_reading = {row.name for row in PERMISSIONS} - {"SecurityAlert.Read.All", "Machine.Read.All"}
    assert "SecurityAlert.ReadWrite.All" in all_but_reading
    assert missing(GRAPH, all_but_reading) == []
    assert missing(DEFENDER, all_but_reading) == ["Machine.Read.All"]
    assert missing(GRAPH, []) == [row.name for row in PERMISSIONS if row.api == GRAPH]
    assert "ThreatHunting.Read.All" not in missing(GRAPH, [], lacking=lacking(Cloud.CHINA))


@pytest.mark.parametrize(
    ("cloud", "offered", "refused"),
    [
        (Cloud.GLOBAL, OVER_APIS, []),
        (Cloud.GCC, OVER_APIS, []),
        (Cloud.GCC_HIGH, ["isolate_device", "classify_alert", "block_url"], ["soft_delete_email", "submit_url"]),
        (Cloud.DOD, ["request_sample", "turn_off_forwarding"], ["quarantine_email", "submit_email"]),
        (Cloud.CHINA, ["block_url"], ["isolate_device", "classify_alert", "hard_delete_email"]),
    ],
)
def test_what_a_cloud_does_not_offer_is_refused_with_the_reason(
    cloud: Cloud, offered: list[str], refused: list[str]
) -> None:
    assert [name for name in offered if reason_against(name, cloud)] == []
    for name in refused:
        assert str(cloud.label) in str(reason_against(name, cloud))


def send(client: Client, method: str, path: str, **body: Any) -> Any:
    return getattr(client, method)(f"/api/v1/connections/{path}", body, content_type="application/json")


@pytest.mark.django_db
def test_a_cloud_fills_in_its_addresses_and_is_the_providers_to_choose(
    acme: Tenant, globex: Tenant, tess: User, pia: User, browse: Browse
) -> None:
    with acting_for(acme.id):
        row = Connection.objects.create(tenant=acme)
    assert send(browse(tess), "patch", f"{row.pk}/", cloud="gcc_high").status_code == 403
    client = browse(pia)

    changed = send(client, "patch", f"{row.pk}/", cloud="gcc_high", graph_url="https://own.example").json()

    place = PLACES[Cloud.GCC_HIGH]
    assert {name: changed[name] for name in ADDRESSES} == {
        **{name: getattr(place, name) for name in ADDRESSES},
        "graph_url": "https://own.example",
    }
    with acting_for(acme.id):
        assert Connection.objects.select_related("tenant").get().as_settings().cloud == "gcc_high"
    made = send(client, "post", "", tenant=str(globex.id), cloud="dod", defender_url="https://d.example").json()
    assert (made["graph_url"], made["defender_url"]) == (PLACES[Cloud.DOD].graph_url, "https://d.example")


@pytest.mark.django_db
def test_a_capability_is_switched_on_by_provider_admins_and_reaches_the_connector(
    acme: Tenant, tess: User, pia: User, browse: Browse
) -> None:
    with acting_for(acme.id):
        row = Connection.objects.create(tenant=acme)
    wanted = {"capabilities": ["move_to_quarantine"]}
    assert send(browse(tess), "patch", f"{row.pk}/", **wanted).status_code == 403
    assert send(browse(pia), "patch", f"{row.pk}/", capabilities=["fly"]).status_code == 400
    assert send(browse(pia), "patch", f"{row.pk}/", **wanted).json()["capabilities"] == wanted["capabilities"]
    page = browse(tess).post(f"/admin/connectors/connection/{row.pk}/change/", {"is_enabled": "on"})
    assert page.status_code == 302  # the form without the box does not switch it off
    with acting_for(acme.id):
        found = Connection.objects.select_related("tenant").get().as_settings()
    assert found.capabilities == {"move_to_quarantine"}
    shown = browse(pia).get(f"/admin/connectors/connection/{row.pk}/change/").content.decode()
    [box] = [line for line in shown.splitlines() if 'value="move_to_quarantine"' in line]
    assert "checked" in box
