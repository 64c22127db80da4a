"""Machine actions: what is asked, and which answers are taken for ours."""

import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from connectors.microsoft import defender
from connectors.microsoft.http import Api
from connectors.protocol import ActionRequest, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState
from tests.connectors.microsoft.conftest import Wire, http

ACTION = UUID("0197a1b2-0000-7000-8000-00000000000a")
MACHINE = "0b3c5a9e7d1f42c68a90be17d2f4461c53a8e7f2"
SENT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
REQUEST = ActionRequest(ACTION, "isolate_device", MACHINE, {"isolation_type": "Selective"}, "INC-1")
SENT_REQUEST = replace(REQUEST, sent_at=SENT)

REAL = Path(__file__).resolve().parents[4] / "shared" / "real" / "mde-machine-actions.ndjson"


def row(**changes: object) -> dict[str, object]:
    """Our machine action as Microsoft lists it, but for `changes`."""
    ours = {
        "id": "4d0b6f1e-93a7-4c52-8a1e-2f7cc0d51b64",
        "status": "Pending",
        "machineId": MACHINE,
        "externalId": str(ACTION),
        "requestorComment": f"INC-1 [{ACTION}]",
        "creationDateTimeUtc": "2026-11-20T12:00:01.1234567Z",
    }
    return {**ours, **changes}


def send(api: Api, request: ActionRequest = REQUEST) -> Receipt:
    return defender.send(api, request, before_sending=lambda: None)


def look_up(api: Api, wire: Wire, *rows: Mapping[str, object], request: ActionRequest = SENT_REQUEST) -> LookUp:
    wire.script = lambda out, _request: out.sendall(http(200, {"value": list(rows)}))
    return defender.look_up(api, [request])


@pytest.mark.parametrize(
    ("action_type", "parameters", "path", "own"),
    [
        ("isolate_device", {"isolation_type": "Full"}, "isolate", {"IsolationType": "Full"}),
        ("release_from_isolation", {}, "unisolate", {}),
        ("restrict_code_execution", {}, "restrictCodeExecution", {}),
        ("release_code_execution", {}, "unrestrictCodeExecution", {}),
        ("run_antivirus_scan", {"scan_type": "Quick"}, "runAntiVirusScan", {"ScanType": "Quick"}),
        ("stop_and_quarantine_file", {"sha1": "5" * 40}, "StopAndQuarantineFile", {"Sha1": "5" * 40}),
        ("offboard_device", {}, "offboard", {}),
        ("collect_investigation_package", {}, "collectInvestigationPackage", {}),
    ],
)
def test_each_type_has_its_path_and_body(
    api: Api, wire: Wire, action_type: str, parameters: dict[str, str], path: str, own: dict[str, str]
) -> None:
    wire.script = lambda out, _request: out.sendall(http(201, row()))

    receipt = send(api, replace(REQUEST, type=action_type, parameters=parameters))

    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /api/machines/{MACHINE}/{path} HTTP".encode())
    assert json.loads(body) == {"Comment": f"INC-1 [{ACTION}]", "ExternalId": str(ACTION), **own}
    assert receipt == Receipt("4d0b6f1e-93a7-4c52-8a1e-2f7cc0d51b64", RemoteState.PENDING, "Defender: Pending")


@pytest.mark.parametrize(
    "wrong",
    [
        {"machine_id": "../../alerts"},
        {"parameters": {}},
        {"parameters": {"isolation_type": "UnManagedDevice"}},
        {"type": "stop_and_quarantine_file", "parameters": {"sha1": "abc"}},
    ],
)
def test_what_makes_no_sense_is_refused_at_home(api: Api, wire: Wire, wrong: dict[str, object]) -> None:
    with pytest.raises(Refused):
        send(api, replace(REQUEST, **wrong))  # type: ignore[arg-type]

    assert wire.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        row(machineId="f" * 40),
        row(externalId="0197a1b2-0000-7000-8000-00000000000b"),
        row(status="Sleeping"),
        row(id=None),
        {"error": {"code": "InternalError"}},
        {},
    ],
)
def test_an_answer_about_something_else_is_unknown(api: Api, wire: Wire, answer: dict[str, object]) -> None:
    wire.script = lambda out, _request: out.sendall(http(201, answer))

    with pytest.raises(OutcomeUnknown):
        send(api)


@pytest.mark.parametrize(
    "given", [row(), row(externalId=None), {**row(externalId=None), "externalID": str(ACTION).upper()}]
)
def test_a_look_up_knows_our_marker_wherever_it_stands(api: Api, wire: Wire, given: dict[str, object]) -> None:
    found = look_up(api, wire, row(id="other", externalId="x", requestorComment="y"), given)

    assert found == LookUp({ACTION: Receipt(str(row()["id"]), RemoteState.PENDING, "Defender: Pending")})


def test_a_look_up_goes_by_remote_id_when_there_is_one(api: Api, wire: Wire) -> None:
    known = replace(SENT_REQUEST, remote_id="AB-1")

    found = look_up(api, wire, row(id="cd-2"), row(id="ab-1", status="Succeeded"), request=known)

    assert found.found[ACTION].state is RemoteState.SUCCEEDED
    assert found.found[ACTION].remote_id == "ab-1"


def test_absent_means_a_whole_list_without_it(api: Api, wire: Wire) -> None:
    assert look_up(api, wire) == LookUp({})
    assert b"$filter=creationDateTimeUtc%20ge%202026-11-20T11:00:00Z" in wire.requests[0]


def test_an_earlier_attempt_that_shows_late_is_adopted_and_not_repeated(api: Api, wire: Wire) -> None:
    assert ACTION in look_up(api, wire, row(creationDateTimeUtc="2026-11-20T11:10:00Z")).found


@pytest.mark.skipif(not REAL.exists(), reason="Defender's real rows are not on this machine; they were not read")
def test_defenders_own_rows_are_read_as_they_are(api: Api, wire: Wire) -> None:
    rows = [json.loads(line) for line in REAL.read_text().splitlines()]
    wire.script = lambda out, _request: out.sendall(http(200, {"value": rows}))
    asked = [
        replace(SENT_REQUEST, action_id=UUID(int=number), remote_id=given["id"], machine_id=given["machineId"])
        for number, given in enumerate(rows)
    ]
    found = defender.look_up(api, asked).found

    states = [found[request.action_id].state for request in asked]
    assert states == [
        RemoteState.SUCCEEDED,
        RemoteState.SUCCEEDED,
        RemoteState.TIMED_OUT,
        RemoteState.TIMED_OUT,
        RemoteState.CANCELLED,
    ]


def test_our_marker_on_another_machine_proves_nothing(api: Api, wire: Wire) -> None:
    assert look_up(api, wire, row(machineId="f" * 40)) == LookUp({}, frozenset({ACTION}))


@pytest.mark.parametrize("trouble", [http(500), http(429), http(403), http(200, {"value": 1}), http(200, {})])
def test_a_list_with_trouble_answers_nothing(api: Api, wire: Wire, trouble: bytes) -> None:
    wire.script = lambda out, _request: out.sendall(trouble)

    assert defender.look_up(api, [SENT_REQUEST]) == LookUp({}, frozenset({ACTION}))


def test_trouble_on_a_later_page_answers_nothing_either(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        first = {"value": [], "@odata.nextLink": f"{wire.url}/api/machineactions?page=2"}
        out.sendall(http(503) if b"page=2" in request else http(200, first))

    wire.script = script

    assert defender.look_up(api, [SENT_REQUEST]) == LookUp({}, frozenset({ACTION}))


def test_many_requests_cost_one_list_call_from_the_oldest_on(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"value": [row()]}))
    older = replace(SENT_REQUEST, action_id=UUID(int=1), sent_at=SENT - timedelta(hours=1))
    unsent = replace(REQUEST, action_id=UUID(int=2))

    answer = defender.look_up(api, [SENT_REQUEST, older, unsent])

    assert set(answer.found) == {ACTION}
    assert answer.unanswered == {unsent.action_id}
    assert len(wire.requests) == 1
    assert b"2026-11-20T10:00:00Z" in wire.requests[0]
