"""Mail actions: what is asked, which answers mean accepted, and where messages are afterwards."""

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote
from uuid import UUID

import pytest

from connectors.microsoft import mail
from connectors.microsoft.http import Api
from connectors.protocol import ActionRequest, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState
from tests.connectors.microsoft.conftest import TENANT, Wire, http

ACTION = UUID("0197a1b2-0000-7000-8000-00000000000a")
ADA = {"network_message_id": "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01", "recipient": "Ada.O'Hara@fabrikam.example"}
BOB = {"network_message_id": "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01", "recipient": "bob@fabrikam.example"}
REQUEST = ActionRequest(ACTION, "soft_delete_email", "", {"messages": [ADA, BOB]}, "phish")
SENT = replace(REQUEST, sent_at=datetime(2026, 11, 20, 12, 0, tzinfo=UTC), remote_id="bulk-1")
LOCATION = 'https://security.microsoft.com/action-center/history?filters={"bulkId":["bulk-1"]}&tid=' + TENANT


def send(api: Api, request: ActionRequest = REQUEST) -> Receipt:
    return mail.send(api, request, before_sending=lambda: None)


@pytest.mark.parametrize(
    ("location", "remote_id"),
    [(LOCATION, "bulk-1"), (LOCATION.replace('"', "%22"), "bulk-1"), ("https://x/?filters=[]", str(ACTION))],
)
def test_accepted_is_202_and_the_bulk_id_if_there_is_one(api: Api, wire: Wire, location: str, remote_id: str) -> None:
    wire.script = lambda out, _request: out.sendall(http(202, Location=location))

    assert send(api) == Receipt(remote_id, RemoteState.PENDING, "Graph accepted the request")
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1.0/security/collaboration/analyzedEmails/remediate HTTP")
    assert json.loads(body) == {
        "displayName": str(ACTION),
        "description": "phish",
        "severity": "medium",
        "action": "softDelete",
        "remediateSendersCopy": False,
        "analyzedEmails": [
            {"networkMessageId": message["network_message_id"], "recipientEmailAddress": message["recipient"]}
            for message in (ADA, BOB)
        ],
    }


@pytest.mark.parametrize("answer", [http(200), http(202, {"error": {"code": "x"}})])
def test_anything_else_that_looks_good_is_unknown(api: Api, wire: Wire, answer: bytes) -> None:
    wire.script = lambda out, _request: out.sendall(answer)

    with pytest.raises(OutcomeUnknown):
        send(api)


@pytest.mark.parametrize("messages", [[], [{"network_message_id": "x"}], None])
def test_no_message_or_half_a_message_is_refused_at_home(api: Api, wire: Wire, messages: object) -> None:
    with pytest.raises(Refused):
        send(api, replace(REQUEST, parameters={"messages": messages}))

    assert wire.requests == []


def places(wire: Wire, ada: str | None, bob: str | None) -> None:
    """Let Graph list both messages at every question, with a filter it ignores; None is not listed."""
    rows = [
        {
            "networkMessageId": message["network_message_id"].upper(),
            "recipientEmailAddress": message["recipient"].lower(),
            "latestDelivery": {"location": place},
        }
        for message, place in ((ADA, ada), (BOB, bob))
        if place is not None
    ]
    wire.script = lambda out, _request: out.sendall(http(200, {"value": rows}))


@pytest.mark.parametrize(
    ("action_type", "ada", "bob", "is_done"),
    [
        ("soft_delete_email", "others", "others", True),
        ("soft_delete_email", "others", "deletedFolder", False),
        ("soft_delete_email", "inbox_folder", "others", False),
        ("soft_delete_email", "others", "onprem_external", False),
        ("soft_delete_email", "others", "unknownFutureValue", False),
        ("soft_delete_email", "others", None, False),
        ("hard_delete_email", "dropped", "others", True),
        ("move_to_junk", "junkFolder", "junkFolder", True),
        ("move_to_junk", "junkFolder", "inbox_folder", False),
        ("move_to_deleted_items", "deletedFolder", "deletedFolder", True),
        ("move_to_inbox", "inbox_folder", "inbox_folder", True),
        ("move_to_inbox", "others", "inbox_folder", False),
    ],
)
def test_done_is_when_every_message_is_where_it_should_be(
    api: Api, wire: Wire, action_type: str, ada: str | None, bob: str | None, is_done: bool
) -> None:
    places(wire, ada, bob)

    receipt = mail.look_up(api, [replace(SENT, type=action_type)]).found[ACTION]

    assert receipt.state is (RemoteState.SUCCEEDED if is_done else RemoteState.IN_PROGRESS)
    assert receipt.remote_id == "bulk-1"


def test_not_there_and_never_acknowledged_is_absent(api: Api, wire: Wire) -> None:
    places(wire, "inbox_folder", "inbox_folder")

    assert mail.look_up(api, [replace(SENT, remote_id="")]) == LookUp({})


def test_one_failed_read_leaves_it_unanswered(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        row = {
            "networkMessageId": ADA["network_message_id"],
            "recipientEmailAddress": ADA["recipient"],
            "latestDelivery": {"location": "others"},
        }
        out.sendall(http(503) if b"bob" in request else http(200, {"value": [row]}))

    wire.script = script

    assert mail.look_up(api, [SENT]) == LookUp({}, frozenset({ACTION}))


def test_the_question_names_message_recipient_and_a_wide_window(api: Api, wire: Wire) -> None:
    places(wire, "inbox_folder", None)

    mail.look_up(api, [SENT])

    asked = unquote(wire.requests[0].split(b" ")[1].decode())
    assert "startTime=2026-10-21T12:00:00Z" in asked
    assert f"networkMessageId eq '{ADA['network_message_id']}'" in asked
    assert "recipientEmailAddress eq 'Ada.O''Hara@fabrikam.example'" in asked
