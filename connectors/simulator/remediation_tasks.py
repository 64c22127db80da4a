"""Remediation activities that were made in Defender itself (facts/defender.md 5.3, 6.5, 6.8). The API only reads them.

An activity whose ``recommendationReference`` is a recommendation of the tenant follows it: those of its devices count
as exposed that still are, and with the last of them fixed it is completed by itself.
"""

from connectors.simulator.exchange import Answer, Call, Json, Refusal
from connectors.simulator.moments import moment_text
from connectors.simulator.odata import FieldKind, filtered, page
from connectors.simulator.recommendations import LARGEST_PAGE, references
from connectors.simulator.store import Tenant

FIELDS: dict[str, FieldKind] = {"createdOn": "moment", "status": "text"}


def list_tasks(call: Call) -> Answer:
    """A page of the tenant's remediation activities, newest first."""
    rows = [as_json(call.tenant, task_id, call.now) for task_id in reversed(call.tenant.remediation_tasks)]
    kept = filtered(call, rows, FIELDS)
    listed = page(call, kept, size=LARGEST_PAGE, largest=LARGEST_PAGE, most=call.tenant.page_size)
    return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#RemediationTasks", **listed})


def get_task(call: Call) -> Answer:
    """One remediation activity. Raises Refusal (404)."""
    row = as_json(call.tenant, _found(call), call.now)
    return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#RemediationTasks/$entity", **row})


def machine_references(call: Call) -> Answer:
    """A page of the activity's devices that are still exposed. Raises Refusal (404)."""
    return references(call, _exposed(call.tenant, _found(call), call.now))


def as_json(tenant: Tenant, task_id: str, now: int) -> Json:
    """The activity as Microsoft would send it now."""
    task = tenant.remediation_tasks[task_id]
    exposed = _exposed(tenant, task_id, now)
    if task["machines"] and not exposed and task["status"] == "Active":
        completed = {"status": "Completed", "completionMethod": "Automatic", "statusLastModifiedOn": moment_text(now)}
        task.update(completed)
    shown = {name: value for name, value in task.items() if name != "machines"}
    fixed = len(task["machines"]) - len(exposed) if task["machines"] else task["fixedDevices"]
    return {**shown, "targetDevices": max(task["targetDevices"], len(task["machines"])), "fixedDevices": fixed}


def _exposed(tenant: Tenant, task_id: str, now: int) -> list[str]:
    task = tenant.remediation_tasks[task_id]
    weakness = tenant.exposures.find(task["recommendationReference"] or "", now)
    if weakness is None:
        return [key for key in task["machines"] if key in tenant.machines]
    exposed = set(weakness.exposed)
    return [key for key in task["machines"] if key in exposed and key in tenant.machines]


def _found(call: Call) -> str:
    task_id = call.path_values["task"]
    if task_id not in call.tenant.remediation_tasks:
        raise Refusal(404, "ResourceNotFound", f"Remediation task {task_id} was not found.")
    return task_id
