"""The pages of Intune: the switch with its health, tasks with what people do to them, and managed devices."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import IntuneConnection, ManagedDevice, SecurityTask, SecurityTaskDevice
from remediation.vulnerabilities.states import IntuneHealth, TaskStatus
from tests.factories import make_device

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
ADMIN = "/admin/vulnerabilities/"


def page(client: Client, path: str, **sent: Any) -> str:
    answer = client.post(ADMIN + path, sent, follow=True) if sent else client.get(ADMIN + path)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def make_task(tenant: Tenant, **fields: Any) -> SecurityTask:
    with acting_for(tenant.id):
        values = {"remote_id": str(uuid4()), "kind": "app", "status": "pending", "display_name": "Update 7-Zip"}
        return SecurityTask.objects.create(tenant=tenant, **(values | fields))


def connect(tenant: Tenant, **fields: Any) -> IntuneConnection:
    with acting_for(tenant.id):
        return IntuneConnection.objects.create(tenant=tenant, **({"is_on": True, "may_update_tasks": True} | fields))


def test_a_tenant_admin_turns_intune_on_and_off(acme: Tenant, tess: User, browse: Browse) -> None:
    client = browse(tess)
    offer = "Connect a tenant&#x27;s Intune"
    assert offer in page(client, "intuneconnection/")
    assert f'<option value="{acme.id}" selected>' in page(client, "intuneconnection/add/"), "there is only this one"

    shown = page(client, "intuneconnection/add/", tenant=str(acme.id), is_on="on", may_update_tasks="on")
    assert "Microsoft Intune connection of Acme" in shown

    with acting_for(acme.id):
        made = IntuneConnection.objects.get()
    assert (made.is_on, made.may_update_tasks) == (True, True)
    assert offer not in page(client, "intuneconnection/"), "each tenant has one at most"
    assert str(acme.id) not in page(client, "intuneconnection/add/")
    assert "Select a valid choice" in page(client, "intuneconnection/add/", tenant=str(acme.id))
    page(client, f"intuneconnection/{made.pk}/change/", may_update_tasks="on")
    with acting_for(acme.id):
        made.refresh_from_db()
    assert (made.is_on, made.may_update_tasks) == (False, True)


def test_the_page_says_what_is_wrong_and_what_to_do(acme: Tenant, ren: User, browse: Browse) -> None:
    row = connect(acme, health=IntuneHealth.PERMISSIONS_MISSING, health_detail="Missing: Some.Read.All. HTTP 403")

    shown = page(browse(ren), f"intuneconnection/{row.pk}/change/")

    for words in ("Permissions missing", "Missing: Some.Read.All", "tickets fail and say so", "consent again"):
        assert words in shown
    assert 'name="_save"' not in shown  # a reader changes nothing
    assert "Intune connections in trouble" in browse(ren).get("/admin/").content.decode()


def test_an_analyst_rejects_a_task_with_a_note(acme: Tenant, ada: User, browse: Browse) -> None:
    connect(acme)
    task = make_task(acme)
    client = browse(ada)
    shown = page(client, f"securitytask/{task.pk}/change/")
    assert (f"{task.pk}/accept/decide/" in shown, f"{task.pk}/complete/decide/" in shown) == (True, False)

    path = f"securitytask/{task.pk}/reject/decide/"
    assert "cannot be opened again" in page(client, path)
    assert "Say why it is rejected" in page(client, path, note=" ")
    assert "Intune is being asked" in page(client, path, note="Not here.")

    with acting_for(acme.id):
        task.refresh_from_db()
    assert (task.wanted_status, task.wanted_note) == (TaskStatus.REJECTED, "Not here.")
    shown = page(client, f"securitytask/{task.pk}/change/")
    assert "Intune is being asked to make it “Rejected”" in shown
    assert "/decide/" not in shown
    assert "<td>Not here.</td>" in shown, "the history says why"


def test_where_the_tenant_does_not_allow_it_no_verb_is_offered_nor_taken(
    acme: Tenant, ada: User, ren: User, browse: Browse
) -> None:
    connect(acme, may_update_tasks=False)
    task = make_task(acme)

    assert "this tenant does not let Quell do it" in page(browse(ada), f"securitytask/{task.pk}/change/")
    assert "does not let tasks be accepted" in page(browse(ada), f"securitytask/{task.pk}/accept/decide/", note="x")
    assert browse(ren).post(f"{ADMIN}securitytask/{task.pk}/accept/decide/", {"note": "x"}).status_code == 403
    with acting_for(acme.id):
        task.refresh_from_db()
    assert task.wanted_status == ""


def test_a_task_shows_the_admins_note_its_devices_and_why_it_is_as_it_is(
    acme: Tenant, ren: User, gil: User, browse: Browse
) -> None:
    task = make_task(acme, status="rejected", admin_note="<b>No</b>", detail="Because of that.")
    with acting_for(acme.id):
        SecurityTaskDevice.objects.create(tenant=acme, task=task, entra_device_id="e-1", name="=cmd|pc")

    shown = page(browse(ren), f"securitytask/{task.pk}/change/")

    for words in ("&lt;b&gt;No&lt;/b&gt;", "Because of that.", "=cmd|pc", "1 device."):
        assert words in shown
    assert browse(gil).get(f"{ADMIN}securitytask/{task.pk}/change/").status_code == 404


@pytest.mark.parametrize("path", ["securitytask/", "manageddevice/"])
def test_a_list_costs_the_same_for_many(
    acme: Tenant, ada: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries, path: str
) -> None:
    for number in range(5):
        make_task(acme)
        device = make_device(acme, f"pc-{number}")
        with acting_for(acme.id):
            ManagedDevice.objects.create(tenant=acme, intune_id=str(number), name=f"pc-{number}", device=device)
    client = browse(ada)
    page(client, path)

    with django_assert_num_queries(12):
        shown = page(client, path)

    assert all(f"pc-{number}" in shown for number in range(5)) or shown.count("Update 7-Zip") == 5


def test_managed_devices_are_found_by_what_defender_knows(acme: Tenant, ada: User, browse: Browse) -> None:
    with acting_for(acme.id):
        ManagedDevice.objects.create(tenant=acme, intune_id="1", name="alone", compliance_state="noncompliant")
    matched = make_device(acme, "matched")
    with acting_for(acme.id):
        row = ManagedDevice.objects.create(tenant=acme, intune_id="2", name="pc-2", device=matched)

    shown = page(browse(ada), "manageddevice/?device__isempty=1&compliance_state=noncompliant")

    assert ("alone" in shown, "pc-2" in shown) == (True, False)
    assert f"/admin/investigations/device/{matched.pk}/change/" in page(browse(ada), f"manageddevice/{row.pk}/change/")
