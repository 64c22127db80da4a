"""Intune's security tasks (facts/graph.md 1): Graph beta, described in documents only.

Microsoft documents no path to the devices of a task. A tenant's ``intune`` says in ``device_path`` which one works:
``cast`` (…/{id}/microsoft.graph.appVulnerabilityTask/managedDevices), ``cast_expand`` ($expand=managedDevices on the
cast item), ``expand`` ($expand=managedDevices on the plain item) or ``none``. Which moves between statuses are legal is
not documented either: here a task goes from pending to active or rejected, and from active to completed or rejected;
any other move, to where it is already too, is a conflict. The note of a move is appended to ``creatorNotes`` on a line
of its own: where Intune keeps it, Microsoft does not say.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from connectors.simulator.exchange import Answer, Call, Handler, Json, Refusal, body_object
from connectors.simulator.limits import INTUNE_TASK_WRITES, charge
from connectors.simulator.managed_devices import following_page
from connectors.simulator.moments import moment_text, ticks_of
from connectors.simulator.store import Tenant

NAMESPACE: Final = "#microsoft.graph."
DEVICE_PATHS: Final = ("cast", "cast_expand", "expand", "none")
STATUSES: Final = ("unknown", "pending", "active", "completed", "rejected")
MOVES: Final[Mapping[str, frozenset[str]]] = {
    "pending": frozenset({"active", "rejected"}),
    "active": frozenset({"completed", "rejected"}),
}
_CHOICES: Final = {
    "category": ("unknown", "advancedThreatProtection"),
    "priority": ("none", "high", "low"),
    "status": STATUSES,
    "mitigationType": ("unknown", "update", "uninstall", "securityConfiguration"),
}
_BASE: Final[Json] = {
    "displayName": "",
    "description": "",
    "createdDateTime": None,
    "dueDateTime": None,
    "category": "advancedThreatProtection",
    "priority": "none",
    "creator": "",
    "creatorNotes": "",
    "assignedTo": None,
    "status": "pending",
}
KINDS: Final[Mapping[str, Json]] = {
    "appVulnerabilityTask": {
        **_BASE,
        "appName": "",
        "appPublisher": "",
        "appVersion": "",
        "mitigationType": "unknown",
        "insights": "",
        "remediation": "",
        "managedDeviceCount": 0,
        "mobileAppCount": 0,
        "managedDevices": [],
        "mobileApps": [],
    },
    "securityConfigurationTask": {
        **_BASE,
        "endpointSecurityPolicy": "unknown",
        "applicablePlatform": "windows10AndLater",
        "endpointSecurityPolicyProfile": "unknown",
        "insights": "",
        "managedDeviceCount": 0,
        "intendedSettings": [],
        "managedDevices": [],
    },
    "unmanagedDeviceDiscoveryTask": {**_BASE, "unmanagedDevices": []},
}
"""The properties of each kind of task as they are when nobody gave them."""

_NAVIGATION: Final = ("managedDevices", "mobileApps")


def list_tasks(call: Call) -> Answer:
    """A page of the tenant's security tasks of all kinds, by id."""
    rows = [_shown(task) for _, task in sorted(call.tenant.security_tasks.items())]
    return Answer(200, {"@odata.context": _context(call), **following_page(call, rows)})


def get_task(call: Call) -> Answer:
    """One task, with its devices where ``$expand`` asks for them and the tenant allows it. Raises Refusal."""
    return _item(call, "expand")


def get_cast_task(call: Call) -> Answer:
    """One task by the path that names its type. Raises Refusal."""
    _require_cast(call)
    return _item(call, "cast_expand")


def list_devices(call: Call) -> Answer:
    """A page of the devices a task names. Raises Refusal (404) where this path does not work."""
    _require_cast(call)
    if call.tenant.intune.get("device_path", "cast") != "cast":
        raise Refusal(404, "ResourceNotFound", "No OData route exists that matches template ~/singleton/managedDevices")
    kind = f"appVulnerabilityTask('{call.path_values['task']}')/managedDevices"
    body = following_page(call, sorted(_found(call)["managedDevices"], key=lambda device: str(device["id"])))
    return Answer(200, {"@odata.context": f"{_context(call)}/{kind}", **body})


def written(handler: Handler) -> Handler:
    """The handler of a call that writes: it counts against the limit of writes too."""

    def handle(call: Call) -> Answer:
        charge(call.tenant, INTUNE_TASK_WRITES, call.now)
        return handler(call)

    return handle


def create_task(call: Call) -> Answer:
    """Make a task of the kind its ``@odata.type`` says, pending. Raises Refusal (400)."""
    body = {name: value for name, value in body_object(call).items() if name != "id"}
    task = put_task(call.tenant, str(uuid4()), body, call.now)
    answer = {"@odata.context": f"{_context(call)}/$entity", **_shown(task)}
    return Answer(201, answer, remote_id=task["id"])


def change_task(call: Call) -> Answer:
    """Change properties of a task. Raises Refusal (400, 404)."""
    task = _found(call)
    put_task(call.tenant, task["id"], {"@odata.type": task["@odata.type"], **body_object(call)}, call.now)
    return Answer(200, _shown(_found(call)), remote_id=task["id"])


def delete_task(call: Call) -> Answer:
    """Take a task away. Raises Refusal (404)."""
    task = call.tenant.security_tasks.pop(_found(call)["id"])
    return Answer(204, remote_id=task["id"])


def update_status(call: Call) -> Answer:
    """Move a task, with a note. Raises Refusal (400, 404, and 409 for a move that is not allowed)."""
    task, body = _found(call), body_object(call)
    status, note = body.get("status"), body.get("note")
    if body.keys() - {"status", "note"} or status not in STATUSES or not isinstance(note, str | None):
        raise Refusal(400, "BadRequest", "updateStatus takes status, one of the statuses of a task, and note.")
    if status not in MOVES.get(task["status"], frozenset()):
        raise Refusal(409, "Conflict", f"The task is {task['status']} and cannot become {status}.")
    move_task(task, status, note or "")
    return Answer(204, remote_id=task["id"])


def move_task(task: Json, status: str, note: str) -> None:
    """Let a task be in this status, whatever it was before, and keep the note."""
    task["status"] = status
    if note:
        task["creatorNotes"] = "\n".join(filter(None, [task["creatorNotes"], note]))


def put_task(tenant: Tenant, task_id: str, given: Mapping[str, Any], now: int) -> Json:
    """Add a task or change one. ``managedDevices`` may be ids of Entra alone. Raises Refusal (400)."""
    kind = str(given.get("@odata.type", "")).removeprefix(NAMESPACE)
    if kind not in KINDS:
        raise Refusal(400, "BadRequest", f"@odata.type is not one of {', '.join(KINDS)}.")
    fields = {name: value for name, value in given.items() if not name.startswith("@")}
    _check(kind, fields)
    made = {**KINDS[kind], "createdDateTime": moment_text(now)}
    task = {**tenant.security_tasks.get(task_id, made), **fields, "@odata.type": NAMESPACE + kind, "id": task_id}
    if "managedDevices" in fields:
        managed = {row["azureADDeviceId"]: row for row in tenant.managed_devices.values()}
        task["managedDevices"] = [_device(managed, device, now) for device in fields["managedDevices"]]
        task["managedDeviceCount"] = len(task["managedDevices"])
    tenant.security_tasks[task_id] = task
    return task


def _check(kind: str, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name not in KINDS[kind] and name != "id":
            raise Refusal(400, "BadRequest", f"The property '{name}' does not exist on type 'microsoft.graph.{kind}'.")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise Refusal(400, "BadRequest", f"Cannot convert '{value}' to the type of '{name}'.")
        if isinstance(KINDS[kind].get(name), list) and not isinstance(value, list):
            raise Refusal(400, "BadRequest", f"The property '{name}' must be a collection.")
    due = fields.get("dueDateTime")
    try:
        ticks_of(due or "2026-01-01")
    except (ValueError, AttributeError) as error:
        raise Refusal(400, "BadRequest", f"Cannot convert '{due}' to Edm.DateTimeOffset.") from error


def _device(managed: Mapping[str, Json], device: object, now: int) -> Json:
    """A device of a task: Intune knows the name and its own id of those it manages."""
    given = device if isinstance(device, dict) else {"id": device}
    if not isinstance(given.get("id"), str):
        raise Refusal(400, "BadRequest", "A managed device needs id, its device id in Entra ID.")
    row = managed.get(str(given["id"]), {})
    known = {
        "managedDeviceId": row.get("id"),
        "displayName": row.get("deviceName"),
        "lastSyncDateTime": row.get("lastSyncDateTime", moment_text(now)),
    }
    return {**known, **{name: value for name, value in given.items() if not name.startswith("@")}}


def _item(call: Call, path: str) -> Answer:
    task = _found(call)
    body = {"@odata.context": f"{_context(call)}/$entity", **_shown(task)}
    wanted = [name for name in call.query.get("$expand", "").split(",") if name]
    for name in wanted:
        if call.tenant.intune.get("device_path", "cast") != path or name not in _NAVIGATION or name not in task:
            kind = (
                task["@odata.type"].lstrip("#") if path == "cast_expand" else "microsoft.graph.deviceAppManagementTask"
            )
            raise Refusal(400, "BadRequest", f"Could not find a property named '{name}' on type '{kind}'.")
        body[name] = task[name]
    return Answer(200, body)


def _require_cast(call: Call) -> None:
    """Raise Refusal (404) unless the path names the task's own type."""
    kind = str(_found(call)["@odata.type"]).lstrip("#").lower()
    if call.path_values["kind"].lower() != kind or call.tenant.intune.get("device_path") in ("expand", "none"):
        raise Refusal(404, "ResourceNotFound", f"Resource not found for the segment '{call.path_values['kind']}'.")


def _found(call: Call) -> Json:
    task = call.tenant.security_tasks.get(call.path_values["task"])
    if task is None:
        raise Refusal(404, "ResourceNotFound", f"The task {call.path_values['task']} was not found.")
    return task


def _shown(task: Json) -> Json:
    return {name: value for name, value in task.items() if name not in _NAVIGATION}


def _context(call: Call) -> str:
    return f"{call.origin}/beta/$metadata#deviceAppManagement/deviceAppManagementTasks"
