"""The whole connector over real sockets, against Microsoft's endpoints as the simulator plays them."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors.microsoft import (
    classification,
    file_information,
    forwarding,
    indicators,
    quarantine,
    submissions,
    url_blocks,
)
from connectors.microsoft.connector import Microsoft
from connectors.protocol import (
    ActionRequest,
    AlreadyInProgress,
    LookUp,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
    Throttled,
)
from portal.secrets.secret_text import SecretText
from tests.connectors.microsoft.conftest import Simulator, await_end

pytestmark = pytest.mark.process

MESSAGES = [{"network_message_id": str(UUID(int=n)), "recipient": "ada@x.example"} for n in (1, 2)]
ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("isolate_device", {}),
    ("release_from_isolation", {}),
    ("restrict_code_execution", {}),
    ("release_code_execution", {}),
    ("run_antivirus_scan", {"scan_type": "Quick"}),
    ("stop_and_quarantine_file", {"sha1": "5" * 40}),
    ("offboard_device", {}),
    ("collect_investigation_package", {}),
    ("request_sample", {"path": "C:\\Temp\\sample.exe"}),
    ("delete_file", {"path": "C:\\Temp\\$x & (y);.exe"}),
    ("stop_process", {"process_id": "4711"}),
    ("remove_scheduled_task", {"task_name": "\\Updater"}),
    ("release_from_quarantine", {"sha1": "5" * 40}),
    ("soft_delete_email", {"messages": MESSAGES}),
    ("hard_delete_email", {"messages": MESSAGES}),
    ("move_to_junk", {"messages": MESSAGES}),
    ("move_to_deleted_items", {"messages": MESSAGES}),
    ("move_to_inbox", {"messages": MESSAGES}),
]


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    return Microsoft(simulator.settings, deadline_seconds=1)


def request(action_type: str = "isolate_device", **parameters: Any) -> ActionRequest:
    if action_type == "isolate_device":
        parameters = {"isolation_type": "Full"}
    return ActionRequest(uuid4(), action_type, "a" * 40, parameters, "INC-1", sent_at=datetime.now(UTC))


def send(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    return microsoft.send(action, before_sending=lambda: None)


@pytest.mark.parametrize(("action_type", "parameters"), ACTIONS)
def test_every_action_goes_through_once_and_is_found_again(
    microsoft: Microsoft, simulator: Simulator, action_type: str, parameters: dict[str, Any]
) -> None:
    action = request(action_type, **parameters)

    receipt = send(microsoft, action)

    assert receipt.state is RemoteState.PENDING
    done = await_end(microsoft, replace(action, remote_id=receipt.remote_id))
    assert (done.remote_id, done.state) == (receipt.remote_id, RemoteState.SUCCEEDED)
    acting = [entry["external_id"] for entry in simulator.accepted() if entry["path"] != "/api/libraryfiles"]
    assert acting == [str(action.action_id)]


def test_the_actions_above_are_all_the_connector_has() -> None:
    in_files_of_their_own = (
        file_information.ACTIONS
        | {"quarantine_email"}
        | forwarding.ACTIONS
        | quarantine.ACTIONS
        | url_blocks.ACTIONS
        | classification.ACTIONS
        | indicators.ACTIONS
        | submissions.ACTIONS
    )
    assert {action_type for action_type, _ in ACTIONS} | in_files_of_their_own == Microsoft.action_types


@pytest.mark.parametrize("make", [request, lambda: request("soft_delete_email", messages=MESSAGES)])
@pytest.mark.parametrize(
    "fault",
    [{"kind": "reset_after_accepting"}, {"kind": "stall", "seconds": 1.5}, {"kind": "answer_late", "seconds": 1.5}],
)
def test_accepted_without_an_answer_is_unknown_and_found_later(
    microsoft: Microsoft, simulator: Simulator, make: Callable[[], ActionRequest], fault: dict[str, Any]
) -> None:
    simulator.fault(**fault, count=1)
    action = make()

    with pytest.raises(OutcomeUnknown):
        send(microsoft, action)

    assert await_end(microsoft, action).state is RemoteState.SUCCEEDED
    assert len(simulator.accepted()) == 1


def test_a_truncated_answer_is_unknown(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.fault(kind="truncate", method="POST", count=1)

    with pytest.raises(OutcomeUnknown):
        send(microsoft, request())


def test_a_server_error_is_unknown_and_then_absent(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.fault(kind="server_error", count=1)
    action = request()

    with pytest.raises(OutcomeUnknown):
        send(microsoft, action)

    assert microsoft.look_up([action]) == LookUp({})


def test_an_action_still_hidden_is_absent_until_it_shows(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.fault(kind="hide", seconds=1, count=1)
    action = request()
    send(microsoft, action)

    assert microsoft.look_up([action]) == LookUp({})
    time.sleep(1.1)
    assert action.action_id in microsoft.look_up([action]).found


def test_a_doubled_answer_never_answers_the_next_call(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(machines=[{"id": f"{n:040x}", "computerDnsName": f"lap-{n}"} for n in range(1, 11)])
    simulator.fault(kind="answer_twice")
    actions = [replace(request(), machine_id=f"{n:040x}") for n in range(1, 11)]

    answered: dict[str, str] = {}
    for action in actions:
        with suppress(OutcomeUnknown):  # the second copy may come at any moment; then it is a doubt, to be looked up
            answered[str(action.action_id)] = send(microsoft, action).remote_id

    by_marker = {entry["external_id"]: entry["remote_id"] for entry in simulator.accepted()}
    assert answered
    assert answered == {marker: by_marker[marker] for marker in answered}


@pytest.mark.parametrize(("retry_after", "seconds"), [("3", 3), ("2.128", 2.128), (None, None)])
def test_throttling_says_how_long_to_wait(
    microsoft: Microsoft, simulator: Simulator, retry_after: str | None, seconds: float | None
) -> None:
    simulator.fault(kind="throttle", count=1, retry_after=retry_after)

    with pytest.raises(Throttled) as caught:
        send(microsoft, request())

    assert caught.value.retry_after == seconds
    assert simulator.accepted() == []


def test_a_busy_device_is_not_a_plain_no(microsoft: Microsoft) -> None:
    send(microsoft, request())

    with pytest.raises(AlreadyInProgress):
        send(microsoft, request())


def test_an_expired_token_costs_a_post_one_attempt_and_a_read_none(microsoft: Microsoft, simulator: Simulator) -> None:
    assert list(microsoft.devices())
    simulator.fault(kind="expire_tokens")

    assert [device["id"] for device in microsoft.devices()] == ["a" * 40]
    simulator.fault(kind="expire_tokens")
    with pytest.raises(NotSent):
        send(microsoft, request())
    assert send(microsoft, request()).state is RemoteState.PENDING


def test_a_missing_permission_is_a_no_with_its_code(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(withheld_roles=["Machine.Isolate"])

    with pytest.raises(Refused, match="permission") as caught:
        send(microsoft, request())

    assert caught.value.code
    assert type(caught.value) is Refused


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_secret": SecretText("wrong")}, "AADSTS7000215"),
        ({"client_id": "stranger"}, "AADSTS700016"),
        ({"entra_tenant_id": str(UUID(int=404))}, "AADSTS90002"),
    ],
)
def test_a_wrong_connection_is_refused_by_name(simulator: Simulator, change: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as caught:
        send(Microsoft(replace(simulator.settings, **change), deadline_seconds=2), request())

    assert caught.value.code == code


@pytest.mark.parametrize(("kind", "path"), [("server_error", "machineactions"), ("throttle", "analyzedEmails")])
def test_a_look_up_in_trouble_says_nothing(microsoft: Microsoft, simulator: Simulator, kind: str, path: str) -> None:
    on_device, on_mail = request(), request("soft_delete_email", messages=MESSAGES)
    simulator.fault(kind=kind, path=path, method="GET")

    answer = microsoft.look_up([on_device, on_mail])

    assert answer == LookUp({}, frozenset({on_device.action_id if path == "machineactions" else on_mail.action_id}))


def test_no_machines_is_an_empty_list(simulator: Simulator) -> None:
    empty = replace(simulator, tenant_id=str(uuid4()))
    empty.seed()

    assert list(Microsoft(empty.settings, deadline_seconds=2).devices()) == []


def test_alerts_come_oldest_first_in_pages_with_every_state(microsoft: Microsoft, simulator: Simulator) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    pending = {"@odata.type": "#microsoft.graph.security.deviceEvidence", "remediationStatus": "pendingApproval"}
    alerts = [
        {
            "id": f"alert-{n}",
            "lastUpdateDateTime": (start + timedelta(minutes=n)).isoformat().replace("+00:00", "Z"),
            "evidence": [pending],
        }
        for n in range(120, 0, -1)
    ]
    simulator.seed(alerts=alerts)

    pages = list(microsoft.alerts(start + timedelta(minutes=11)))

    assert [alert["id"] for page in pages for alert in page] == [f"alert-{n}" for n in range(11, 121)]
    assert len(pages) == 3
    assert pages[0][0]["evidence"][0]["remediationStatus"] == "pendingApproval"
    assert sum(len(page) for page in microsoft.alerts(None)) == 120
