"""Live response: fetch a file from a device, or run one of our scripts there, and tell how it ended.

One request is one session with one command. A script gets its parameters as base64 of JSON: of that alphabet nothing
means anything to a shell, and Microsoft refuses `; & | ! $ ( )` in `Args`. Doubts kept from the facts:

- How long `Args` may be is not stated; ours stay under the 8,191 characters of a Windows command line.
- Whether an exit code other than 0 makes Microsoft call the command failed is not stated. The script's own last words
  decide, and a script that ends without them has failed.
- Sessions opened from the device's page in the portal are not listed, so a device can be busy without our knowing;
  Microsoft then refuses (ActiveRequestAlreadyExists).
- Pages of Microsoft's name 25 and 50 sessions at once; the smaller is kept.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.microsoft import library
from connectors.microsoft.defender import (
    PAGE_SIZE,
    address_of,
    created_at,
    marked_body,
    markers_of,
    plain_words,
    receipt_of,
    text_of,
)
from connectors.microsoft.downloads import Transcript, read_transcript
from connectors.microsoft.http import Api
from connectors.protocol import (
    ActionRequest,
    ConnectorError,
    LookUp,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
    Throttled,
)

CALLS_A_MINUTE = 10
SESSIONS_AT_ONCE = 25
# A session for a device that is off waits this long for it (Defender "Run live response").
QUEUED_AT_MOST = timedelta(days=3)
BUSY_SECONDS = 60.0
LONGEST_ARGUMENT = 8000

_PATH: Final = r'[A-Za-z]:\\[^<>:"/|?*\x00-\x1f]+'
_SHA1: Final = r"[0-9a-fA-F]{40}"


@dataclass(frozen=True, slots=True)
class _Task:
    """What a type needs: a pattern for each parameter that must be there, and for each that may."""

    script: str
    needs: Mapping[str, str]
    may_have: Mapping[str, str] = field(default_factory=dict)


_TASKS: Mapping[str, _Task] = {
    # GetFile takes paths of macOS and Linux too.
    "request_sample": _Task("", {"path": rf"{_PATH}|/[^\x00-\x1f]+"}),
    # With `sha1` the file is deleted only if it is still the one that was meant.
    "delete_file": _Task("delete-file", {"path": _PATH}, {"sha1": _SHA1}),
    # Process ids are used again: with `process_name` only a process of that name is stopped.
    "stop_process": _Task(
        "stop-process", {"process_id": "[1-9][0-9]{0,9}"}, {"process_name": r"[^\x00-\x1f\\/]{1,255}"}
    ),
    "remove_scheduled_task": _Task("remove-scheduled-task", {"task_name": r'\\[^<>:"/|?*\x00-\x1f]+'}),
    "release_from_quarantine": _Task("release-from-quarantine", {"sha1": _SHA1}),
}
ACTIONS: Final = frozenset(_TASKS)


def script_of(action_type: str) -> str:
    """Return which of our scripts does it, "" when Microsoft's own command does."""
    return _TASKS[action_type].script


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Open one session, once; a session that bears our marker already is adopted instead.

    Raises NotSent while the device or the tenant has no session free, Refused and its kinds, or OutcomeUnknown.
    """
    path, command = address_of(request, "runliveresponse"), _command(request)
    if script := script_of(request.type):
        library.ensure(api, library.load_script(script))
    earlier = _earlier_session(api, request, datetime.now(UTC))
    if earlier is not None:
        return earlier
    body = {**marked_body(request), "Commands": [command]}
    try:
        answer = api.post(path, body, action_id=request.action_id, before_sending=before_sending)
    except Throttled as error:
        # This quota is live response's own: the tenant's other actions need not wait for it.
        raise NotSent(str(error), code=error.code, retry_after=error.retry_after) from error
    return receipt_of(answer.body or {}, request)


def conclude(api: Api, requests: Sequence[ActionRequest], listed: LookUp) -> LookUp:
    """Return a look-up in which every finished script ends as its own transcript says.

    A script whose transcript cannot be read yet is in progress; after the first such trouble no more are read.
    """
    found = dict(listed.found)
    is_readable = True
    for request in requests:
        receipt = found.get(request.action_id)
        if receipt is None or request.type not in ACTIONS or not script_of(request.type):
            continue
        if receipt.state not in (RemoteState.SUCCEEDED, RemoteState.FAILED):
            continue
        known = replace(request, remote_id=receipt.remote_id)
        found[request.action_id] = concluded = _conclude(api, known, receipt) if is_readable else _waiting(receipt)
        is_readable = concluded.state is not RemoteState.IN_PROGRESS
    return LookUp(found, listed.unanswered)


def _conclude(api: Api, request: ActionRequest, receipt: Receipt) -> Receipt:
    try:
        return _ended(receipt, read_transcript(api, request))
    except ConnectorError as error:
        # A command that failed before its script began has no transcript, and ours are never large.
        if receipt.state is RemoteState.FAILED or (isinstance(error, Refused) and error.code == "TooLarge"):
            return replace(receipt, state=RemoteState.FAILED, detail=f"{receipt.detail}; {error}")
        return _waiting(receipt)


def _waiting(receipt: Receipt) -> Receipt:
    return replace(receipt, state=RemoteState.IN_PROGRESS, detail="Defender: finished; its transcript is not read yet")


def _ended(receipt: Receipt, transcript: Transcript) -> Receipt:
    """Return the receipt with the script's own verdict and words."""
    lines = [line.strip("\x00 \r") for line in transcript.output.split("\n")]
    said = [line.removeprefix("QUELL ") for line in lines if line.startswith("QUELL ")]
    if receipt.state is RemoteState.SUCCEEDED and transcript.exit_code == 0 and said[-1:] == ["done"]:
        return replace(receipt, detail=plain_words("; ".join(said[:-1]) or "done"))
    words = plain_words("; ".join(said) or transcript.errors or "it ended without its closing words")
    before = f"{receipt.detail}; " if receipt.state is RemoteState.FAILED else ""
    return replace(receipt, state=RemoteState.FAILED, detail=f"{before}exit code {transcript.exit_code}: {words}")


def _command(request: ActionRequest) -> dict[str, Any]:
    """Return the one command of a session. Raises Refused for parameters that make no sense."""
    parameters = _checked(request)
    task = _TASKS[request.type]
    if not task.script:
        return {"type": "GetFile", "params": [{"key": "Path", "value": parameters["path"]}]}
    arguments = base64.b64encode(json.dumps(parameters, sort_keys=True).encode()).decode()
    if len(arguments) > LONGEST_ARGUMENT:
        raise Refused(f"{request.type}: the parameters are too long for a command line.", code="InvalidInput")
    named = {"ScriptName": library.load_script(task.script).name, "Args": arguments}
    return {"type": "RunScript", "params": [{"key": key, "value": value} for key, value in named.items()]}


def _checked(request: ActionRequest) -> dict[str, str]:
    task = _TASKS[request.type]
    given = {name: str(value) for name, value in request.parameters.items() if value not in (None, "")}
    patterns = {**task.needs, **task.may_have}
    for name in sorted(task.needs.keys() | given.keys()):
        if name not in patterns or not re.fullmatch(patterns[name], given.get(name, "")):
            raise Refused(f"{request.type}: {name} is missing or not what it should be.", code="InvalidInput")
    return given


def _earlier_session(api: Api, request: ActionRequest, now: datetime) -> Receipt | None:
    """Return what became of this very action if it was accepted before, else None if a session is free now.

    Raises NotSent when none is free, or when that could not be found out; Throttled, Refused.
    """
    query = {
        "$filter": f"type eq 'LiveResponse' and creationDateTimeUtc ge {now - QUEUED_AT_MOST:%Y-%m-%dT%H:%M:%SZ}",
        "$top": str(PAGE_SIZE),
        "$skip": "0",
    }
    try:
        rows = [row for page in api.pages("/api/machineactions", query) for row in page]
    except OutcomeUnknown as error:
        raise NotSent(f"It is not known whether a session is free: {error}", code="SessionsUnknown") from error
    for row in rows:
        if str(request.action_id) in markers_of(row):
            return receipt_of(row, request)
    _demand_room(request, rows, now)
    return None


def _demand_room(request: ActionRequest, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    active = [row for row in rows if text_of(row, "status").lower() in ("pending", "inprogress")]
    if any(text_of(row, "machineId").lower() == request.machine_id.lower() for row in active):
        raise NotSent(
            "The device is busy with another live response; wait.", code="DeviceBusy", retry_after=BUSY_SECONDS
        )
    if len(active) >= SESSIONS_AT_ONCE:
        text = f"The tenant has {len(active)} live response sessions open, as many as Microsoft allows; wait."
        raise NotSent(text, code="TooManySessions", retry_after=BUSY_SECONDS)
    lately = sorted((now - created_at(row)).total_seconds() for row in rows)
    lately = [seconds for seconds in lately if seconds < 60]
    if len(lately) >= CALLS_A_MINUTE:
        wait = 60 - max(lately[CALLS_A_MINUTE - 1], 0)
        text = (
            f"The tenant has started {len(lately)} live responses within a minute, as many as Microsoft allows; wait."
        )
        raise NotSent(text, code="TooManyCalls", retry_after=wait)
