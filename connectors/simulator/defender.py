"""Defender for Endpoint's machines and machine actions (facts/defender.md 6.2, 6.3, 6.5, 6.6)."""

import re
from dataclasses import dataclass
from uuid import uuid4

from connectors.simulator.exchange import Answer, Call, Handler, Json, Refusal, body_object, require_role
from connectors.simulator.odata import FieldKind, filtered, page
from connectors.simulator.records import FINAL_STATUSES, Cancellation, MachineAction

LARGEST_PAGE = 10_000
COMMON_PARAMETERS = frozenset({"Comment", "ExternalId", "RequestSource", "Title"})
REQUEST_SOURCES = frozenset(
    {
        "Unspecified",
        "PublicApi",
        "Portal",
        "MCAS",
        "TVM",
        "CustomDetection",
        "BulkAction",
        "ISG",
        "NDR",
        "EndpointConfigManagement",
        "IncidentTasks",
        "MDI",
        "ActiveScan",
    }
)
ACTION_FIELDS: dict[str, FieldKind] = {
    "id": "text",
    "status": "text",
    "machineId": "text",
    "type": "text",
    "requestor": "text",
    "creationDateTimeUtc": "moment",
}
MACHINE_FIELDS: dict[str, FieldKind] = {
    "id": "text",
    "computerDnsName": "text",
    "osPlatform": "text",
    "healthStatus": "text",
    "onboardingStatus": "text",
    "riskScore": "text",
    "exposureLevel": "text",
    "aadDeviceId": "text",
    "lastSeen": "moment",
}

_SHA1 = re.compile(r"[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True)
class Verb:
    """One way to act on a machine: the action's type, the permission it needs and the parameter of its own."""

    type: str
    role: str
    status: int = 201
    parameter: str | None = None
    values: tuple[str, ...] = ()
    default: str | None = None
    windows_only: bool = False


# Keyed by the last step of the path in lower case: the paths are case-blind, the body's keys are not.
VERBS = {
    "isolate": Verb(
        "Isolate", "Machine.Isolate", parameter="IsolationType", values=("Full", "Selective"), default="Full"
    ),
    "unisolate": Verb("Unisolate", "Machine.Isolate"),
    "restrictcodeexecution": Verb("RestrictCodeExecution", "Machine.RestrictExecution", windows_only=True),
    "unrestrictcodeexecution": Verb("UnrestrictCodeExecution", "Machine.RestrictExecution", windows_only=True),
    "runantivirusscan": Verb("RunAntiVirusScan", "Machine.Scan", parameter="ScanType", values=("Quick", "Full")),
    "stopandquarantinefile": Verb(
        "StopAndQuarantineFile", "Machine.StopAndQuarantine", parameter="Sha1", windows_only=True
    ),
    "offboard": Verb("Offboard", "Machine.Offboard", status=200, windows_only=True),
    "collectinvestigationpackage": Verb("CollectInvestigationPackage", "Machine.CollectForensics"),
}
ROLE_OF_TYPE = {verb.type: verb.role for verb in VERBS.values()} | {"LiveResponse": "Machine.LiveResponse"}


def list_machines(call: Call) -> Answer:
    """A page of the tenant's machines. Raises Refusal (404) when it has none, as Microsoft does."""
    if not call.tenant.machines:
        raise _not_found("No machines were found.")
    rows = filtered(call, list(call.tenant.machines.values()), MACHINE_FIELDS)
    return Answer(200, _collection(call, "Machines", rows))


def get_machine(call: Call) -> Answer:
    """One machine. Raises Refusal (404)."""
    return Answer(200, {"@odata.context": _context(call, "Machines/$entity"), **find_machine(call)})


def act(verb: Verb) -> Handler:
    """The handler of one verb: a new machine action on one machine, pending.

    It never looks at ``ExternalId`` to find a double. Raises Refusal (400) for a wrong body, a machine of the wrong
    kind, or the same work still under way on the machine; 404 for an unknown machine.
    """

    def handle(call: Call) -> Answer:
        machine = find_machine(call)
        action = _new_action(call, verb, machine)
        latest = call.tenant.latest_action(action.machine_id, action.type, action.sha1)
        if latest is not None and latest.status(call.now) not in FINAL_STATUSES:
            raise Refusal(400, "ActiveRequestAlreadyExists", "Action is already in progress")
        call.tenant.add_action(action)
        return action_answer(call, action, verb.status)

    return handle


def list_actions(call: Call) -> Answer:
    """A page of the tenant's machine actions, newest first, without those still hidden by a fault."""
    shown = [a.as_json(call.now) for a in reversed(call.tenant.actions.values()) if a.visible_from <= call.now]
    return Answer(200, _collection(call, "MachineActions", filtered(call, shown, ACTION_FIELDS)))


def get_action(call: Call) -> Answer:
    """One machine action as it stands now. Raises Refusal (404)."""
    return action_answer(call, find_action(call), 200)


def find_action(call: Call) -> MachineAction:
    """The machine action the path names. Raises Refusal (404), also while a fault hides it."""
    action = call.tenant.actions.get(call.path_values["action"])
    if action is None or action.visible_from > call.now:
        raise _not_found(f"Machine action {call.path_values['action']} was not found.")
    return action


def action_answer(call: Call, action: MachineAction, status: int) -> Answer:
    """A machine action as it stands now."""
    body = {"@odata.context": _context(call, "MachineActions/$entity"), **action.as_json(call.now)}
    return Answer(status, body, remote_id=action.id)


def cancel_action(call: Call) -> Answer:
    """Stop a machine action that has not ended, with the permission of that action.

    Raises Refusal: 404 unknown, 403 not permitted, 400 no comment or already final.
    """
    action = call.tenant.actions.get(call.path_values["action"])
    if action is None:
        raise _not_found(f"Machine action {call.path_values['action']} was not found.")
    require_role(call, ROLE_OF_TYPE[action.type])
    comment = _required_text(body_object(call), "Comment")
    status = action.status(call.now)
    if status in FINAL_STATUSES:
        raise Refusal(400, "InvalidRequest", f"Machine action {action.id} is {status} and cannot be cancelled.")
    action.cancellation = Cancellation(call.caller, comment, call.now)
    return action_answer(call, action, 200)


def _new_action(call: Call, verb: Verb, machine: Json) -> MachineAction:
    body = body_object(call)
    comment = _required_text(body, "Comment")
    own = {verb.parameter} if verb.parameter else set()
    for name in body.keys() - COMMON_PARAMETERS - own:
        text = (
            f"The parameter '{name}' in the request payload is not a valid parameter for the operation '{verb.type}'."
        )
        raise Refusal(400, "InvalidRequestBody", text)
    value = _own_parameter(body, verb)
    if verb.windows_only and not str(machine["osPlatform"]).startswith("Windows"):
        text = f"{verb.type} is not supported on {machine['osPlatform']}."
        raise Refusal(400, "OsPlatformNotSupported", text)
    is_file = verb.parameter == "Sha1"
    return MachineAction(
        id=str(uuid4()),
        type=verb.type,
        machine_id=machine["id"],
        computer_dns_name=machine["computerDnsName"],
        requestor=call.caller,
        comment=comment,
        scope=None if is_file else value,
        sha1=value.lower() if is_file and value else None,
        external_id=optional_text(body, "ExternalId"),
        request_source=_request_source(body),
        title=optional_text(body, "Title"),
        created=call.now,
        finishes=call.now + call.action_ticks,
        visible_from=call.now + call.hidden_ticks,
    )


def _own_parameter(body: Json, verb: Verb) -> str | None:
    if verb.parameter is None or (verb.parameter not in body and verb.default is not None):
        return verb.default
    value = _required_text(body, verb.parameter)
    if verb.parameter == "Sha1":
        if not _SHA1.fullmatch(value):
            raise Refusal(400, "InvalidHashValue", f"'{value}' is not a valid SHA-1.")
    elif value not in verb.values:
        raise Refusal(400, "InvalidInput", f"{verb.parameter} '{value}' is not one of {', '.join(verb.values)}.")
    return value


def _request_source(body: Json) -> str:
    source = optional_text(body, "RequestSource") or "PublicApi"
    if source not in REQUEST_SOURCES:
        raise Refusal(400, "InvalidInput", f"RequestSource '{source}' is not known.")
    return source


def _required_text(body: Json, name: str) -> str:
    value = optional_text(body, name)
    if value is None or not value.strip():
        raise Refusal(400, "MissingRequiredParameter", f"Required parameter {name} is missing.")
    return value


def optional_text(body: Json, name: str) -> str | None:
    """A text of the body, or None. Raises Refusal (400) for what is no text."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(400, "InvalidRequestBody", f"The parameter '{name}' must be a string.")
    return value


def find_machine(call: Call) -> Json:
    """The machine the path names, by its id or its name. Raises Refusal (404)."""
    wanted = call.path_values["machine"]
    machine = call.tenant.machines.get(wanted)
    if machine is None:
        named = (row for row in call.tenant.machines.values() if str(row["computerDnsName"]).lower() == wanted)
        machine = next(named, None)
    if machine is None:
        raise _not_found(f"Machine {call.path_values['machine']} was not found.")
    return machine


def _collection(call: Call, name: str, rows: list[Json]) -> Json:
    return {"@odata.context": _context(call, name), **page(call, rows, size=LARGEST_PAGE, largest=LARGEST_PAGE)}


def _context(call: Call, name: str) -> str:
    return f"{call.origin}/api/$metadata#{name}"


def _not_found(message: str) -> Refusal:
    return Refusal(404, "ResourceNotFound", message)
