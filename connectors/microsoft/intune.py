"""A tenant's Intune over Graph: how it is tied to Defender, its security tasks, and the devices it manages.

Security tasks are a beta contract, read by polling alone: there is neither delta nor webhook. Doubts kept from the
facts (facts/graph.md 1 and 2):

- The path to a task's devices is not documented: three are tried in one order, and the one that worked is told.
- Which moves are legal is not documented; whoever moves a task reads it first.
- That a POST may name its devices in `managedDevices`, as a deep insert, is not documented either; `managedDeviceCount`
  tells what Intune made of it. A task made here has no documented tie to a remediation activity in Defender.
- Filters of Intune's lists may be ignored, so nothing is filtered there: a task is found by reading all of them. A list
  asked for without any option may be incomplete, so `$top` is always given; that the list of tasks takes it is assumed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from connectors.microsoft.defender import text_of
from connectors.microsoft.http import Api
from connectors.protocol import NotSent, OutcomeUnknown, Refused
from connectors.vulnerability_protocol import IntuneState, Rows, TaskRequest

TASKS: Final = "/beta/deviceAppManagement/deviceAppManagementTasks"
MANAGED_DEVICES: Final = "/v1.0/deviceManagement/managedDevices"
DEFENDERS_CONNECTOR: Final = "/v1.0/deviceManagement/mobileThreatDefenseConnectors/fc780465-2017-40d4-a0c5-307022471b92"
"""Defender's partner connector; its id is Defender's own application, the same in every tenant."""

DEVICE_PATHS: Final = ("/{type}/managedDevices", "/{type}?$expand=managedDevices", "?$expand=managedDevices")
"""The ways to a task's devices, after the task's own address, in the order in which they are tried."""

NOT_SET_UP: Final = "unavailable"
PAGE_SIZE: Final = 999
LONGEST_ID: Final = 64
_SELECT: Final = (
    "id,azureADDeviceId,deviceName,operatingSystem,osVersion,complianceState,managementAgent,managedDeviceOwnerType,"
    "lastSyncDateTime,userPrincipalName,serialNumber,deviceCategoryDisplayName"
)
_TYPES: Final = {"app": "appVulnerabilityTask", "configuration": "securityConfigurationTask"}
_DEVICE_TYPES: Final = {"app": "appVulnerabilityManagedDevice", "configuration": "vulnerableManagedDevice"}
_KINDS: Final = {
    "appvulnerabilitytask": "app",
    "securityconfigurationtask": "configuration",
    "unmanageddevicediscoverytask": "unmanaged_devices",
}
_PRIORITIES: Final = {"high": "high", "low": "low"}
"""Intune knows no medium: that is `none`, and the description says it."""


class Intune:
    """What is read of one tenant's Intune, and what is made and moved there."""

    def __init__(self, graph: Api) -> None:
        self._api = graph

    def state(self) -> IntuneState:
        """Return how Intune's connector to Defender is; a tenant without one answers 404. Raises ConnectorError."""
        try:
            row = self._api.get(DEFENDERS_CONNECTOR).body or {}
        except Refused as error:
            if error.status != 404:
                raise
            return IntuneState(NOT_SET_UP, None)
        return IntuneState(text_of(row, "partnerState"), _moment(row, "lastHeartbeatDateTime"))

    def security_tasks(self) -> Iterator[Rows]:
        """Yield pages of all security tasks, of all kinds. Raises ConnectorError."""
        for page in self._api.pages(TASKS, {"$top": str(PAGE_SIZE)}):
            yield [row for row in page if has_id(row)]

    def task_devices(self, task_id: str, *, kind: str, known_path: str) -> tuple[Rows, str]:
        """Return the devices a task names and which of DEVICE_PATHS worked; `known_path` is tried first ("" for none).

        Raises NotSent at once, and what the last path answered when none worked.
        """
        trouble: Refused | OutcomeUnknown | None = None
        for path in sorted(DEVICE_PATHS, key=lambda each: each != known_path):
            try:
                return self._devices_over(_task(task_id), path, kind), path
            except NotSent:
                raise
            except (Refused, OutcomeUnknown) as error:  # an undocumented path may answer anything
                trouble = error
        raise trouble or OutcomeUnknown(f"The devices of task {task_id} could not be read; try again later.")

    def _devices_over(self, task: str, path: str, kind: str) -> Rows:
        address = task + path.replace("{type}", f"microsoft.graph.{_TYPES.get(kind, _TYPES['app'])}")
        if "$expand" not in path:
            return [row for page in self._api.pages(address, {}) for row in page]
        body = self._api.get(address).body or {}
        rows = body.get("managedDevices")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise OutcomeUnknown(f"{task} was answered without its devices; try another way.")
        further = text_of(body, "managedDevices@odata.nextLink")
        return [*rows, *(row for page in self._api.pages(further, {}) for row in page)] if further else rows

    def create_task(self, request: TaskRequest, *, before_sending: Callable[[], None]) -> Mapping[str, Any]:
        """Make a task, once, and return it. Raises Refused and its kinds, or OutcomeUnknown."""
        answer = self._api.post(TASKS, _body(request), action_id=request.marker, before_sending=before_sending)
        made = answer.body or {}
        if not has_id(made):
            raise OutcomeUnknown(f"Intune answered the task of {request.marker} without an id; look it up.")
        return made

    def find_task(self, marker: UUID) -> Mapping[str, Any] | None:
        """Return the task whose description bears our marker, None where no task does. Raises ConnectorError."""
        sign = marker_of(marker)
        for page in self.security_tasks():
            for row in page:
                if sign in text_of(row, "description"):
                    return row
        return None

    def task(self, task_id: str) -> Mapping[str, Any] | None:
        """Return one task as it is now, None where Intune has it no more. Raises ConnectorError."""
        try:
            row = self._api.get(_task(task_id)).body or {}
        except Refused as error:
            if error.status != 404:
                raise
            return None
        if text_of(row, "id").lower() != task_id.lower():
            raise OutcomeUnknown(f"Intune answered task {task_id} with something else; try again later.")
        return row

    def update_task(self, task_id: str, *, status: str, note: str, before_sending: Callable[[], None]) -> None:
        """Move a task to a status of Intune's, with a note. Raises Refused and its kinds, or OutcomeUnknown."""
        path = f"{_task(task_id)}/updateStatus"
        body = {"status": status, "note": note}
        answer = self._api.post(path, body, action_id=task_id, before_sending=before_sending)
        if answer.status != 204:
            raise OutcomeUnknown(f"Intune answered the move of task {task_id} with HTTP {answer.status}; look it up.")

    def managed_devices(self) -> Iterator[Rows]:
        """Yield pages of all managed devices, read anew from the first to the last. Raises ConnectorError."""
        yield from self._api.pages(MANAGED_DEVICES, {"$select": _SELECT, "$top": str(PAGE_SIZE)})


def kind_of(row: Mapping[str, Any]) -> str:
    """Return the kind of a task's row, by its `@odata.type`: `app`, `configuration`, `unmanaged_devices` or `other`."""
    return _KINDS.get(text_of(row, "@odata.type").rpartition(".")[2].lower(), "other")


def has_id(row: Mapping[str, Any]) -> bool:
    """Return whether the row has an id one could ask for; Microsoft's are GUIDs of 36 characters."""
    found = row.get("id")
    return isinstance(found, str) and 0 < len(found) <= LONGEST_ID


def marker_of(marker: UUID) -> str:
    """Return how our marker is written in a task's description."""
    return f"[{marker}]"


def _task(task_id: str) -> str:
    return f"{TASKS}/{quote(task_id, safe='')}"


def _moment(row: Mapping[str, Any], name: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text_of(row, name))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _body(request: TaskRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "@odata.type": f"#microsoft.graph.{_TYPES[request.kind]}",
        "displayName": request.display_name,
        "description": f"{request.description}\n{marker_of(request.marker)}",
        "category": "advancedThreatProtection",
        "priority": _PRIORITIES.get(request.priority, "none"),
        "status": "pending",
        "creator": request.creator,
        "creatorNotes": request.creator_notes,
        "dueDateTime": f"{request.due_at:%Y-%m-%dT%H:%M:%SZ}" if request.due_at else None,
        "insights": request.insights,
        "managedDeviceCount": len(request.entra_device_ids),
        "managedDevices": _named(request.kind, request.entra_device_ids),
    }
    if request.kind == "app":
        fields |= {
            "appName": request.app_name,
            "appPublisher": request.app_publisher,
            "appVersion": request.app_version,
            "mitigationType": request.mitigation_type,
            "remediation": request.remediation,
            "mobileAppCount": 0,
        }
    return fields


def _named(kind: str, entra_device_ids: Sequence[str]) -> list[dict[str, str]]:
    return [{"@odata.type": f"#microsoft.graph.{_DEVICE_TYPES[kind]}", "id": each} for each in entra_device_ids]
