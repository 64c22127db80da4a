"""Machine actions of Defender for Endpoint: send one, and find out what became of earlier ones.

Microsoft has no idempotency key here. Our action's id travels as `ExternalId` and inside `Comment`, and a
look-up finds it again in the list of machine actions. Doubts kept from the facts:

- Whether every answer and list row echoes `externalId` is not promised, so the comment is read as well.
- Scan, restrict and unisolate may hand back an action that was already pending. Its external id is then
  not ours, and the outcome is called unknown.
- How soon a new action shows in the list is not promised; the caller's quiet period is the answer to that.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.microsoft.http import Api
from connectors.protocol import ActionRequest, ConnectorError, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState

PAGE_SIZE = 1000
# Our clock and Microsoft's may differ by this much.
CLOCK_DIFFERENCE = timedelta(minutes=2)
# So far back an earlier attempt at the same action is looked for: taking it for absent would do the thing twice.
EARLIER_ATTEMPTS = timedelta(hours=1)
LONGEST_WORDS = 300

_STATES = {
    "pending": RemoteState.PENDING,
    "inprogress": RemoteState.IN_PROGRESS,
    "succeeded": RemoteState.SUCCEEDED,
    "failed": RemoteState.FAILED,
    "timeout": RemoteState.TIMED_OUT,
    "cancelled": RemoteState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class _Route:
    """Where an action type goes, and which of our parameters becomes which key of the body (case counts there)."""

    path: str
    parameter: str = ""
    key: str = ""
    accepts: str = ""


ROUTES: Mapping[str, _Route] = {
    "isolate_device": _Route("isolate", "isolation_type", "IsolationType", "Full|Selective"),
    "release_from_isolation": _Route("unisolate"),
    "restrict_code_execution": _Route("restrictCodeExecution"),
    "release_code_execution": _Route("unrestrictCodeExecution"),
    "run_antivirus_scan": _Route("runAntiVirusScan", "scan_type", "ScanType", "Quick|Full"),
    "stop_and_quarantine_file": _Route("StopAndQuarantineFile", "sha1", "Sha1", "[0-9a-fA-F]{40}"),
    "offboard_device": _Route("offboard"),
    "collect_investigation_package": _Route("collectInvestigationPackage"),
}


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Ask Defender to act on one machine, once. Raises Refused and its kinds, or OutcomeUnknown."""
    route = ROUTES[request.type]
    path, body = address_of(request, route.path), marked_body(request)
    if route.parameter:
        value = str(request.parameters.get(route.parameter, ""))
        if not re.fullmatch(route.accepts, value):
            raise Refused(f"{request.type}: {route.parameter} must be {route.accepts}.", code="InvalidInput")
        body[route.key] = value
    answer = api.post(path, body, action_id=request.action_id, before_sending=before_sending)
    return receipt_of(answer.body or {}, request)


def address_of(request: ActionRequest, verb: str) -> str:
    """Return the path of a verb on the request's machine. Raises Refused for what is no machine id."""
    if not re.fullmatch("[0-9a-fA-F]{40}", request.machine_id):
        raise Refused("A machine id has 40 hexadecimal digits; this one has not.", code="InvalidInput")
    return f"/api/machines/{request.machine_id}/{verb}"


def marked_body(request: ActionRequest) -> dict[str, Any]:
    """Return what every acting body begins with: the comment with our marker in it, and the marker by itself."""
    return {"Comment": f"{request.comment} [{request.action_id}]".strip(), "ExternalId": str(request.action_id)}


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Find earlier requests with one list call (and its pages), by remote id, else by our marker.

    A list that could not be read to its end leaves all of them unanswered, and so does a request without
    `sent_at`. A row about another machine than asked leaves its request unanswered too.
    """
    asked = [request for request in requests if request.sent_at is not None]
    unanswered = {request.action_id for request in requests if request.sent_at is None}
    if not asked:
        return LookUp({}, frozenset(unanswered))
    since = min(_look_from(request) for request in asked)
    query = {
        "$filter": f"creationDateTimeUtc ge {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "$top": str(PAGE_SIZE),
        "$skip": "0",
    }
    try:
        rows = [row for page in api.pages("/api/machineactions", query) for row in page]
    except ConnectorError:
        return LookUp({}, frozenset(request.action_id for request in requests))
    found: dict[UUID, Receipt] = {}
    directory = _Directory(rows)
    for request in asked:
        row = directory.row_of(request)
        try:
            if row is not None:
                found[request.action_id] = receipt_of(row, request)
        except OutcomeUnknown:
            unanswered.add(request.action_id)
    return LookUp(found, frozenset(unanswered))


def _look_from(request: ActionRequest) -> datetime:
    """Return from when on the request's row may be: much earlier where an attempt before this one may show late."""
    sent_at = request.sent_at or datetime.now(UTC)
    return sent_at - (CLOCK_DIFFERENCE if request.remote_id else EARLIER_ATTEMPTS)


class _Directory:
    """The rows of one list, findable by Microsoft's id and by our marker."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._by_id: dict[str, Mapping[str, Any]] = {}
        self._by_marker: dict[str, Mapping[str, Any]] = {}
        # Oldest first, so that the newest row with a marker stays.
        for row in sorted(rows, key=created_at):
            self._by_id[text_of(row, "id").lower()] = row
            for marker in markers_of(row):
                self._by_marker[marker] = row

    def row_of(self, request: ActionRequest) -> Mapping[str, Any] | None:
        """Return the row of this request: whatever bears our marker is ours, an earlier attempt that shows late too."""
        if request.remote_id:
            return self._by_id.get(request.remote_id.lower())
        return self._by_marker.get(str(request.action_id))


def receipt_of(row: Mapping[str, Any], request: ActionRequest) -> Receipt:
    """Read a machineAction. Raises OutcomeUnknown when it is not one, or not the one asked for."""
    remote_id, status = text_of(row, "id"), text_of(row, "status")
    state = _STATES.get(status.lower())
    if not remote_id or state is None:
        raise OutcomeUnknown(f"Defender's answer for action {request.action_id} is no machine action; look it up.")
    if text_of(row, "machineId").lower() != request.machine_id.lower():
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with another machine; look it up.")
    external_id = text_of(row, "externalId").lower()
    if external_id and external_id != str(request.action_id):
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with somebody else's action; look it up.")
    return Receipt(remote_id, state, f"Defender: {status}{_command_errors(row)}")


def _command_errors(row: Mapping[str, Any]) -> str:
    """Return what went wrong with the commands of a live response, "" when nothing is said."""
    said = [
        str(error)
        for command in row.get("commands") or []
        if isinstance(command, dict)
        for error in command.get("errors") or []
    ]
    return f" ({plain_words(' / '.join(said))})" if said else ""


def plain_words(text: str) -> str:
    """Return what a device said as one short line that is safe to show: a device may be in an attacker's hands."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:LONGEST_WORDS]


def markers_of(row: Mapping[str, Any]) -> set[str]:
    """Return every action id of ours that a row could carry."""
    comment = text_of(row, "requestorComment").lower()
    return {text_of(row, "externalId").lower(), *re.findall(r"\[([0-9a-f-]{36})\]", comment)} - {""}


def created_at(row: Mapping[str, Any]) -> datetime:
    """Return when Microsoft made the row; one that does not say counts as the newest, so that it is not missed."""
    try:
        moment = datetime.fromisoformat(text_of(row, "creationDateTimeUtc"))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def text_of(row: Mapping[str, Any], name: str) -> str:
    """Return a field whatever its capitals: Microsoft's pages show `externalId` and `externalID`."""
    wanted = name.lower()
    return next((str(value) for key, value in row.items() if key.lower() == wanted and value is not None), "")
