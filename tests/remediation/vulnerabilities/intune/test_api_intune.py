"""The API of Intune: the switch, tasks and what people do to them, and managed devices with their filters."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.access.models import User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import IntuneConnection, ManagedDevice, SecurityTask, SecurityTaskDevice
from tests.factories import make_device, make_key

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]


def call(client: Client, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
    return client.generic(method, f"/api/v1/{path}", json.dumps(body or {}), "application/json", headers=headers)


def make_task(tenant: Tenant, **fields: Any) -> SecurityTask:
    with acting_for(tenant.id):
        IntuneConnection.objects.get_or_create(tenant=tenant, is_on=True, may_update_tasks=True)
        values = {"remote_id": str(uuid4()), "kind": "app", "status": "pending", "display_name": "Update 7-Zip"}
        return SecurityTask.objects.create(tenant=tenant, **(values | fields))


def make_managed(tenant: Tenant, name: str, **fields: Any) -> ManagedDevice:
    with acting_for(tenant.id):
        return ManagedDevice.objects.create(tenant=tenant, intune_id=str(uuid4()), name=name, **fields)


def names(answer: Any, field: str = "name") -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row[field] for row in answer.json()["results"]]


def test_a_tenant_admin_connects_and_disconnects_intune(acme: Tenant, tess: User, ada: User, browse: Browse) -> None:
    wanted = {"tenant": str(acme.id), "is_on": True}
    assert call(browse(ada), "POST", "intune-connections/", wanted).status_code == 403

    made = call(browse(tess), "POST", "intune-connections/", wanted)

    assert (made.status_code, made.json()["is_on"], made.json()["health"]) == (201, True, "untried")
    assert call(browse(tess), "POST", "intune-connections/", wanted).status_code == 409
    path = f"intune-connections/{made.json()['id']}/"
    assert call(browse(ada), "PATCH", path, {"is_on": False}).status_code == 403
    assert call(browse(tess), "PATCH", path, {"is_on": False}).json()["is_on"] is False
    assert names(call(browse(ada), "GET", "intune-connections/?is_on=false"), "id") == [made.json()["id"]]


def test_a_key_never_switches_it_and_is_told_why(acme: Tenant, tess: User, browse: Browse) -> None:
    key = {"Authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"}
    wanted = {"tenant": str(acme.id), "is_on": True}
    refused = [call(Client(), "POST", "intune-connections/", wanted, **key)]
    assert names(call(browse(tess), "GET", "intune-connections/"), "id") == []
    made = call(browse(tess), "POST", "intune-connections/", wanted).json()
    path = f"intune-connections/{made['id']}/"

    refused += [
        call(Client(), "PATCH", path, changes, **key) for changes in ({"is_on": False}, {"may_update_tasks": True})
    ]

    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert {answer.json()["detail"] for answer in refused} == {
        "A person has to do this, signed in; an API key cannot, whatever its role."
    }
    assert names(call(browse(tess), "GET", "intune-connections/?is_on=true"), "id") == [made["id"]]


@pytest.mark.parametrize(
    ("verb", "status", "wanted"),
    [("accept", "pending", "active"), ("reject", "pending", "rejected"), ("complete", "active", "completed")],
)
def test_people_move_tasks_and_keys_do_not(
    acme: Tenant, ada: User, browse: Browse, verb: str, status: str, wanted: str
) -> None:
    task = make_task(acme, status=status)
    path = f"security-tasks/{task.pk}/{verb}/"
    key = {"Authorization": f"Api-Key {make_key(acme, Role.ANALYST)}"}
    assert call(Client(), "POST", path, {"note": "x"}, **key).status_code == 403

    answer = call(browse(ada), "POST", path, {"note": "Because."})

    assert (answer.status_code, answer.json()["wanted_status"], answer.json()["status"]) == (202, wanted, status)
    again = call(browse(ada), "POST", path, {"note": "Because."})
    assert again.status_code == 409


def test_a_rejection_without_a_note_names_the_field(acme: Tenant, ada: User, browse: Browse) -> None:
    task = make_task(acme)

    answer = call(browse(ada), "POST", f"security-tasks/{task.pk}/reject/")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "note")


def test_tasks_are_filtered_shown_with_their_devices_and_strangers_see_none(
    acme: Tenant, ada: User, gil: User, browse: Browse
) -> None:
    task = make_task(acme, status="rejected", admin_note="No.", raw={"id": "as received"})
    make_task(acme, kind="configuration", display_name="Turn on the firewall")
    with acting_for(acme.id):
        SecurityTaskDevice.objects.create(tenant=acme, task=task, entra_device_id="e-1", name="pc-1")

    client = browse(ada)
    assert names(call(client, "GET", "security-tasks/?status=rejected"), "admin_note") == ["No."]
    assert names(call(client, "GET", "security-tasks/?kind=configuration"), "display_name") == ["Turn on the firewall"]
    assert names(call(client, "GET", "security-tasks/?is_ours=true"), "id") == []
    assert call(client, "GET", f"security-tasks/{task.pk}/").json()["raw"] == {"id": "as received"}
    assert names(call(client, "GET", f"security-tasks/{task.pk}/devices/")) == ["pc-1"]
    stranger = browse(gil)
    assert names(call(stranger, "GET", "security-tasks/"), "id") == []
    for tail in ("", "devices/"):
        assert call(stranger, "GET", f"security-tasks/{task.pk}/{tail}").status_code == 404


def test_managed_devices_are_found_by_match_compliance_and_presence(acme: Tenant, ada: User, browse: Browse) -> None:
    make_managed(acme, "matched", device=make_device(acme), compliance_state="noncompliant")
    make_managed(acme, "alone")
    make_managed(acme, "gone", removed_at="2026-11-20T10:00:00Z")

    client = browse(ada)
    assert names(call(client, "GET", "managed-devices/?is_matched=true")) == ["matched"]
    assert names(call(client, "GET", "managed-devices/?is_matched=false&is_removed=false")) == ["alone"]
    assert names(call(client, "GET", "managed-devices/?is_removed=true")) == ["gone"]
    assert names(call(client, "GET", "managed-devices/?compliance_state=noncompliant")) == ["matched"]
    assert names(call(client, "GET", "managed-devices/?name=MATCH")) == ["matched"]
    assert call(client, "GET", "managed-devices/?matched=true").status_code == 400


@pytest.mark.parametrize("path", ["intune-connections", "security-tasks", "managed-devices"])
def test_a_list_costs_the_same_for_many(
    acme: Tenant, ada: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries, path: str
) -> None:
    for number in range(5):
        make_task(acme)
        make_managed(acme, f"pc-{number}", device=make_device(acme, f"pc-{number}"))
    client = browse(ada)
    client.get(f"/api/v1/{path}/")

    with django_assert_num_queries(8):
        answer = client.get(f"/api/v1/{path}/")

    assert UUID(answer.json()["results"][0]["tenant"]) == acme.id
