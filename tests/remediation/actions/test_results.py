"""What an action brought back: a link for one person, once, asked for by a worker and never stored."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from investigations.models import Device
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services, tasks
from remediation.actions.models import RemediationAction
from tests.factories import make_device, make_pending_action

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

Browse = Callable[[User], Client]


@pytest.fixture
def laptop(connected: Tenant, vendor: Any) -> Device:
    """A device that Acme and the simulator both know."""
    device = make_device(connected, "laptop")
    vendor.seed(connected, machines=[{"id": device.machine_id, "computerDnsName": "laptop"}])
    return device


@pytest.fixture
def package(laptop: Device, ada: User, bob: User, as_actor: Any, run: Any) -> RemediationAction:
    """A collected investigation package."""
    action = make_pending_action(laptop.tenant, laptop, type_name="collect_investigation_package", requested_by=ada)
    with acting_for(action.tenant_id):
        services.approve_action(action.pk, actor=as_actor(bob), reason="Confirmed.")
    run(action, "succeeded")
    return action


def ask(client: Client, action: RemediationAction) -> Any:
    """Ask over HTTP."""
    return client.post(f"/api/v1/actions/{action.pk}/result/")


def fetch(action: RemediationAction, user: User) -> None:
    """Do what the worker does who was rung for."""
    tasks.fetch_result(str(action.tenant_id), str(action.pk), str(user.pk))


def verbs_of(action: RemediationAction) -> list[str]:
    """Return what is on record of the action's result."""
    with acting_for(action.tenant_id):
        found = AuditEvent.objects.filter(object_id=action.pk, verb__startswith="action.result").order_by("seq")
        return list(found.values_list("verb", flat=True))


def test_the_link_is_handed_to_who_asked_and_to_nobody_twice(
    package: RemediationAction, ada: User, bob: User, ren: User, browse: Browse, vendor: Any
) -> None:
    client = browse(ada)
    asked = ask(client, package)
    assert (asked.status_code, asked.json()) == (202, {"stage": "asked", "url": ""})
    assert ask(client, package).status_code == 202
    fetch(package, ada)
    kept = repr(cache.get(f"result:{package.pk}:{ada.pk}"))
    assert "sealed" in kept
    assert "http" not in kept
    assert ask(browse(bob), package).json()["stage"] == "asked"
    assert ask(browse(ren), package).status_code == 403

    ready = ask(client, package)

    assert (ready.status_code, ready.json()["stage"]) == (200, "ready")
    assert ready["Cache-Control"] == "no-store"
    assert vendor.admin.get(ready.json()["url"]).content == b"package of laptop"
    assert ask(client, package).json()["stage"] == "asked"
    asked_by_three = ["action.result_asked", "action.result_asked", "action.result_handed_over", "action.result_asked"]
    assert verbs_of(package) == asked_by_three


def test_the_page_waits_then_leads_there_once(package: RemediationAction, ada: User, browse: Browse) -> None:
    client, page = browse(ada), f"/admin/actions/historyaction/{package.pk}/result/"
    assert (
        "Fetch what it brought back"
        in client.get(f"/admin/actions/historyaction/{package.pk}/change/").content.decode()
    )
    assert "No link is waiting for you" in client.get(page).content.decode()
    waiting = client.post(page)
    assert (waiting.status_code, 'http-equiv="refresh"' in waiting.content.decode()) == (200, True)
    fetch(package, ada)

    led = client.get(page)

    assert (led.status_code, led["Cache-Control"]) == (302, "no-store")
    assert led["Location"].startswith("https://")
    assert client.get(page).status_code == 200


def test_why_there_is_no_link_is_said_and_it_can_be_asked_for_again(
    package: RemediationAction, ada: User, browse: Browse, vendor: Any
) -> None:
    client = browse(ada)
    for _time in range(3):  # Microsoft gives two links to packages a minute
        ask(client, package)
        fetch(package, ada)
        answer = ask(client, package)

    assert answer.status_code == 409
    assert "Microsoft gave no link" in answer.json()["detail"]
    assert ask(client, package).status_code == 202


def test_what_brought_nothing_back_has_no_link(laptop: Device, ada: User, browse: Browse) -> None:
    action = make_pending_action(laptop.tenant, laptop, requested_by=ada)

    assert ask(browse(ada), action).status_code == 409
