"""Investigations by hand over HTTP: started by Ada, stopped with their unsent actions, kept from strangers."""

from typing import Any

from django.test import Client
from uuid_utils.compat import uuid4

from portal.audit.models import AuditEvent
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from tests.factories import make_device, make_pending_action

INVESTIGATIONS = "/api/v1/investigations/"


def post(client: Client, path: str, body: object, **headers: str) -> Any:
    """POST JSON."""
    return client.post(path, body, content_type="application/json", headers=headers)


def start(client: Client, device: Any, **headers: str) -> Any:
    """Start an investigation of a device."""
    body = {"device": str(getattr(device, "pk", device)), "reason": "The user called."}
    return post(client, INVESTIGATIONS, body, **headers)


def test_ada_starts_one_and_only_one_runs_on_a_device(acme, ada, browse):
    device = make_device(acme)

    started = start(browse(ada), device)

    assert started.status_code == 201
    assert started.json()["state"] == "Running"
    assert started.json()["started_by"]["email"] == ada.email
    assert [row["device"] for row in started.json()["devices"]] == [str(device.pk)]
    assert start(browse(ada), device).status_code == 409


def test_a_replay_starts_one(acme, ada, browse):
    device = make_device(acme)

    first, again = (start(browse(ada), device, **{"Idempotency-Key": "one"}) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


def test_stopping_takes_back_what_was_not_sent(acme, ada, browse):
    device = make_device(acme)
    started = start(browse(ada), device).json()
    action = make_pending_action(acme, device, investigation_id=started["id"])

    stopped = post(browse(ada), f"{INVESTIGATIONS}{started['id']}/stop/", {"reason": "A drill."})

    assert stopped.status_code == 200
    assert stopped.json()["state"] == "TerminatedByUser"
    assert stopped.json()["ended_at"]
    with acting_for(acme.id):
        assert RemediationAction.objects.get(pk=action.pk).state == "cancelled"
        assert AuditEvent.objects.filter(object_id=started["id"], verb="investigation.ended").count() == 1
    assert post(browse(ada), f"{INVESTIGATIONS}{started['id']}/stop/", {"reason": "Again."}).status_code == 409


def test_readers_and_strangers_neither_start_nor_stop(acme, globex, ada, ren, gil, browse):
    device = make_device(acme)
    path = f"{INVESTIGATIONS}{start(browse(ada), device).json()['id']}/stop/"
    other = make_device(acme, "pc-2")

    assert start(browse(ren), other).status_code == 403
    assert post(browse(ren), path, {"reason": "No."}).status_code == 403
    assert post(browse(gil), path, {"reason": "No."}).status_code == 404
    foreign, unknown = start(browse(gil), other), start(browse(gil), uuid4())
    assert foreign.status_code == unknown.status_code == 400
    assert foreign.json() == unknown.json()
    assert browse(ada).get(path.removesuffix("stop/")).json()["state"] == "Running"
