"""Device groups over HTTP: Tess, the tenant's own admin, sorts devices; nobody else may."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from investigations.models import Device, DeviceGroup
from portal.audit.models import AuditEvent
from portal.tenancy.scope import acting_for
from tests.factories import default_group, make_device, make_group

GROUPS = "/api/v1/device-groups/"
SERVERS = {
    "name": "Servers",
    "rank": 1,
    "automation_level": "full",
    "rules": [{"property": "name", "operator": "starts_with", "value": "srv"}],
}


def call(client: Client, method: str, path: str, body: object = None, **headers: str) -> Any:
    """Send JSON."""
    return getattr(client, method)(path, body, content_type="application/json", headers=headers)


def test_a_new_group_takes_the_devices_that_fit_and_gives_them_back(acme, tess, browse):
    fits, stays = make_device(acme, "srv-1"), make_device(acme, "pc-1")
    client = browse(tess)

    made = call(client, "post", GROUPS, SERVERS | {"tenant": str(acme.id)})

    assert made.status_code == 201
    assert (made.json()["devices_moved"], made.json()["rules"]) == (1, SERVERS["rules"])
    assert client.get(f"/api/v1/devices/{fits.pk}/").json()["automation_level"] == "full"
    assert client.get(f"/api/v1/devices/{stays.pk}/").json()["automation_level"] == "semi_all_folders"

    path = f"{GROUPS}{made.json()['id']}/"
    assert call(client, "delete", path).status_code == 204
    assert client.get(path).status_code == 404
    with acting_for(acme.id):
        assert Device.objects.get(pk=fits.pk).group.is_default


def test_changing_one_thing_leaves_the_others(acme, tess, browse):
    made = call(browse(tess), "post", GROUPS, SERVERS | {"tenant": str(acme.id)}).json()
    path = f"{GROUPS}{made['id']}/"

    changed = call(browse(tess), "patch", path, {"automation_level": "semi_core_folders"}).json()
    assert {name: changed[name] for name in SERVERS} == SERVERS | {"automation_level": "semi_core_folders"}
    assert call(browse(tess), "patch", path, {"rules": []}).json()["rules"] == []
    with acting_for(acme.id):
        verbs = AuditEvent.objects.filter(object_id=made["id"]).order_by("seq").values_list("verb", flat=True)
        assert list(verbs) == ["device_group.created", "device_group.changed", "device_group.changed"]


def test_a_rank_that_is_taken_moves_the_others_down(acme, tess, browse):
    first = make_group(acme, "First", rank=1)
    default_group(acme)

    made = call(browse(tess), "post", GROUPS, SERVERS | {"tenant": str(acme.id)}).json()

    assert made["rank"] == 1
    assert browse(tess).get(f"{GROUPS}{first.pk}/").json()["rank"] == 2


def test_the_default_group_changes_its_level_alone(acme, tess, browse):
    path = f"{GROUPS}{default_group(acme).pk}/"
    client = browse(tess)

    assert call(client, "patch", path, {"automation_level": "full"}).json()["automation_level"] == "full"
    refused = call(client, "patch", path, {"name": "Mine", "rules": []})
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["name", "rules"]
    assert call(client, "delete", path).status_code == 409


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"name": "Taken"},
        {"rank": 0},
        {"rank": 10**30},
        {"rank": "first"},
        {"automation_level": "wild"},
        {"rules": [{"property": "smell", "operator": "equals", "value": "x"}]},
        {"rules": [{"property": "name", "operator": "equals", "value": ""}]},
        {"rules": "all"},
        {"rules": [7]},
    ],
)
def test_what_makes_no_sense_is_refused(acme, tess, browse, changes):
    make_group(acme, "Taken", rank=7)

    answer = call(browse(tess), "post", GROUPS, SERVERS | {"tenant": str(acme.id)} | changes)

    assert answer.status_code == 400
    with acting_for(acme.id):
        assert DeviceGroup.objects.filter(is_default=False).count() == 1


def test_only_who_manages_groups_may(acme, globex, bob, gil, browse):
    group = make_group(acme, "Servers")
    path = f"{GROUPS}{group.pk}/"

    assert call(browse(bob), "post", GROUPS, SERVERS | {"tenant": str(acme.id), "name": "Mine"}).status_code == 403
    assert call(browse(bob), "patch", path, {"automation_level": "full"}).status_code == 403
    assert call(browse(bob), "delete", path).status_code == 403
    assert call(browse(gil), "patch", path, {"automation_level": "full"}).status_code == 404
    assert call(browse(gil), "delete", path).status_code == 404
    foreign = call(browse(gil), "post", GROUPS, SERVERS | {"tenant": str(acme.id)})
    unknown = call(browse(gil), "post", GROUPS, SERVERS | {"tenant": str(group.pk)})
    assert foreign.status_code == unknown.status_code == 400
    assert foreign.json() == unknown.json()


def test_a_replay_creates_one_group(acme, tess, browse):
    body = SERVERS | {"tenant": str(acme.id)}

    first, again = (call(browse(tess), "post", GROUPS, body, **{"Idempotency-Key": "one"}) for _ in range(2))

    assert first.json() == again.json()
    assert (first.status_code, again.status_code) == (201, 201)


@pytest.mark.django_db(transaction=True)
def test_two_who_want_one_rank_at_once_both_get_a_place(acme, tess, browse):
    def create(name: str) -> int:
        try:
            body = SERVERS | {"tenant": str(acme.id), "name": name}
            return int(call(browse(tess), "post", GROUPS, body).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(create, ["One", "Two", "Three", "Four"]))

    assert codes == [201, 201, 201, 201]
    with acting_for(acme.id):
        ranks = DeviceGroup.objects.filter(is_default=False).values_list("rank", flat=True)
        assert sorted(ranks) == [1, 2, 3, 4]
