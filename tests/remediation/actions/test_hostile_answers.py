"""What an attacker can put into Microsoft's answers, against the simulator over its sockets: nothing of it is lost."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError

from connectors.protocol import ActionRequest, Receipt, RemoteState
from portal.access.actors import Actor
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services
from remediation.actions.execution import send, send_all
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.transitions import claim_batch
from remediation.catalogue import WIRED
from tests.remediation.actions.test_sending import Vendor, queue, reread

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

MAILBOX = "finance@acme.example"


def test_a_rule_whose_name_cannot_be_stored_is_turned_off_all_the_same(
    connected: Tenant,
    vendor: Any,
    ada: User,
    bob: User,
    as_actor: Callable[[User], Actor],
    run: Callable[[RemediationAction, str], None],
) -> None:
    rule = {
        "id": "r",
        "displayName": "out\x00side",
        "actions": {"forwardTo": [{"emailAddress": {"address": "t@evil.example"}}]},
    }
    vendor.seed(connected, mailboxes=[{"address": MAILBOX, "rules": [rule]}])
    with acting_for(connected.id):
        action, _is_new = services.request_action(
            tenant_id=connected.id,
            type_name="turn_off_forwarding",
            device=None,
            parameters={"mailbox": MAILBOX},
            reason="A rule sends mail outside.",
            actor=as_actor(ada),
        )
        services.approve_action(action.pk, actor=as_actor(bob), reason="Seen.")

    run(action, State.SUCCEEDED)

    [mailbox] = vendor.truth(connected)["mailboxes"]
    assert [rule["isEnabled"] for rule in mailbox["rules"]] == [False]


def test_an_answer_that_cannot_be_stored_keeps_no_other_from_being_known(acme: Tenant) -> None:
    actions = queue(acme, "get_file_information", 4)

    def answer(request: ActionRequest) -> Receipt:
        number = [action.pk for action in actions].index(request.action_id)
        time.sleep(0.8 if number == 3 else 0)
        return Receipt(f"remote-{number}", RemoteState.PENDING, "out\x00side" if number == 0 else "Pending.")

    claims = claim_batch(acme.id, owner="test", types=WIRED, most=50)
    with pytest.raises(DatabaseError):
        list(send_all(claims, Vendor(answer)))  # type: ignore[arg-type]

    assert [reread(action).state for action in actions] == [State.SENDING, *[State.ACCEPTED] * 3]


def test_what_was_read_before_and_cannot_be_stored_ends_it_unsent(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    [action] = queue(acme, "turn_off_forwarding")
    vendor = Vendor()
    monkeypatch.setattr(vendor, "prepare", lambda request: {"former": "smtp:\x00@example.org"})
    [claimed] = claim_batch(acme.id, owner="test", types=WIRED, most=50)

    send(claimed, vendor)  # type: ignore[arg-type]

    assert vendor.sent == []
    assert reread(action).state == State.FAILED
    assert "nothing was sent" in reread(action).detail
