"""Intune over Graph: its health, the three kinds of task, the undocumented ways to devices, and all managed devices."""

import json
import socket
from typing import Any
from uuid import uuid4

import pytest

from connectors.microsoft.connector import Microsoft
from connectors.microsoft.http import Api
from connectors.microsoft.intune import DEVICE_PATHS, Intune, kind_of
from connectors.microsoft.quotas import quota_of_call
from connectors.protocol import NotSent, OutcomeUnknown, Refused, Throttled
from connectors.vulnerability_protocol import TaskRequest
from tests.connectors.microsoft.conftest import Simulator, Wire, http

TASK = "5b1f2c1e-77aa-4b0e-9a51-0d6c0f3b9e21"
ENTRA_ID = "0d0c6f6a-4b2f-4d55-8a36-3d8a7b1e2c11"


def go() -> None:
    """Have nothing against its being sent."""


def a_task(kind: str = "appVulnerabilityTask", task_id: str = TASK, **fields: Any) -> dict[str, Any]:
    return {"@odata.type": f"#microsoft.graph.{kind}", "id": task_id, "displayName": "Update 7-Zip", **fields}


def a_request(**fields: Any) -> TaskRequest:
    values: dict[str, Any] = {
        "marker": uuid4(), "kind": "app", "display_name": "Update 7-Zip", "description": "Please.",
        "priority": "medium", "creator": "ada@acme.example", "creator_notes": "", "due_at": None,
        "app_name": "7-Zip", "app_publisher": "7-Zip", "app_version": "", "mitigation_type": "update",
        "remediation": "24.09", "insights": "", "entra_device_ids": [ENTRA_ID],
    }  # fmt: skip
    return TaskRequest(**(values | fields))


@pytest.fixture
def intune(simulator: Simulator) -> Intune:
    return Microsoft(simulator.settings, deadline_seconds=5).intune


@pytest.mark.process
def test_health_is_the_partner_connectors_and_none_is_not_set_up(intune: Intune, simulator: Simulator) -> None:
    simulator.seed(intune={"partner_state": "unresponsive", "heartbeat": "2026-11-02T08:11:05.1234567Z"})
    state = intune.state()
    assert (state.partner_state, state.heartbeat_at and state.heartbeat_at.isoformat()) == (
        "unresponsive", "2026-11-02T08:11:05.123456+00:00",
    )  # fmt: skip

    simulator.seed(intune={"partner_state": None})
    assert intune.state().partner_state == "unavailable"


@pytest.mark.process
def test_all_kinds_are_read_and_a_strange_one_kept(intune: Intune, simulator: Simulator) -> None:
    kinds = ["appVulnerabilityTask", "securityConfigurationTask", "unmanagedDeviceDiscoveryTask"]
    simulator.seed(security_tasks=[a_task(kind, str(uuid4())) for kind in kinds], page_size=2)

    pages = list(intune.security_tasks())

    assert [len(page) for page in pages] == [2, 1]
    rows = [row for page in pages for row in page]
    assert sorted(map(kind_of, rows)) == ["app", "configuration", "unmanaged_devices"]
    assert kind_of({"@odata.type": "#microsoft.graph.futureTask"}) == kind_of({}) == "other"


@pytest.mark.process
@pytest.mark.parametrize(("works", "path"), list(zip(["cast", "cast_expand", "expand"], DEVICE_PATHS, strict=True)))
@pytest.mark.parametrize("kind", ["appVulnerabilityTask", "securityConfigurationTask"])
def test_the_way_to_a_tasks_devices_is_found(
    intune: Intune, simulator: Simulator, works: str, path: str, kind: str
) -> None:
    simulator.seed(security_tasks=[a_task(kind, managedDevices=[{"id": ENTRA_ID}])], intune={"device_path": works})

    rows, worked = intune.task_devices(TASK, kind=kind_of(a_task(kind)), known_path="")

    assert ([row["id"] for row in rows], worked) == ([ENTRA_ID], path)


@pytest.mark.process
def test_no_way_at_all_is_told(intune: Intune, simulator: Simulator) -> None:
    simulator.seed(security_tasks=[a_task()], intune={"device_path": "none"})

    with pytest.raises(Refused):
        intune.task_devices(TASK, kind="app", known_path=DEVICE_PATHS[2])


def test_ways_are_tried_in_the_documented_order_after_the_one_that_worked(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(400, {"error": {"code": "UnknownError"}}))
    intune = Intune(api)

    for known_path in ("", DEVICE_PATHS[1]):
        with pytest.raises(Refused):
            intune.task_devices(TASK, kind="app", known_path=known_path)

    tried = [request.split(b" ")[1].decode().partition(TASK)[2] for request in wire.requests]
    cast = "/microsoft.graph.appVulnerabilityTask"
    assert tried[:3] == [f"{cast}/managedDevices", f"{cast}?$expand=managedDevices", "?$expand=managedDevices"]
    assert tried[3:] == [tried[1], tried[0], tried[2]]


def test_throttled_ends_the_trying(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(429, {}, Retry_After="2.128"))

    with pytest.raises(Throttled) as caught:
        Intune(api).task_devices(TASK, kind="app", known_path="")

    assert (len(wire.requests), caught.value.retry_after) == (1, 2.128)


@pytest.mark.process
def test_a_task_is_made_with_its_devices_and_found_by_its_marker(intune: Intune, simulator: Simulator) -> None:
    simulator.seed(security_tasks=[a_task()], page_size=1)
    asked = a_request()
    assert intune.find_task(asked.marker) is None

    made = intune.create_task(asked, before_sending=go)

    found = intune.find_task(asked.marker)
    assert found is not None
    assert (found["id"], found["managedDeviceCount"], found["priority"], found["status"]) == (
        made["id"], 1, "none", "pending",
    )  # fmt: skip
    configuration = a_request(kind="configuration", priority="high")
    assert kind_of(intune.create_task(configuration, before_sending=go)) == "configuration"


@pytest.mark.process
def test_a_move_is_204_and_what_is_gone_or_there_already_is_told(intune: Intune, simulator: Simulator) -> None:
    simulator.seed(security_tasks=[a_task(creatorNotes="Exploited")])

    intune.update_task(TASK, status="active", note="On it", before_sending=go)

    row = intune.task(TASK)
    assert row is not None
    assert (row["status"], row["creatorNotes"]) == ("active", "Exploited\nOn it")
    with pytest.raises(Refused) as conflict:
        intune.update_task(TASK, status="active", note="", before_sending=go)
    assert (conflict.value.status, conflict.value.code) == (409, "UnknownError")
    assert "cannot become active" in str(conflict.value)  # unwrapped from JSON in JSON
    assert intune.task(str(uuid4())) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(200, {"value": "no"}), OutcomeUnknown),
        (http(500, {}), OutcomeUnknown),
        (http(403, {"error": {"code": "UnknownError"}}), Refused),
        (http(429, {}), NotSent),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", OutcomeUnknown),
    ],
)
def test_lists_that_cannot_be_read_are_never_empty_ones(
    api: Api, wire: Wire, answer: bytes, error: type[Exception]
) -> None:
    wire.script = lambda out, _request: out.sendall(answer)

    with pytest.raises(error):
        Intune(api).find_task(uuid4())


def test_a_made_task_without_an_id_and_a_move_that_is_no_204_are_unknown(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(201, {"displayName": "x"}))
    with pytest.raises(OutcomeUnknown):
        Intune(api).create_task(a_request(), before_sending=go)

    wire.script = lambda out, _request: out.sendall(http(200, {"status": "active"}))
    with pytest.raises(OutcomeUnknown):
        Intune(api).update_task(TASK, status="active", note="", before_sending=go)


def test_managed_devices_are_asked_for_in_full_pages_and_links_followed_untouched(api: Api, wire: Wire) -> None:
    link = f"{wire.url}/v1.0/deviceManagement/managedDevices?$skiptoken=a%2Bb&x=%24"

    def answer(out: socket.socket, request: bytes) -> None:
        body: dict[str, Any] = {"value": [{"id": "1"}]}
        if b"skiptoken" not in request:
            body["@odata.nextLink"] = link
        out.sendall(http(200, body))

    wire.script = answer

    assert [len(page) for page in Intune(api).managed_devices()] == [1, 1]
    first, second = (request.split(b" ")[1].decode() for request in wire.requests)
    assert "$top=999" in first
    assert "$select=id,azureADDeviceId," in first
    assert "$filter" not in first
    assert wire.url + second == link


@pytest.mark.parametrize(
    ("call", "per_minute"),
    [
        (("GET", f"/beta/deviceAppManagement/deviceAppManagementTasks/{TASK}/x/managedDevices"), 1000),
        (("POST", f"/beta/deviceAppManagement/deviceAppManagementTasks/{TASK}/updateStatus"), 100),
        (("GET", "/v1.0/deviceManagement/managedDevices"), 2000),
    ],
)
def test_calls_count_together_as_microsoft_counts_them(call: tuple[str, str], per_minute: int) -> None:
    quota = quota_of_call(*call)

    assert (quota.per_minute, quota.per_hour) == (per_minute, None)
    assert TASK not in json.dumps(quota.name)
