"""What holds tickets and moves back, a freeze above all; and tickets that failed, sent again by a person."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from portal.access.exceptions import Conflict, Forbidden
from portal.access.models import User
from portal.audit.recording import ActorStamp
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.draining import way_out_of
from remediation.catalogue import Route
from remediation.safeguards import freezes
from remediation.vulnerabilities.intune import sending
from remediation.vulnerabilities.intune.deciding import send_again
from remediation.vulnerabilities.models import ActivityDevice, IntuneConnection, RemediationActivity
from remediation.vulnerabilities.states import TaskStatus
from tests.remediation.actions.conftest import Vendor
from tests.remediation.vulnerabilities.intune.conftest import (
    change,
    events_of,
    in_intune,
    make_devices,
    make_ticket,
    reread,
    send,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

OPERATOR = ActorStamp(None, "Command line")


def freeze(tenant: Tenant | None, **level: str) -> Any:
    """Stop sending for a tenant, or for all of them."""
    return freezes.stop_sending(tenant.id if tenant else PROVIDER_TENANT_ID, by=OPERATOR, reason="Enough.", **level)


@pytest.mark.parametrize("whose", ["tenant", "everybody"])
def test_a_freeze_lets_tickets_and_moves_wait_say_why_and_go_on_by_themselves(
    intune_on: Tenant, vendor: Vendor, ada: User, whose: str
) -> None:
    there = make_ticket(intune_on, [], title="There")
    send(intune_on)
    change(there, wanted_status=TaskStatus.ACTIVE, wanted_by=ada)
    new = make_ticket(intune_on, [], title="New")
    frozen = freeze(intune_on if whose == "tenant" else None)

    send(intune_on)

    assert (reread(new).status, reread(new).attempts, reread(there).wanted_status) == (
        TaskStatus.WAITING, 0, TaskStatus.ACTIVE,
    )  # fmt: skip
    assert "frozen" in reread(new).detail
    assert "frozen" in reread(there).detail
    assert [row["status"] for row in in_intune(vendor, intune_on)] == ["pending"]

    freezes.lift(frozen.tenant_id, frozen.pk, by=OPERATOR)
    send(intune_on)
    assert (reread(new).status, reread(new).detail) == (TaskStatus.PENDING, "")
    assert (reread(there).status, reread(there).detail) == (TaskStatus.ACTIVE, "")


def test_a_freeze_of_what_goes_by_graph_holds_tickets_and_one_of_another_way_or_one_action_does_not(
    intune_on: Tenant, vendor: Vendor
) -> None:
    task = make_ticket(intune_on, [])
    freeze(intune_on, connector=Route.DEFENDER)
    freeze(intune_on, action_type="isolate_device")
    graph = freeze(intune_on, connector=Route.GRAPH)
    send(intune_on)
    assert reread(task).status == TaskStatus.WAITING

    freezes.lift(intune_on.id, graph.pk, by=OPERATOR)
    send(intune_on)
    assert reread(task).status == TaskStatus.PENDING


def test_what_is_in_doubt_is_looked_up_during_a_freeze_for_that_sends_nothing(
    intune_on: Tenant, vendor: Vendor, settings: Settings
) -> None:
    settings.ACTION_QUIET_SECONDS = 0.0
    task = make_ticket(intune_on, [])
    change(task, status=TaskStatus.UNCONFIRMED, sent_at="2020-01-01T00:00:00Z")
    freeze(intune_on)

    send(intune_on)
    send(intune_on)

    assert (reread(task).status, in_intune(vendor, intune_on)) == (TaskStatus.WAITING, [])


@pytest.mark.parametrize("what", ["frozen", "off"])
def test_what_is_stopped_after_the_claim_is_not_sent(
    intune_on: Tenant, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    task = make_ticket(intune_on, make_devices(intune_on, 1))

    def meanwhile(tenant_id: Any) -> Any:
        if what == "frozen":
            freeze(intune_on)
        else:
            with acting_for(tenant_id):
                IntuneConnection.objects.update(is_on=False)
        return way_out_of(tenant_id)

    monkeypatch.setattr(sending, "way_out_of", meanwhile)

    sending.send_due(intune_on.id)

    assert (reread(task).status, in_intune(vendor, intune_on)) == (TaskStatus.WAITING, [])
    assert ("frozen" if what == "frozen" else "is off") in reread(task).detail


def test_a_failed_ticket_is_sent_again_by_a_person(
    intune_on: Tenant, vendor: Vendor, ada: User, ren: User, as_actor: Any
) -> None:
    vendor.seed(intune_on, withheld_roles=["DeviceManagementApps.ReadWrite.All"])
    task = make_ticket(intune_on, make_devices(intune_on, 1))
    send(intune_on)
    assert reread(task).status == TaskStatus.FAILED
    vendor.seed(intune_on, withheld_roles=[])
    send(intune_on)
    assert reread(task).status == TaskStatus.FAILED  # never by itself

    with acting_for(intune_on.id):
        for actor in (as_actor(ren), replace(as_actor(ada), is_key=True)):
            with pytest.raises(Forbidden):
                send_again(task.pk, actor=actor)
        send_again(task.pk, actor=as_actor(ada))
        with pytest.raises(Conflict):
            send_again(task.pk, actor=as_actor(ada))
    send(intune_on)

    assert (reread(task).status, len(in_intune(vendor, intune_on))) == (TaskStatus.PENDING, 1)
    assert [verb for verb, _data in events_of(task)] == [
        "security_task.failed", "security_task.sent_again", "security_task.changed",
    ]  # fmt: skip
    with acting_for(intune_on.id):
        assert ActivityDevice.objects.get().sent_to_intune


@pytest.mark.parametrize("what", ["over", "gone", "off"])
def test_a_ticket_that_makes_no_sense_any_more_is_not_sent_again(
    intune_on: Tenant, ada: User, as_actor: Any, what: str
) -> None:
    task = make_ticket(intune_on, [])
    change(task, status=TaskStatus.FAILED, **({"activity": None} if what == "gone" else {}))
    with acting_for(intune_on.id):
        if what == "over":
            RemediationActivity.objects.update(state="completed", completion="system")
        if what == "off":
            IntuneConnection.objects.update(is_on=False)
        with pytest.raises(Conflict):
            send_again(task.pk, actor=as_actor(ada))

    assert reread(task).status == TaskStatus.FAILED


def test_the_api_and_the_page_send_it_again(
    intune_on: Tenant, ada: User, ren: User, browse: Callable[[User], Client]
) -> None:
    task = make_ticket(intune_on, [])
    page = f"/admin/vulnerabilities/securitytask/{task.pk}"
    assert f"{page}/send-again/" not in browse(ada).get(f"{page}/change/").content.decode()
    change(task, status=TaskStatus.FAILED, detail="HTTP 403")
    path = f"/api/v1/security-tasks/{task.pk}/send-again/"
    assert browse(ren).post(path).status_code == 403

    answer = browse(ada).post(path, json.dumps({}), "application/json")

    assert (answer.status_code, answer.json()["status"], answer.json()["detail"]) == (202, "waiting", "")
    change(task, status=TaskStatus.FAILED, detail="HTTP 403")
    assert f"{page}/send-again/" in browse(ada).get(f"{page}/change/").content.decode()
    assert browse(ren).get(f"{page}/send-again/").status_code == 403
    assert "once more" in browse(ada).get(f"{page}/send-again/").content.decode()
    browse(ada).post(f"{page}/send-again/")
    assert reread(task).status == TaskStatus.WAITING
