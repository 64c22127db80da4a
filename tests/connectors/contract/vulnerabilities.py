"""What there is about vulnerabilities and Intune in the recorded tenant; a connector and a client ask for all of it."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from connectors.microsoft.connector import Microsoft
from connectors.vulnerability_protocol import TaskRequest
from tests.connectors.contract.recording import MACHINE, client

RECOMMENDATION: Final = "va-_-7-zip-_-7-zip"
ENTRA_DEVICE: Final = "0d0c6f6a-4b2f-4d55-8a36-3d8a7b1e2c11"
WORLD: Final[dict[str, Any]] = {
    "recommendations": [
        {"id": RECOMMENDATION, "exposed": [MACHINE], "cves": ["CVE-2025-0411"], "tags": ["EOL"]},
        {"id": "sca-_-scid-2011", "status": "Exception"},
    ],
    "remediation_tasks": [
        {"title": "Update 7-zip", "machines": [MACHINE], "recommendationReference": RECOMMENDATION},
        {"title": "Done", "status": "Completed", "completionMethod": "Manual", "type": "AttentionRequired"},
    ],
    "managed_devices": [{"deviceName": "LAP-01", "azureADDeviceId": ENTRA_DEVICE}],
}
_TASKS: Final = "/beta/deviceAppManagement/deviceAppManagementTasks"
_MANAGEMENT: Final = "/v1.0/deviceManagement"
_CONNECTOR: Final = "fc780465-2017-40d4-a0c5-307022471b92"


def drive(connector: Microsoft) -> None:
    """Let the connector read everything, and make, move and look up a task of each kind it makes."""
    source, intune = connector.vulnerabilities, connector.intune
    for pages in (
        source.recommendations(),
        source.exposed_devices(RECOMMENDATION),
        source.weaknesses(RECOMMENDATION),
        source.remediation_tasks(),
        intune.managed_devices(),
        intune.security_tasks(),
    ):
        list(pages)
    intune.state()
    for kind in ("app", "configuration"):
        request = _request(kind)
        task_id = str(intune.create_task(request, before_sending=lambda: None)["id"])
        intune.update_task(task_id, status="active", note="on it", before_sending=lambda: None)
        intune.task_devices(task_id, kind=kind, known_path="")
        assert (intune.find_task(request.marker) or {})["id"] == (intune.task(task_id) or {})["id"] == task_id


def _request(kind: str) -> TaskRequest:
    return TaskRequest(
        marker=uuid4(),
        kind=kind,
        display_name="Update 7-Zip",
        description="Update 7-Zip to 25.01.",
        priority="medium",
        creator="ada@harbour.example",
        creator_notes="Please",
        due_at=datetime(2026, 12, 1, tzinfo=UTC),
        app_name="7-Zip",
        app_publisher="7-Zip",
        app_version="",
        mitigation_type="update",
        remediation="Deploy 25.01",
        insights="1 CVE",
        entra_device_ids=[ENTRA_DEVICE],
    )


def ask(url: str, ca_file: str, tenant: str) -> None:
    """Ask for every recommendation, activity, task and managed device, and make, change, move and delete a task."""
    with client(url, ca_file, tenant, "https://api.securitycenter.microsoft.com") as defender:
        recommendation = f"/api/recommendations/{RECOMMENDATION}"
        tasks = defender.get("/api/remediationTasks").raise_for_status().json()["value"]
        task = next(row for row in tasks if row["title"] == "Update 7-zip")
        for path in (
            "/api/recommendations",
            recommendation,
            f"{recommendation}/machineReferences",
            f"{recommendation}/vulnerabilities",
            f"/api/remediationTasks/{task['id']}",
            f"/api/remediationTasks/{task['id']}/machineReferences",
        ):
            defender.get(path).raise_for_status()
    with client(url, ca_file, tenant, "https://graph.microsoft.com") as graph:
        for path in ("managedDevices", f"mobileThreatDefenseConnectors/{_CONNECTOR}"):
            graph.get(f"{_MANAGEMENT}/{path}").raise_for_status()
        asked = {"@odata.type": "#microsoft.graph.appVulnerabilityTask", "managedDevices": [{"id": ENTRA_DEVICE}]}
        made = f"{_TASKS}/{graph.post(_TASKS, json=asked).raise_for_status().json()['id']}"
        for path in (
            "",
            "/microsoft.graph.appVulnerabilityTask",
            "/microsoft.graph.appVulnerabilityTask/managedDevices",
        ):
            graph.get(made + path).raise_for_status()
        graph.patch(made, json={"assignedTo": "it@acme.example"}).raise_for_status()
        graph.post(f"{made}/updateStatus", json={"status": "active", "note": "on it"}).raise_for_status()
        graph.get(_TASKS).raise_for_status()
        graph.delete(made).raise_for_status()
