"""Live response (facts/defender.md 6.4): sessions of commands on a machine, and links to what they brought back.

A script is not run: what a top-level ``Write-Output '…'`` of it would print is its output, and its exit code is 0,
unless the tenant was seeded with ``command_results`` that say otherwise for names or paths that begin in a certain way.
Where Microsoft names no code (a script that is not in the library, characters it does not want) it is InvalidInput.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from connectors.simulator.defender import action_answer, find_action, find_machine, optional_text
from connectors.simulator.downloads import LIVE_RESPONSE_SECONDS, PACKAGE_SECONDS, Results, missing
from connectors.simulator.exchange import Answer, Call, Handler, Json, Refusal, body_object
from connectors.simulator.records import FINAL_STATUSES, Command, MachineAction

SESSIONS_AT_ONCE = 25
# In the order in which they must stand; which keys each takes, those it needs first.
COMMANDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "PutFile": (frozenset({"FileName"}), frozenset()),
    "RunScript": (frozenset({"ScriptName"}), frozenset({"Args"})),
    "GetFile": (frozenset({"Path"}), frozenset()),
}
ORDER = list(COMMANDS)
UNWANTED = frozenset(";&|!$()")
NOISE = "Transcript started, output file is C:\\ProgramData\\Temp\\PSScriptOutputs\\PSScript_Transcript_1.txt\n"

_PRINTED = re.compile(r"^Write-Output '([^'\n]*)'\s*$", re.MULTILINE)


def run(call: Call) -> Answer:
    """A new session on one machine, pending. Raises Refusal: 404 machine, 400 body or busy machine, 429 sessions."""
    machine = find_machine(call)
    body = body_object(call)
    for name in body.keys() - {"Comment", "Commands", "ExternalId", "RequestSource", "Title"}:
        raise Refusal(400, "InvalidRequestBody", f"The parameter '{name}' in the request payload is not valid.")
    commands = _commands(call, body)
    sessions = [
        action
        for action in call.tenant.actions.values()
        if action.type == "LiveResponse" and action.status(call.now) not in FINAL_STATUSES
    ]
    if any(session.machine_id == machine["id"] for session in sessions):
        raise Refusal(400, "ActiveRequestAlreadyExists", "Action is already in progress")
    if len(sessions) >= SESSIONS_AT_ONCE:
        raise Refusal(429, "TooManyRequests", f"More than {SESSIONS_AT_ONCE} live response sessions are running.")
    action = MachineAction(
        id=str(uuid4()),
        type="LiveResponse",
        machine_id=machine["id"],
        computer_dns_name=machine["computerDnsName"],
        requestor=call.caller,
        comment=optional_text(body, "Comment") or "",  # the one action that Microsoft takes without a comment
        scope=None,
        sha1=None,
        external_id=optional_text(body, "ExternalId"),
        request_source="PublicApi",
        title=optional_text(body, "Title"),
        created=call.now,
        finishes=call.now + call.action_ticks,
        visible_from=call.now + call.hidden_ticks,
        commands=commands,
    )
    call.tenant.add_action(action)
    return action_answer(call, action, 201)


def result_link(results: Results) -> Handler:
    """The handler that links to what one command brought back. Raises Refusal (404) until there is something."""

    def handle(call: Call) -> Answer:
        action, index = find_action(call), int(call.path_values["index"])
        shown = action.as_json(call.now)["commands"]
        content = action.commands[index].content if index < len(shown) else None
        if content is None or shown[index]["endTime"] is None:
            raise missing(f"The result of command {index} of machine action {action.id}")
        return _link(call, results.link(call, content, LIVE_RESPONSE_SECONDS))

    return handle


def package_link(results: Results) -> Handler:
    """The handler that links to a collected package, in quotes as Microsoft does. Raises Refusal (404) until then."""

    def handle(call: Call) -> Answer:
        action = find_action(call)
        if action.type != "CollectInvestigationPackage" or not action.done(call.now):
            raise missing(f"The package of machine action {action.id}")
        content = f"package of {action.computer_dns_name}".encode()
        return _link(call, f'"{results.link(call, content, PACKAGE_SECONDS)}"')

    return handle


def _link(call: Call, value: str) -> Answer:
    return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#Edm.String", "value": value})


def _commands(call: Call, body: Json) -> tuple[Command, ...]:
    wishes = body.get("Commands")
    if not isinstance(wishes, list) or not wishes:
        raise Refusal(400, "MissingRequiredParameter", "Required parameter Commands is missing.")
    commands = tuple(_command(call, wish) for wish in wishes)
    ranks = [ORDER.index(command.type) for command in commands]
    if ranks != sorted(ranks):
        raise _invalid(f"Commands must be in the order {', '.join(ORDER)}.")
    return commands


def _command(call: Call, wish: object) -> Command:
    if not isinstance(wish, dict) or wish.keys() != {"type", "params"} or not isinstance(wish["params"], list):
        raise Refusal(400, "InvalidRequestBody", "A command has type and params.")
    if wish["type"] not in COMMANDS:
        raise _invalid(f"Command type '{wish['type']}' is not one of {', '.join(ORDER)}.")
    params = _params(wish["type"], wish["params"])
    in_library = params.get("ScriptName", params.get("FileName"))
    if in_library is not None and in_library.lower() not in call.tenant.library:
        raise _invalid(f"File {in_library} was not found in the library.")
    if UNWANTED & set(params.get("Args", "")):
        raise _invalid("Please avoid using the following characters as part of scripts' parameters: ; & | ! $ ( )")
    errors, content = _outcome(call, wish["type"], params)
    return Command(wish["type"], tuple(params.items()), tuple(errors), content)


def _params(kind: str, rows: list[Any]) -> dict[str, str]:
    for row in rows:
        if not isinstance(row, dict) or row.keys() != {"key", "value"} or not isinstance(row["value"], str):
            raise Refusal(400, "InvalidRequestBody", "A parameter has key and value, both texts.")
    params = {str(row["key"]): str(row["value"]) for row in rows}
    needed, allowed = COMMANDS[kind]
    if len(params) != len(rows) or params.keys() - needed - allowed:
        raise _invalid(f"{kind} takes {', '.join(sorted(needed | allowed))}, each once.")
    for name in needed:
        if not params.get(name):
            raise Refusal(400, "MissingRequiredParameter", f"Required parameter {name} of {kind} is missing.")
    return params


def _outcome(call: Call, kind: str, params: Mapping[str, str]) -> tuple[list[str], bytes | None]:
    """What the command will have brought back: its errors, and the content of its result."""
    name = params.get("ScriptName") or params.get("Path") or params.get("FileName") or ""
    seeded = next((row for row in call.tenant.command_results if name.startswith(row["of"])), {})
    errors = list(seeded.get("errors", ()))
    if kind == "PutFile" or (errors and "exit_code" not in seeded):
        return errors, None
    if kind == "GetFile":
        return errors, f"content of {name}".encode()
    printed = _PRINTED.findall(call.tenant.library[name.lower()].content.decode(errors="replace"))
    transcript = {
        "script_name": name,
        "exit_code": seeded.get("exit_code", 0),
        "script_output": NOISE + seeded.get("script_output", "\n".join(printed)) + "\n\x00\x00",
        "script_errors": seeded.get("script_errors", ""),
    }
    return errors, json.dumps(transcript).encode()


def _invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidInput", message)
