"""Intune at the simulator: its security tasks, its managed devices, and what Microsoft leaves undocumented."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from connectors.simulator.exchange import Refusal
from connectors.simulator.limits import INTUNE_TASK_WRITES, INTUNE_TASKS, charge
from connectors.simulator.moments import ticks_in
from connectors.simulator.store import Tenant
from tests.connectors.simulator.conftest import GRAPH, Company

pytestmark = pytest.mark.process

TASKS = "/beta/deviceAppManagement/deviceAppManagementTasks"
DEVICES = "/v1.0/deviceManagement/managedDevices"
CONNECTOR = "/v1.0/deviceManagement/mobileThreatDefenseConnectors/fc780465-2017-40d4-a0c5-307022471b92"
ENTRA = [str(UUID(int=number)) for number in (1, 2, 3)]
CAST = "/microsoft.graph.appVulnerabilityTask"
WAYS = {
    "cast": f"{CAST}/managedDevices",
    "cast_expand": f"{CAST}?$expand=managedDevices",
    "expand": "?$expand=managedDevices",
}


def only_task(company: Company) -> dict[str, Any]:
    [task] = company.graph.get(TASKS).raise_for_status().json()["value"]
    return dict(task)


def move(company: Company, task_id: str, status: str, note: str | None = None) -> httpx.Response:
    return company.graph.post(f"{TASKS}/{task_id}/updateStatus", json={"status": status, "note": note})


def innermost(answer: httpx.Response) -> str:
    """What Intune says inside the JSON inside the message."""
    outer = json.loads(answer.json()["error"]["message"])
    return str(json.loads(outer["Message"])["Message"])


@pytest.mark.parametrize("way", [*WAYS, "none"])
def test_one_way_to_a_tasks_devices_works(weak: Company, way: str) -> None:
    weak.seed(intune={"device_path": way})
    path = f"{TASKS}/{only_task(weak)['id']}"

    answers = {name: weak.graph.get(path + end) for name, end in WAYS.items()}

    assert [name for name, answer in answers.items() if answer.status_code == 200] == [
        name for name in WAYS if name == way
    ]
    for name, answer in answers.items():
        if name == way:
            body = answer.json()
            rows = body["value"] if name == "cast" else body["managedDevices"]
            assert [row["id"] for row in rows] == ENTRA
            assert [row["displayName"] for row in rows] == ["PC-1", "PC-2", None]
        else:
            assert answer.status_code in (400, 404)
            assert "Activity ID" in innermost(answer)


def test_a_task_goes_from_pending_to_active_to_completed_and_nowhere_else(weak: Company) -> None:
    task = only_task(weak)["id"]

    assert move(weak, task, "completed").status_code == 409
    accepted = move(weak, task, "active", "on it")
    assert (accepted.status_code, accepted.content) == (204, b"")
    assert move(weak, task, "active").status_code == 409
    assert move(weak, task, "completed", "done").status_code == 204
    assert "cannot become rejected" in innermost(move(weak, task, "rejected"))
    assert move(weak, task, "finished").status_code == 400
    assert (only_task(weak)["status"], only_task(weak)["creatorNotes"]) == ("completed", "Please\non it\ndone")


def test_a_task_is_made_changed_and_deleted(weak: Company) -> None:
    body = {
        "@odata.type": "#microsoft.graph.securityConfigurationTask",
        "displayName": "Turn on the firewall",
        "priority": "high",
        "dueDateTime": "2026-12-01T00:00:00Z",
        "managedDevices": [{"@odata.type": "#microsoft.graph.vulnerableManagedDevice", "id": ENTRA[0]}],
    }
    made = weak.graph.post(TASKS, json=body)
    path = f"{TASKS}/{made.json()['id']}"

    assert (made.status_code, made.json()["status"], made.json()["managedDeviceCount"]) == (201, "pending", 1)
    assert weak.graph.patch(path, json={"assignedTo": "it@acme.example"}).json()["assignedTo"] == "it@acme.example"
    assert [entry["external_id"] for entry in weak.log() if entry["method"] == "POST"] == ["Turn on the firewall"]
    assert weak.graph.delete(path).status_code == 204
    assert weak.graph.get(path).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"@odata.type": "#microsoft.graph.task"},
        {"priority": "medium"},
        {"ticket": "1"},
        {"dueDateTime": "soon"},
        {"managedDevices": "all"},
        {"managedDevices": [{"managedDeviceId": "x"}]},
    ],
)
def test_what_intune_would_not_take_is_refused(weak: Company, wrong: dict[str, Any]) -> None:
    body = {"@odata.type": "#microsoft.graph.appVulnerabilityTask", "displayName": "x", **wrong}

    assert weak.graph.post(TASKS, json=body).status_code == 400
    assert only_task(weak)["displayName"] == "Update 7-Zip"


def test_the_it_admin_does_what_they_want(weak: Company) -> None:
    task, admin = only_task(weak)["id"], weak.simulator.admin
    path = f"/_simulator/tenants/{weak.id}/tasks/{task}"

    admin.post(path, json={"status": "rejected", "note": "No maintenance window", "assignedTo": "Iris"})

    seen = only_task(weak)
    assert (seen["status"], seen["assignedTo"], seen["creatorNotes"]) == (
        "rejected", "Iris", "Please\nNo maintenance window",
    )  # fmt: skip
    admin.delete(path)
    assert weak.graph.get(TASKS).json()["value"] == []


def test_a_filter_of_managed_devices_is_not_to_be_relied_on(weak: Company) -> None:
    weak.seed(managed_devices=[{"deviceName": "OLD", "lastSyncDateTime": "2020-01-01T00:00:00Z"}])

    def names(**query: str) -> list[str]:
        return sorted(row["deviceName"] for row in weak.graph.get(DEVICES, params=query).json()["value"])

    assert names() == names(**{"$filter": "deviceName eq 'OLD'"}) == ["OLD", "PC-1", "PC-2"]
    assert names(**{"$filter": f"azureADDeviceId eq '{ENTRA[0]}' or azureADDeviceId eq '{ENTRA[1]}'"}) == ["PC-1"]
    assert names(**{"$filter": "lastSyncDateTime ge 2026-01-01T00:00:00Z"}) == ["PC-1", "PC-2"]
    [row, *_] = weak.graph.get(DEVICES, params={"$select": "deviceName"}).json()["value"]
    assert row.keys() == {"id", "deviceName"}


def test_pages_go_on_behind_the_last_row_whatever_went_meanwhile(weak: Company) -> None:
    weak.seed(managed_devices=[{"id": f"{number}", "deviceName": f"P{number}"} for number in range(5)], page_size=2)
    weak.seed(managed_devices=[{"deviceName": f"PC-{number}", "removed": True} for number in (1, 2)])

    first = weak.graph.get(DEVICES, params={"$top": "999"}).json()
    weak.seed(managed_devices=[{"id": "0", "removed": True}])
    second = weak.graph.get(first["@odata.nextLink"]).json()

    assert [row["id"] for row in [*first["value"], *second["value"]]] == ["0", "1", "2", "3"]


def test_a_list_without_top_may_be_short_of_rows(weak: Company) -> None:
    weak.seed(intune={"incomplete_without_top": True})

    assert len(weak.graph.get(DEVICES).json()["value"]) == 1
    assert len(weak.graph.get(DEVICES, params={"$top": "999"}).json()["value"]) == 2


def test_the_connector_says_how_intune_is_tied_to_defender(weak: Company) -> None:
    assert weak.graph.get(CONNECTOR).json()["partnerState"] == "enabled"
    weak.seed(intune={"partner_state": "unresponsive", "heartbeat": "2026-01-01T00:00:00Z"})
    assert weak.graph.get(CONNECTOR).json()["lastHeartbeatDateTime"] == "2026-01-01T00:00:00Z"
    weak.seed(intune={"partner_state": None})
    assert weak.graph.get(CONNECTOR).status_code == 404


def test_each_part_of_intune_needs_its_permission(weak: Company) -> None:
    for role, path in (
        ("DeviceManagementApps.ReadWrite.All", TASKS),
        ("DeviceManagementManagedDevices.Read.All", DEVICES),
        ("DeviceManagementServiceConfig.Read.All", CONNECTOR),
    ):
        weak.seed(withheld_roles=[role])
        with weak.simulator.client(weak.id, GRAPH) as graph:
            assert [each for each in (TASKS, DEVICES, CONNECTOR) if graph.get(each).status_code == 403] == [path]


@pytest.mark.parametrize(("quota", "most"), [(INTUNE_TASKS, 1000), (INTUNE_TASK_WRITES, 100)])
def test_so_many_calls_in_twenty_seconds(quota: Any, most: int) -> None:
    tenant = Tenant("t", enforce_quotas=True)
    for _ in range(most):
        charge(tenant, quota, 0)

    with pytest.raises(Refusal) as refused:
        charge(tenant, quota, ticks_in(5))
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "15"})
    charge(tenant, quota, ticks_in(20))
