"""Messages in mailboxes: ask Graph to move or delete them, and read where they are now.

`analyzedEmails/remediate` answers 202 and can never be asked about again: its Location is a portal page for
people. What became of it is read from each message's `latestDelivery.location`. Doubts kept from the facts:

- Where a soft- or hard-deleted message is said to be is not documented. It counts as done once it is known
  to be somewhere other than the inbox, junk, quarantine, deleted items or a mailbox on premises.
- `timelineEvents` would show who moved a message; only places are read, so a message somebody else has
  already moved there counts as done.
- The largest number of messages in one call is not stated.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from connectors.microsoft.http import Answer, Api
from connectors.protocol import ActionRequest, ConnectorError, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState

EMAILS = "/v1.0/security/collaboration/analyzedEmails"
# A message is at most this much older than the action on it; the end is ahead for differing clocks.
WINDOW_BACK = timedelta(days=30)
WINDOW_AHEAD = timedelta(hours=1)

ACTIONS: Mapping[str, str] = {
    "soft_delete_email": "softDelete",
    "move_to_junk": "moveToJunk",
    "move_to_deleted_items": "moveToDeletedItems",
    "hard_delete_email": "hardDelete",
    "move_to_inbox": "moveToInbox",
}
# Graph mixes its spellings: deliveryLocation is inbox_folder, junkFolder, deletedFolder, …
_WANTED_PLACE = {
    "move_to_junk": "junkfolder",
    "move_to_deleted_items": "deletedfolder",
    "move_to_inbox": "inbox_folder",
}
_IN_A_MAILBOX = frozenset({"inbox_folder", "junkfolder", "quarantine", "deletedfolder", "onprem_external"})
_NOT_KNOWN = frozenset({"unknown", "unknownfuturevalue", ""})


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Ask Graph to act on the messages, once. Raises Refused and its kinds, or OutcomeUnknown."""
    body = {
        "displayName": str(request.action_id),
        "description": request.comment,
        "severity": "medium",
        "action": ACTIONS[request.type],
        "remediateSendersCopy": False,
        "analyzedEmails": [
            {"networkMessageId": message_id, "recipientEmailAddress": recipient}
            for message_id, recipient in _messages(request)
        ],
    }
    answer = api.post(f"{EMAILS}/remediate", body, action_id=request.action_id, before_sending=before_sending)
    if answer.status != 202 or "error" in (answer.body or {}):
        raise OutcomeUnknown(f"Graph answered mail action {request.action_id} with HTTP {answer.status}; look it up.")
    return Receipt(_bulk_id(answer) or str(request.action_id), RemoteState.PENDING, "Graph accepted the request")


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Say for each request whether all its messages are where it wanted them; one read a message.

    Reading a request stops at its first message that is not there yet. Not there yet is in progress when
    Graph gave us a remote id, else absent; a read that failed leaves the request unanswered.
    """
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            waiting = _first_waiting(api, request)
        except ConnectorError:
            unanswered.add(request.action_id)
            continue
        remote_id = request.remote_id or str(request.action_id)
        if not waiting:
            found[request.action_id] = Receipt(remote_id, RemoteState.SUCCEEDED, _done(request))
        elif request.remote_id:
            found[request.action_id] = Receipt(remote_id, RemoteState.IN_PROGRESS, waiting)
    return LookUp(found, frozenset(unanswered))


def _first_waiting(api: Api, request: ActionRequest) -> str:
    """Return words about the first message that is not where it should be, "" when all are. Raises ConnectorError."""
    for message_id, recipient in _messages(request):
        place = _place(api, message_id, recipient, around=request.sent_at or datetime.now(UTC))
        if not _is_done(request.type, place):
            return f"the message to {recipient} is in {place or 'no known place'}"
    return ""


def _place(api: Api, message_id: str, recipient: str, *, around: datetime) -> str:
    """Return Graph's word for where a message is now, "" when Graph does not list it."""
    end = max(around, datetime.now(UTC)) + WINDOW_AHEAD
    query = {
        "startTime": f"{(around - WINDOW_BACK).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "endTime": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "$filter": f"networkMessageId eq {_quoted(message_id)} and recipientEmailAddress eq {_quoted(recipient)}",
    }
    for page in api.pages(EMAILS, query):
        for row in page:
            # Graph is known to ignore a filter it does not support and to return everything.
            if _is_about(row, message_id, recipient):
                delivery = row.get("latestDelivery")
                return str((delivery if isinstance(delivery, dict) else {}).get("location") or "")
    return ""


def _is_about(row: Mapping[str, Any], message_id: str, recipient: str) -> bool:
    about = (str(row.get("networkMessageId")).lower(), str(row.get("recipientEmailAddress")).lower())
    return about == (message_id.lower(), recipient.lower())


def _is_done(action_type: str, place: str) -> bool:
    if action_type in _WANTED_PLACE:
        return place.lower() == _WANTED_PLACE[action_type]
    return place.lower() not in _IN_A_MAILBOX | _NOT_KNOWN


def _done(request: ActionRequest) -> str:
    count = len(_messages(request))
    where = {"junkfolder": "in junk", "deletedfolder": "in deleted items", "inbox_folder": "in the inbox"}
    return f"{count} of {count} messages {where.get(_WANTED_PLACE.get(request.type, ''), 'deleted')}"


def _messages(request: ActionRequest) -> list[tuple[str, str]]:
    """Return (network message id, recipient) pairs. Raises Refused when one is missing or there are none."""
    rows = request.parameters.get("messages") or []
    pairs = [(str(row.get("network_message_id") or ""), str(row.get("recipient") or "")) for row in rows]
    if not pairs or not all(message_id and recipient for message_id, recipient in pairs):
        raise Refused(
            f"{request.type} needs messages, each with a network message id and a recipient.", code="InvalidInput"
        )
    return pairs


def _bulk_id(answer: Answer) -> str:
    """Return the bulk id from the portal link in Location, "" when there is none to read."""
    filters = parse_qs(urlsplit(answer.headers.get("Location", "")).query).get("filters", [""])[0]
    try:
        ids = json.loads(filters)["bulkId"]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(ids[0]) if isinstance(ids, list) and ids else ""


def _quoted(text: str) -> str:
    """Write an OData string; a quote inside is doubled."""
    return "'" + text.replace("'", "''") + "'"
