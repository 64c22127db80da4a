"""Messages in mailboxes: ask Graph to move or delete them, and read where they are now.

`analyzedEmails/remediate` answers 202 and can never be asked about again: its Location is a portal page for
people. What became of it is read from each message's `latestDelivery.location`. Doubts kept from the facts:

- Where a soft- or hard-deleted message is said to be is not documented. It counts as done once it is known
  to be somewhere other than the inbox, junk, quarantine, deleted items or a mailbox on premises.
- A message somebody else has already moved there counts as done.
- What `timelineEvents` say of a failure is not documented; an administrator's event after ours whose result is
  "failure" is taken for Microsoft's no.
- It takes minutes to hours. After a day what has not moved is called late.
- The largest number of messages in one call is not stated.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from connectors.microsoft import batches
from connectors.microsoft.http import Answer, Api, with_query
from connectors.microsoft.places import DONE, WAITING, place_of, standing
from connectors.protocol import ActionRequest, ConnectorError, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState

EMAILS = "/v1.0/security/collaboration/analyzedEmails"
# A message is at most this much older than the action on it; the end is ahead for differing clocks.
WINDOW_BACK = timedelta(days=30)
WINDOW_AHEAD = timedelta(hours=1)
LATE_AFTER: Final = timedelta(hours=24)

ACTIONS: Mapping[str, str] = {
    "soft_delete_email": "softDelete",
    "move_to_junk": "moveToJunk",
    "move_to_deleted_items": "moveToDeletedItems",
    "hard_delete_email": "hardDelete",
    "move_to_inbox": "moveToInbox",
    "quarantine_email": "moveToQuarantine",
}
_DONE_WORDS: Final = {
    "move_to_junk": "in junk",
    "move_to_deleted_items": "in deleted items",
    "move_to_inbox": "in the inbox",
    "quarantine_email": "in quarantine",
}


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
            for message_id, recipient in messages_of(request)
        ],
    }
    answer = api.post(f"{EMAILS}/remediate", body, action_id=request.action_id, before_sending=before_sending)
    if answer.status != 202 or "error" in (answer.body or {}):
        raise OutcomeUnknown(f"Graph answered mail action {request.action_id} with HTTP {answer.status}; look it up.")
    return Receipt(_bulk_id(answer) or str(request.action_id), RemoteState.PENDING, "Graph accepted the request")


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Say for each request where its messages stand, with 20 reads a call, all requests side by side.

    While a message may still move, the request is in progress when Graph gave us a remote id, else absent. It ends when
    all are there, or when no other can get there: then it has failed, with the reasons. A read that failed leaves its
    own request unanswered and no other.
    """
    readings = [_Reading(request) for request in requests]
    while unread := [(reading, pair) for reading in readings for pair in reading.next_pairs()]:
        answers = batches.read(api, [_question(pair, reading.around) for reading, pair in unread])
        for (reading, pair), answer in zip(unread, answers, strict=True):
            reading.note(api, pair, answer)
    found: dict[UUID, Receipt] = {}
    for reading in readings:
        if (receipt := reading.receipt()) is not None:
            found[reading.request.action_id] = receipt
    return LookUp(found, frozenset(reading.request.action_id for reading in readings if reading.has_failed))


class _Reading:
    """One request while its messages are read, some at a time; reading stops when no more can change the answer."""

    def __init__(self, request: ActionRequest) -> None:
        self.request = request
        self.around = request.sent_at or datetime.now(UTC)
        self.has_failed = False
        self._standings: Counter[str] = Counter()
        self._waiting = ""
        self._is_late = datetime.now(UTC) - self.around > LATE_AFTER
        try:
            self._pairs = messages_of(request)
        except Refused:
            self._pairs, self.has_failed = [], True
        self._count = len(self._pairs)

    def next_pairs(self) -> list[tuple[str, str]]:
        """Return the messages to read next, [] when the answer is known."""
        if self.has_failed or (self._waiting and not self._is_late):
            return []
        pairs, self._pairs = self._pairs[: batches.PARTS_AT_MOST], self._pairs[batches.PARTS_AT_MOST :]
        return pairs

    def note(self, api: Api, pair: tuple[str, str], answer: Answer | ConnectorError) -> None:
        """Take in where one message is, or that it could not be read."""
        try:
            row = _row(api, pair, answer)
        except ConnectorError:
            self.has_failed = True
            return
        stands = standing(self.request.type, row, since=self.around)
        self._standings[stands] += 1
        if stands == WAITING and not self._waiting:
            self._waiting = f"the message to {pair[1]} is in {place_of(row, 'latestDelivery') or 'no known place'}"

    def receipt(self) -> Receipt | None:
        """Return what is known of the whole request, None when it is unanswered or absent."""
        remote_id = self.request.remote_id or str(self.request.action_id)
        if self.has_failed or (self._waiting and not self.request.remote_id):
            return None
        if self._waiting and not self._is_late:
            return Receipt(remote_id, RemoteState.IN_PROGRESS, self._waiting)
        words = f"{self._standings[DONE]} of {self._count} messages {_DONE_WORDS.get(self.request.type, 'deleted')}"
        if self._standings[DONE] == self._count:
            return Receipt(remote_id, RemoteState.SUCCEEDED, words)
        reasons = [
            f"{count} {reason}" for reason, count in sorted(self._standings.items()) if reason not in (DONE, WAITING)
        ]
        if self._waiting:
            reasons.append(f"{self._standings[WAITING]} not moved within a day ({self._waiting})")
        state = RemoteState.TIMED_OUT if self._waiting else RemoteState.FAILED
        return Receipt(remote_id, state, f"{words}; out of reach: {', '.join(reasons)}")


def messages_of(request: ActionRequest) -> list[tuple[str, str]]:
    """Return (network message id, recipient) pairs. Raises Refused when one is missing or there are none."""
    rows = request.parameters.get("messages") or []
    pairs = [(str(row.get("network_message_id") or ""), str(row.get("recipient") or "")) for row in rows]
    if not pairs or not all(message_id and recipient for message_id, recipient in pairs):
        raise Refused(
            f"{request.type} needs messages, each with a network message id and a recipient.", code="InvalidInput"
        )
    return pairs


def _question(pair: tuple[str, str], around: datetime) -> str:
    """Return the address that lists one message of one person."""
    message_id, recipient = pair
    end = max(around, datetime.now(UTC)) + WINDOW_AHEAD
    query = {
        "startTime": f"{(around - WINDOW_BACK).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "endTime": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "$filter": f"networkMessageId eq {_quoted(message_id)} and recipientEmailAddress eq {_quoted(recipient)}",
    }
    return with_query(EMAILS, query)


def _row(api: Api, pair: tuple[str, str], answer: Answer | ConnectorError) -> Mapping[str, Any]:
    """Return Graph's row about a message, {} when it lists none. Raises ConnectorError."""
    if isinstance(answer, ConnectorError):
        raise answer
    return next((row for rows in _pages(api, answer) for row in rows if _is_about(row, *pair)), {})


def _pages(api: Api, answer: Answer) -> Iterator[list[dict[str, Any]]]:
    """Yield the pages of a list: Graph is known to ignore a filter it does not support and to return everything."""
    yield answer.value()
    link = str((answer.body or {}).get("@odata.nextLink") or "")
    if link:
        yield from api.pages(link, {})


def _is_about(row: Mapping[str, Any], message_id: str, recipient: str) -> bool:
    about = (str(row.get("networkMessageId")).lower(), str(row.get("recipientEmailAddress")).lower())
    return about == (message_id.lower(), recipient.lower())


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
