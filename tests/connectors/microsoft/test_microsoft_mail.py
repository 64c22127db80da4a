"""Mail actions: what is asked, which answers mean accepted, and where messages are afterwards."""

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest

from connectors.microsoft import mail
from connectors.microsoft.http import Api
from connectors.protocol import ActionRequest, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState
from tests.connectors.microsoft.conftest import TENANT, Wire, http

ACTION = UUID("0197a1b2-0000-7000-8000-00000000000a")
ADA = {"network_message_id": "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01", "recipient": "Ada.O'Hara@fabrikam.example"}
BOB = {"network_message_id": "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01", "recipient": "bob@fabrikam.example"}
REQUEST = ActionRequest(ACTION, "soft_delete_email", "", {"messages": [ADA, BOB]}, "phish")
NOW = datetime.now(UTC)
SENT = replace(REQUEST, sent_at=NOW, remote_id="bulk-1")
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


@pytest.mark.parametrize("wrong", [[], [{"network_message_id": "x"}], None])
def test_no_message_or_half_a_message_is_refused_at_home(api: Api, wire: Wire, wrong: object) -> None:
    with pytest.raises(Refused):
        send(api, replace(REQUEST, parameters={"messages": wrong}))

    assert wire.requests == []


def row(message: dict[str, str], place: str | None, first: str = "inbox_folder", **more: object) -> dict[str, object]:
    return {
        "networkMessageId": message["network_message_id"].upper(),
        "recipientEmailAddress": message["recipient"].lower(),
        "originalDelivery": {"location": first},
        "latestDelivery": {"location": place},
        **more,
    }


def parts_of(request: bytes) -> list[dict[str, str]]:
    """The parts of a batch, as they were asked for."""
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1.0/$batch HTTP")
    parts: list[dict[str, str]] = json.loads(body)["requests"]
    return parts


def answer_with(wire: Wire, *rows: dict[str, object]) -> None:
    """Let Graph answer every part with all rows, as with a filter it ignores, and in another order than asked."""

    def script(out: socket.socket, request: bytes) -> None:
        parts = [{"id": part["id"], "status": 200, "body": {"value": list(rows)}} for part in parts_of(request)]
        out.sendall(http(200, {"responses": parts[::-1]}))

    wire.script = script


def places(wire: Wire, ada: str | None, bob: str | None) -> None:
    """Let both messages lie there; None is not listed."""
    answer_with(wire, *(row(message, place) for message, place in ((ADA, ada), (BOB, bob)) if place is not None))


@pytest.mark.parametrize(
    ("action_type", "ada", "bob", "state"),
    [
        ("soft_delete_email", "others", "others", "succeeded"),
        ("soft_delete_email", "others", "deletedFolder", "in_progress"),
        ("soft_delete_email", "inbox_folder", "others", "in_progress"),
        ("soft_delete_email", "others", "onprem_external", "failed"),
        ("soft_delete_email", "inbox_folder", "onprem_external", "in_progress"),
        ("soft_delete_email", "others", "unknownFutureValue", "in_progress"),
        ("soft_delete_email", "others", None, "in_progress"),
        ("hard_delete_email", "dropped", "others", "succeeded"),
        ("move_to_junk", "junkFolder", "junkFolder", "succeeded"),
        ("move_to_junk", "junkFolder", "inbox_folder", "in_progress"),
        ("move_to_junk", "junkFolder", "dropped", "failed"),
        ("move_to_deleted_items", "deletedFolder", "deletedFolder", "succeeded"),
        ("move_to_inbox", "inbox_folder", "inbox_folder", "succeeded"),
        ("move_to_inbox", "others", "inbox_folder", "in_progress"),
        ("quarantine_email", "quarantine", "quarantine", "succeeded"),
        ("quarantine_email", "quarantine", "inbox_folder", "in_progress"),
    ],
)
def test_it_ends_when_every_message_is_there_or_cannot_get_there(
    api: Api, wire: Wire, action_type: str, ada: str | None, bob: str | None, state: str
) -> None:
    places(wire, ada, bob)

    receipt = mail.look_up(api, [replace(SENT, type=action_type)]).found[ACTION]

    assert (receipt.remote_id, receipt.state) == ("bulk-1", RemoteState(state))


def messages(count: int) -> list[dict[str, str]]:
    return [{"network_message_id": f"m-{n}", "recipient": f"p{n}@fabrikam.example"} for n in range(count)]


def test_what_is_out_of_reach_is_counted_by_reason(api: Api, wire: Wire) -> None:
    some = messages(100)
    tried = [
        {"eventSource": "admin", "eventResult": "failure", "eventDateTime": (NOW + timedelta(minutes=5)).isoformat()}
    ]
    answer_with(
        wire,
        row(some[0], "onprem_external"),
        row(some[1], "dropped", first="dropped"),
        row(some[2], "inbox_folder", timelineEvents=tried),
        *(row(message, "others") for message in some[3:]),
    )

    receipt = mail.look_up(api, [replace(SENT, parameters={"messages": some})]).found[ACTION]

    assert receipt.state is RemoteState.FAILED
    words = (
        "97 of 100 messages deleted; out of reach: 1 failed at Microsoft, 1 never delivered, 1 on premises or outside"
    )
    assert receipt.detail == words
    assert [len(parts_of(request)) for request in wire.requests] == [20] * 5


def test_a_failure_from_before_the_action_says_nothing(api: Api, wire: Wire) -> None:
    tried = [{"eventSource": "admin", "eventResult": "failure", "eventDateTime": "2026-01-01T00:00:00.1234567Z"}]
    answer_with(wire, row(ADA, "inbox_folder", timelineEvents=tried), row(BOB, "others"))

    assert mail.look_up(api, [SENT]).found[ACTION].state is RemoteState.IN_PROGRESS


def test_reading_stops_where_a_message_still_waits(api: Api, wire: Wire) -> None:
    some = messages(100)
    answer_with(wire, *(row(message, "inbox_folder") for message in some))

    mail.look_up(api, [replace(SENT, parameters={"messages": some})])

    assert len(wire.requests) == 1


def test_after_a_day_what_has_not_moved_is_late_and_named(api: Api, wire: Wire) -> None:
    some = messages(41)
    answer_with(wire, *(row(message, "inbox_folder" if n == 0 else "others") for n, message in enumerate(some)))
    long_ago = replace(SENT, parameters={"messages": some}, sent_at=NOW - timedelta(hours=25))

    receipt = mail.look_up(api, [long_ago]).found[ACTION]

    assert receipt.state is RemoteState.TIMED_OUT
    assert receipt.detail.startswith(
        "40 of 41 messages deleted; out of reach: 1 not moved within a day (the message to p0"
    )


def test_many_small_requests_share_a_call(api: Api, wire: Wire) -> None:
    places(wire, "others", "others")
    requests = [replace(SENT, action_id=uuid4(), parameters={"messages": [ADA]}) for _ in range(20)]

    assert len(mail.look_up(api, requests).found) == 20
    assert len(wire.requests) == 1


def test_not_there_and_never_acknowledged_is_absent(api: Api, wire: Wire) -> None:
    places(wire, "inbox_folder", "inbox_folder")

    assert mail.look_up(api, [replace(SENT, remote_id="")]) == LookUp({})


def test_one_failed_read_leaves_its_own_request_unanswered_and_no_other(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        parts = [
            {"id": part["id"], "status": 429, "headers": {"Retry-After": "10"}, "body": {"error": {"code": "x"}}}
            if "bob" in part["url"]
            else {"id": part["id"], "status": 200, "body": {"value": [row(ADA, "others")]}}
            for part in parts_of(request)
        ]
        out.sendall(http(200, {"responses": parts}))

    wire.script = script
    other = replace(SENT, action_id=uuid4(), parameters={"messages": [ADA]})

    answer = mail.look_up(api, [SENT, other])

    assert answer.unanswered == {ACTION}
    assert answer.found[other.action_id].state is RemoteState.SUCCEEDED


def test_a_part_left_out_is_a_failed_read(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"responses": []}))

    assert mail.look_up(api, [SENT]) == LookUp({}, frozenset({ACTION}))


def test_a_service_that_is_away_is_not_asked_for_every_message(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(503))
    requests = [replace(SENT, action_id=uuid4(), parameters={"messages": messages(20)}) for _ in range(10)]

    assert len(mail.look_up(api, requests).unanswered) == 10
    assert len(wire.requests) == 2


def test_the_question_names_message_recipient_and_a_wide_window(api: Api, wire: Wire) -> None:
    places(wire, "inbox_folder", None)

    mail.look_up(api, [SENT])

    [asked, _] = [unquote(part["url"]) for part in parts_of(wire.requests[0])]
    assert asked.startswith("/security/collaboration/analyzedEmails?")
    assert f"startTime={NOW - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}" in asked
    assert f"networkMessageId eq '{ADA['network_message_id']}'" in asked
    assert "recipientEmailAddress eq 'Ada.O''Hara@fabrikam.example'" in asked
