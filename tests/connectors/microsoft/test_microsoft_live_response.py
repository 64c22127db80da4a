"""Live response and what actions bring back, over real sockets against the simulator."""

import base64
import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from connectors.microsoft import downloads, file_information, library, live_response
from connectors.microsoft.connector import Microsoft
from connectors.microsoft.http import Api, leads_to_microsoft
from connectors.microsoft.live_response import ACTIONS
from connectors.protocol import (
    ActionRequest,
    AlreadyInProgress,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
    Throttled,
)
from tests.connectors.microsoft.conftest import Simulator, Wire, http

pytestmark = pytest.mark.process

MACHINE = "a" * 40
SHA1 = "5e0f7a1b9c3d4826e7f81209ab34cd56ef781290"


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    return Microsoft(simulator.settings, deadline_seconds=1)


def request(action_type: str = "delete_file", machine: str = MACHINE, **parameters: str) -> ActionRequest:
    given = parameters or {"path": "C:\\Temp\\a.exe"}
    return ActionRequest(uuid4(), action_type, machine, given, "INC-1", sent_at=datetime.now(UTC))


def send(microsoft: Microsoft, action: ActionRequest) -> ActionRequest:
    """Send an action and return it as it is known from then on."""
    receipt = microsoft.send(action, before_sending=lambda: None)
    return replace(action, remote_id=receipt.remote_id)


def end_of(microsoft: Microsoft, action: ActionRequest) -> Receipt:
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        receipt = microsoft.look_up([action]).found[action.action_id]
        if receipt.state not in {RemoteState.PENDING, RemoteState.IN_PROGRESS}:
            return receipt
        time.sleep(0.1)
    raise AssertionError("the action did not end within 10 s")


def sessions(simulator: Simulator) -> list[dict[str, Any]]:
    return [entry for entry in simulator.accepted() if entry["path"].endswith("runliveresponse")]


def uploads(simulator: Simulator) -> list[dict[str, Any]]:
    return [entry for entry in simulator.accepted() if entry["path"] == "/api/libraryfiles"]


def test_what_a_script_is_given_means_nothing_to_a_shell(microsoft: Microsoft, simulator: Simulator) -> None:
    path = "C:\\Temp\\'; $(calc) & `x` %TEMP% – ü.exe"

    send(microsoft, request(path=path, sha1=SHA1))

    [command] = sessions(simulator)[0]["body"]["Commands"]
    given = {row["key"]: row["value"] for row in command["params"]}
    assert re.fullmatch("[A-Za-z0-9+/]+=*", given["Args"])
    assert json.loads(base64.b64decode(given["Args"])) == {"path": path, "sha1": SHA1}


def test_a_path_of_a_sample_goes_as_it_is(microsoft: Microsoft, simulator: Simulator) -> None:
    send(microsoft, request("request_sample", path="C:\\Program Files\\x $(y).exe"))

    [command] = sessions(simulator)[0]["body"]["Commands"]
    assert command == {"type": "GetFile", "params": [{"key": "Path", "value": "C:\\Program Files\\x $(y).exe"}]}
    assert uploads(simulator) == []


@pytest.mark.parametrize(
    ("action_type", "parameters"),
    [
        ("delete_file", {"path": "a.exe"}),
        ("delete_file", {"path": "C:\\Temp\\*"}),
        ("delete_file", {"path": "C:\\Temp\\a\nb"}),
        ("delete_file", {"path": "C:\\Temp\\a.exe:stream"}),
        ("delete_file", {"path": "C:\\" + "ü" * 2000}),
        ("delete_file", {"path": "C:\\a.exe", "sha1": "abc"}),
        ("delete_file", {"path": "C:\\a.exe", "recurse": "yes"}),
        ("stop_process", {"process_id": "0"}),
        ("stop_process", {"process_id": "4711; calc"}),
        ("remove_scheduled_task", {"task_name": "Updater"}),
        ("remove_scheduled_task", {"task_name": "\\*"}),
        ("release_from_quarantine", {"sha1": "abc"}),
        ("request_sample", {"path": "sample.exe"}),
    ],
)
def test_what_makes_no_sense_is_refused_at_home(
    microsoft: Microsoft, simulator: Simulator, action_type: str, parameters: dict[str, str]
) -> None:
    with pytest.raises(Refused) as caught:
        send(microsoft, request(action_type, **parameters))

    assert (type(caught.value), caught.value.code) == (Refused, "InvalidInput")
    assert simulator.accepted() == []


def test_a_script_is_uploaded_once_and_again_when_somebody_changed_it(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    simulator.seed(machines=[{"id": "b" * 40, "computerDnsName": "lap-02"}, {"id": "c" * 40}])
    script = library.load_script("delete-file")

    send(microsoft, request())
    send(microsoft, request(machine="b" * 40))

    [upload] = uploads(simulator)
    assert upload["remote_id"] == script.name
    assert base64.b64decode(upload["body"]["File"]["base64"]) == script.content
    simulator.upload(script.name, b"Remove-Item C:\\ -Recurse")
    send(microsoft, request(machine="c" * 40))
    assert [entry["remote_id"] for entry in uploads(simulator)] == [script.name] * 3
    assert base64.b64decode(uploads(simulator)[-1]["body"]["File"]["base64"]) == script.content


@pytest.mark.parametrize("trouble", [{"kind": "server_error", "method": "GET"}, {"kind": "reset_after_accepting"}])
def test_trouble_with_the_library_is_not_sent(
    microsoft: Microsoft, simulator: Simulator, trouble: dict[str, Any]
) -> None:
    simulator.fault(path="libraryfiles", **trouble)

    with pytest.raises(NotSent):
        send(microsoft, request())

    assert sessions(simulator) == []


def test_the_scripts_own_words_say_that_it_failed(microsoft: Microsoft, simulator: Simulator) -> None:
    words = "QUELL failed: C:\\Temp\\a.exe is \x1b[31mnot\u202e there." + "!" * 1000
    simulator.seed(command_results=[{"of": "quell-delete-file", "exit_code": 1, "script_output": words}])

    receipt = end_of(microsoft, send(microsoft, request()))

    assert receipt.state is RemoteState.FAILED
    assert receipt.detail.startswith("exit code 1: failed: C:\\Temp\\a.exe is [31mnot there.!")
    assert len(receipt.detail) < 350
    assert receipt.detail.isprintable()


@pytest.mark.parametrize(
    "result",
    [
        {"exit_code": 0, "script_output": ""},
        {"exit_code": 0, "script_output": "QUELL done\nQUELL failed: late"},
        {"exit_code": 3, "script_output": "QUELL done"},
        {"exit_code": 0, "script_output": "QUELL done", "errors": ["The command was stopped."]},
        {"errors": ["Unsigned scripts are not allowed."]},
        {"exit_code": 0, "script_output": "x" * 2_000_000 + "\nQUELL done"},
    ],
)
def test_a_script_has_succeeded_only_with_its_closing_words_and_code(
    microsoft: Microsoft, simulator: Simulator, result: dict[str, Any]
) -> None:
    simulator.seed(command_results=[{"of": "quell-", **result}])

    receipt = end_of(microsoft, send(microsoft, request()))

    assert receipt.state is RemoteState.FAILED
    assert all(error in receipt.detail for error in result.get("errors", []))


@pytest.mark.parametrize("trouble", [{"kind": "server_error", "method": "GET"}, {"kind": "truncate"}])
def test_a_transcript_that_cannot_be_read_yet_leaves_the_action_in_progress(
    microsoft: Microsoft, simulator: Simulator, trouble: dict[str, Any]
) -> None:
    simulator.seed(action_seconds=0)
    simulator.fault(path="investigation-actions-data", count=2, **trouble)
    action = send(microsoft, request())

    states = [microsoft.look_up([action]).found[action.action_id].state for _ in range(3)]

    assert states == [RemoteState.IN_PROGRESS, RemoteState.IN_PROGRESS, RemoteState.SUCCEEDED]


def test_a_busy_device_keeps_the_action_at_home(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(action_seconds=60)
    send(microsoft, request())

    with pytest.raises(NotSent, match="busy") as caught:
        send(microsoft, request())

    assert caught.value.retry_after
    assert len(sessions(simulator)) == 1


def test_a_session_that_is_not_listed_yet_is_met_as_already_in_progress(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    simulator.seed(action_seconds=60)
    simulator.fault(kind="hide", seconds=60, path="runliveresponse", count=1)
    send(microsoft, request())

    with pytest.raises(AlreadyInProgress):
        send(microsoft, request())


def test_the_eleventh_call_in_a_minute_waits_at_home_and_blames_no_other_action(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    simulator.seed(machines=[{"id": f"{n:040x}", "computerDnsName": f"lap-{n}"} for n in range(1, 12)])
    for n in range(1, 11):
        send(microsoft, request(machine=f"{n:040x}"))

    with pytest.raises(NotSent, match="minute") as caught:
        send(microsoft, request(machine=f"{11:040x}"))

    assert type(caught.value) is NotSent
    assert 0 < (caught.value.retry_after or 0) <= 60
    assert len(sessions(simulator)) == 10


def test_the_twenty_sixth_session_at_once_waits_at_home(api: Api, wire: Wire) -> None:
    open_sessions = [{"id": str(n), "status": "Pending", "machineId": f"{n:040x}"} for n in range(25)]
    rows = [{**row, "creationDateTimeUtc": "2026-01-01T00:00:00Z"} for row in open_sessions]
    wire.script = lambda out, _request: out.sendall(http(200, {"value": rows}))

    with pytest.raises(NotSent, match="25"):
        live_response.send(api, request("request_sample", path="C:\\x.exe"), before_sending=lambda: None)

    assert [request.split(b" ")[0] for request in wire.requests] == [b"GET"]


@pytest.mark.parametrize(
    ("link", "is_theirs"),
    [
        ("https://automatedirstrprdeus.blob.core.windows.net/a?sig=1", True),
        ("https://userrequests-us.securitycenter.windows.com:443/safedownload/a.zip?token=1", True),
        ("https://api.example:8443/here", True),
        ("https://api.example/here", False),
        ("http://a.blob.core.windows.net/a", False),
        ("https://evilwindows.net/a", False),
        ("https://a.windows.net.evil.example/a", False),
        ("https://169.254.169.254/a", False),
        ("", False),
    ],
)
def test_only_links_to_microsofts_storage_or_back_are_followed(link: str, is_theirs: bool) -> None:
    assert leads_to_microsoft(link, "https://api.example:8443") is is_theirs


def test_a_link_to_a_strange_host_is_neither_followed_nor_handed_on(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"value": "https://evil.example/?sig=canary"}))

    with pytest.raises(OutcomeUnknown) as caught:
        downloads.command_link(api, replace(request(), remote_id="1"), 0)

    assert "canary" not in str(caught.value)


def test_microsofts_own_no_to_a_session_holds_up_live_response_alone(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    simulator.fault(kind="throttle", path="runliveresponse", retry_after="7", count=1)

    with pytest.raises(NotSent) as caught:
        send(microsoft, request())

    assert (type(caught.value), caught.value.retry_after) == (NotSent, 7)


@pytest.mark.parametrize("fault", [{"kind": "reset_after_accepting"}, {"kind": "answer_late", "seconds": 1.5}])
def test_an_unknown_session_is_found_by_its_marker_and_never_opened_twice(
    microsoft: Microsoft, simulator: Simulator, fault: dict[str, Any]
) -> None:
    simulator.fault(path="runliveresponse", count=1, **fault)
    action = request()

    with pytest.raises(OutcomeUnknown):
        send(microsoft, action)

    assert end_of(microsoft, action).state is RemoteState.SUCCEEDED
    again = send(microsoft, action)
    assert again.remote_id == sessions(simulator)[0]["remote_id"]
    assert len(sessions(simulator)) == 1


def test_a_veto_at_the_last_moment_opens_no_session(microsoft: Microsoft, simulator: Simulator) -> None:
    def veto() -> None:
        raise LookupError("frozen")

    with pytest.raises(LookupError):
        microsoft.send(request(), before_sending=veto)

    assert sessions(simulator) == []


@pytest.mark.parametrize(
    ("action", "content"),
    [
        (request("request_sample", path="C:\\x.exe"), b"content of C:\\x.exe"),
        (replace(request("collect_investigation_package"), parameters={}), b"package of lap-01"),
    ],
)
def test_a_result_is_fetched_by_a_fresh_link_that_shows_itself_to_nobody(
    microsoft: Microsoft, simulator: Simulator, action: ActionRequest, content: bytes
) -> None:
    known = send(microsoft, replace(action, action_id=uuid4()))
    with pytest.raises(Refused) as early:
        microsoft.download_link(known)
    end_of(microsoft, known)

    link = microsoft.download_link(known)

    assert early.value.code == "ResourceNotFound"
    assert httpx.get(link.url, verify=simulator.trust).content == content
    assert link.url not in repr(link)


def test_a_link_ends_and_a_new_one_can_be_had(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(link_seconds=0)
    known = send(microsoft, request("request_sample", path="C:\\x.exe"))
    end_of(microsoft, known)
    expired = microsoft.download_link(known)
    simulator.seed(link_seconds=60)

    assert httpx.get(expired.url, verify=simulator.trust).status_code == 403
    assert httpx.get(microsoft.download_link(known).url, verify=simulator.trust).status_code == 200


def test_package_links_are_few(microsoft: Microsoft) -> None:
    known = send(microsoft, replace(request("collect_investigation_package"), parameters={}))
    end_of(microsoft, known)
    for _ in range(2):
        microsoft.download_link(known)

    with pytest.raises(Throttled) as caught:
        microsoft.download_link(known)

    assert 50 < (caught.value.retry_after or 0) <= 60


@pytest.mark.parametrize("action_type", ["isolate_device", "get_file_information"])
def test_an_action_without_a_result_says_so(microsoft: Microsoft, action_type: str) -> None:
    with pytest.raises(Refused, match="nothing to fetch"):
        microsoft.download_link(replace(request(), type=action_type, remote_id="x"))


def test_what_can_be_downloaded_is_what_the_connector_says(microsoft: Microsoft) -> None:
    assert Microsoft.download_types == ACTIONS | {"collect_investigation_package"}
    for action_type in Microsoft.download_types:
        with pytest.raises(Refused, match="never accepted"):
            microsoft.download_link(replace(request(), type=action_type))


def test_a_file_is_read_as_data(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(files=[{"sha1": SHA1, "determinationType": "Malware", "determinationValue": "Trojan:Win32/X"}])
    action = request("get_file_information", sha1=SHA1)

    receipt = microsoft.send(action, before_sending=lambda: None)

    assert (receipt.state, receipt.detail) == (RemoteState.SUCCEEDED, "Defender: Malware Trojan:Win32/X")
    assert receipt.data is not None
    assert receipt.data["sha1"] == SHA1
    assert not any(name.startswith("@") for name in receipt.data)
    assert microsoft.look_up([action]).found == {action.action_id: receipt}


def test_a_file_nobody_knows_is_refused_and_one_that_cannot_be_read_now_is_not_sent(
    microsoft: Microsoft, simulator: Simulator
) -> None:
    action = request("get_file_information", sha1=SHA1)

    with pytest.raises(Refused) as caught:
        send(microsoft, action)
    assert type(caught.value) is Refused
    simulator.fault(kind="server_error", method="GET", path="/files/")
    with pytest.raises(NotSent):
        send(microsoft, action)
    assert microsoft.look_up([action]).unanswered == {action.action_id}


def test_an_answer_about_another_file_is_no_answer(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"sha1": "f" * 40, "determinationType": "Clean"}))

    with pytest.raises(NotSent):
        file_information.send(api, request("get_file_information", sha1=SHA1), before_sending=lambda: None)
