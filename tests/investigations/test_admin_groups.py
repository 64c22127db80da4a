"""The page of device groups: saved whole, with what it moved told, by those who manage them."""

from collections.abc import Callable

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from investigations.models import Device, DeviceGroup
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.factories import default_group, make_device, make_group

GROUPS = "/admin/investigations/devicegroup/"


def group_form(*rules: tuple[str, str, str], **fields: object) -> dict[str, object]:
    """What the page sends."""
    sent: dict[str, object] = {"name": "Servers", "rank": 1, "automation_level": "full", **fields}
    sent |= {"rules-TOTAL_FORMS": len(rules), "rules-INITIAL_FORMS": 0}
    for number, (looked_at, operator, value) in enumerate(rules):
        sent |= {
            f"rules-{number}-property": looked_at,
            f"rules-{number}-operator": operator,
            f"rules-{number}-value": value,
        }
    return sent


@pytest.fixture
def server(acme: Tenant) -> Device:
    """A server that no group's rules take yet."""
    return make_device(acme, "srv-1")


def test_a_new_group_takes_the_devices_that_fit_and_says_how_many(
    acme: Tenant, server: Device, tess: User, browse: Callable[[User], Client]
) -> None:
    answer = browse(tess).post(f"{GROUPS}add/", group_form(("name", "starts_with", "srv-"), tenant=acme.pk))
    assert "1 device changed its group." in [str(message) for message in get_messages(answer.wsgi_request)]
    with acting_for(acme.id):
        group = DeviceGroup.objects.get(name="Servers")
        assert Device.objects.get(pk=server.pk).group == group
        assert AuditEvent.objects.filter(object_id=group.pk, actor_id=tess.pk).count() == 1
    page = browse(tess).get(f"{GROUPS}{group.pk}/change/").content.decode()
    assert "srv-" in page


def test_the_rules_sent_replace_the_ones_there(
    acme: Tenant, server: Device, tess: User, browse: Callable[[User], Client]
) -> None:
    client = browse(tess)
    client.post(f"{GROUPS}add/", group_form(("name", "starts_with", "srv-"), tenant=acme.pk))
    with acting_for(acme.id):
        group = DeviceGroup.objects.get(name="Servers")
        rule = group.rules.get()
    sent = group_form(("name", "starts_with", "db-"), name="Databases")
    sent |= {"rules-INITIAL_FORMS": 1, "rules-0-id": rule.pk}
    assert client.post(f"{GROUPS}{group.pk}/change/", sent).status_code == 302
    with acting_for(acme.id):
        group.refresh_from_db()
        assert (group.name, [row.value for row in group.rules.all()]) == ("Databases", ["db-"])
        assert Device.objects.get(pk=server.pk).group.is_default


def test_the_default_group_keeps_its_place_and_only_its_level_changes(
    acme: Tenant, tess: User, browse: Callable[[User], Client]
) -> None:
    group = default_group(acme)
    client = browse(tess)
    client.post(f"{GROUPS}{group.pk}/change/", {"automation_level": "no_automated_response", "name": "Mine", "rank": 1})
    assert client.post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 403
    with acting_for(acme.id):
        group.refresh_from_db()
    assert (group.name, group.automation_level) == ("Ungrouped devices", "no_automated_response")


def test_a_deleted_groups_devices_go_where_they_fit(acme: Tenant, tess: User, browse: Callable[[User], Client]) -> None:
    group = make_group(acme)
    device = make_device(acme, group=group)
    assert browse(tess).get(f"{GROUPS}{group.pk}/delete/").status_code == 200
    assert browse(tess).post(f"{GROUPS}{group.pk}/delete/", {"post": "yes"}).status_code == 302
    with acting_for(acme.id):
        assert not DeviceGroup.objects.filter(pk=group.pk).exists()
        assert Device.objects.get(pk=device.pk).group.is_default


def test_a_name_in_use_is_refused_and_a_rank_in_use_gets_room(
    acme: Tenant, tess: User, browse: Callable[[User], Client]
) -> None:
    first = make_group(acme, "Servers", rank=1)
    same_name = browse(tess).post(f"{GROUPS}add/", group_form(tenant=acme.pk))
    assert "already exists" in same_name.content.decode()
    assert browse(tess).post(f"{GROUPS}add/", group_form(tenant=acme.pk, name="Kiosks")).status_code == 302
    with acting_for(acme.id):
        first.refresh_from_db()
        assert (first.rank, DeviceGroup.objects.get(name="Kiosks").rank) == (2, 1)


def test_a_refusal_is_told_and_saves_nothing(acme: Tenant, tess: User, browse: Callable[[User], Client]) -> None:
    answer = browse(tess).post(f"{GROUPS}add/", group_form(tenant=acme.pk, rank=0))
    page = answer.content.decode()
    assert "A rank is a number from 1; 1 is highest." in page
    assert 'value="Servers"' in page, "what was typed stays"
    with acting_for(acme.id):
        assert not DeviceGroup.objects.filter(name="Servers").exists()


def test_nobody_makes_a_group_for_a_tenant_they_do_not_manage(
    acme: Tenant, globex: Tenant, tess: User, bob: User, browse: Callable[[User], Client]
) -> None:
    foreign = browse(tess).post(f"{GROUPS}add/", group_form(tenant=globex.pk))
    assert "Select a valid choice" in foreign.content.decode()
    assert browse(bob).post(f"{GROUPS}add/", group_form(tenant=acme.pk)).status_code == 403
