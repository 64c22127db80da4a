"""What stands against an undo: above all something newer that it would take back too."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from investigations.models import Device
from portal.access.actors import Actor
from portal.access.exceptions import Conflict
from portal.access.models import User
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services, transitions
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.undoing import reason_against_undo, reasons_against_undo
from remediation.catalogue import CATALOGUE, Area
from tests.factories import make_device, make_pending_action

pytestmark = pytest.mark.django_db(transaction=True)

AsActor = Callable[[User], Actor]
DONE = (State.APPROVED, State.SENDING, State.ACCEPTED, State.SUCCEEDED)
SHA1 = "5f1e4c5a2e6b7d8c9a0b1c2d3e4f5a6b7c8d9e0f"
M1, M2 = ({"network_message_id": name, "recipient": "pat@acme.example"} for name in ("m-1", "m-2"))
FULL, SELECTIVE = ({"isolation_type": name} for name in ("Full", "Selective"))
INDICATOR = {"indicator_type": "FileSha1", "value": SHA1}


def done(device: Device, type_name: str, parameters: dict[str, Any], *steps: State) -> RemediationAction:
    """Make an action and walk it to its end, or as far as `steps`."""
    where: Any = device if CATALOGUE[type_name].area is Area.DEVICE else None
    action = make_pending_action(device.tenant, where, type_name=type_name, parameters=parameters)
    with acting_for(device.tenant_id):
        for step in steps or DONE:
            action = transitions.lock(action.pk)
            transitions.move(action, step, actor=SYSTEM)
    return action


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (("isolate_device", FULL), ("isolate_device", SELECTIVE)),
        (("stop_and_quarantine_file", {"sha1": SHA1}), ("stop_and_quarantine_file", {"sha1": SHA1})),
        (("block_url", {"url": "bad.example"}), ("block_url", {"url": "bad.example"})),
        (("block_indicator", INDICATOR), ("allow_indicator", {**INDICATOR, "days": 30})),
        (("move_to_junk", {"messages": [M1, M2]}), ("soft_delete_email", {"messages": [M2]})),
    ],
)
def test_an_older_one_is_not_undone_while_a_newer_one_stands(
    acme: Tenant, bob: User, as_actor: AsActor, older: tuple[str, Any], newer: tuple[str, Any]
) -> None:
    device = make_device(acme)
    first, second = done(device, *older), done(device, *newer)
    with acting_for(acme.pk):
        with pytest.raises(Conflict, match=f"{re.escape(str(second))}.*newer"):
            services.undo_action(first.pk, actor=as_actor(bob), reason="Ours.")
        assert services.undo_action(second.pk, actor=as_actor(bob), reason="Ours.").undoes_id == second.pk
        assert reason_against_undo(first) == ""


@pytest.mark.parametrize(
    ("steps", "is_against"),
    [((State.APPROVED,), True), ((State.REJECTED,), False), ((State.APPROVED, State.CANCELLED), False)],
)
def test_a_newer_one_that_is_open_counts_and_one_that_came_to_nothing_does_not(
    acme: Tenant, steps: tuple[State, ...], is_against: bool
) -> None:
    device = make_device(acme)
    first = done(device, "isolate_device", FULL)
    done(device, "isolate_device", SELECTIVE, *steps)
    with acting_for(acme.pk):
        assert bool(reason_against_undo(first)) is is_against


def test_what_is_done_to_something_else_stands_against_nothing(acme: Tenant) -> None:
    here, there = make_device(acme, "pc-1"), make_device(acme, "pc-2")
    first = [
        done(here, "isolate_device", FULL),
        done(here, "stop_and_quarantine_file", {"sha1": SHA1}),
        done(here, "soft_delete_email", {"messages": [M1]}),
    ]
    done(there, "isolate_device", FULL)
    done(here, "stop_and_quarantine_file", {"sha1": "b" * 40})
    done(here, "soft_delete_email", {"messages": [M2]})
    done(here, "restrict_code_execution", {})
    with acting_for(acme.pk):
        assert set(reasons_against_undo(first).values()) == {""}


def test_many_are_judged_in_as_many_queries_as_one(acme: Tenant) -> None:
    actions = [done(make_device(acme, f"pc-{number}"), "isolate_device", FULL) for number in range(5)]
    with acting_for(acme.pk):
        for some in (actions[:1], actions):
            with CaptureQueriesContext(connection) as queries:
                reasons_against_undo(some)
            assert len(queries) == 1
