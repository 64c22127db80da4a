"""Release messages from mail quarantine to the people they were meant for. Graph has no such call; Exchange has.

Doubts kept from the facts: a quarantined message is called `guid\\guid`, and that the first part is the network message
id is known practice, not stated; a message that is not found so is called missing. The cmdlet's page promises
`RecipientAddress` for one message only: a row of a list without it is told by its identity alone. Releasing a second
time needs Force and is not done.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from connectors.microsoft import exchange, steps
from connectors.microsoft.http import Api
from connectors.microsoft.mail import messages_of
from connectors.protocol import ActionRequest, ConnectorError, LookUp, Receipt, Refused, RemoteState

ACTIONS: Final = frozenset({"release_email"})

SHOWS_WITHIN: Final = timedelta(minutes=30)
"""How long a release may be on its way; then it is called failed."""

_RECIPIENTS_AT_ONCE: Final = 20


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Release each message to its recipient alone. Raises Refused, NotSent or OutcomeUnknown."""
    messages = messages_of(request)
    with exchange.before_acting():
        listed = _listed(api, messages)
    todo: list[steps.Step] = [
        partial(_release, api, request, str(row["Identity"]), recipient)
        for (_, recipient), rows in listed.items()
        for row in rows
        if not _is_released(row)
    ]
    if not any(listed.values()):
        raise Refused("None of the messages is in quarantine (any more).", code="NotFound")
    if not todo:
        before_sending()
    refusals = steps.take(todo, before_sending=before_sending)
    if refusals:
        words = f"{len(todo) - len(refusals)} of {len(todo)} were released; refused: {'; '.join(refusals)}"
        return Receipt(str(request.action_id), RemoteState.FAILED, words)
    return Receipt(str(request.action_id), RemoteState.PENDING, "Exchange accepted the release")


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Read each message's release status; all released is done. A read that failed leaves its request unanswered.

    Not released is in progress for a while when it had been accepted, else absent.
    """
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            receipt = _receipt(request, _listed(api, messages_of(request)))
        except ConnectorError:
            unanswered.add(request.action_id)
            continue
        if receipt is not None:
            found[request.action_id] = receipt
    return LookUp(found, frozenset(unanswered))


def _receipt(request: ActionRequest, listed: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]) -> Receipt | None:
    released = [pair for pair, rows in listed.items() if rows and all(map(_is_released, rows))]
    missing = [pair for pair, rows in listed.items() if not rows]
    remote_id = request.remote_id or str(request.action_id)
    words = f"{len(released)} of {len(listed)} messages released"
    if len(released) == len(listed):
        return Receipt(remote_id, RemoteState.SUCCEEDED, words)
    if released and len(released) + len(missing) == len(listed):
        words = f"{words}; {len(missing)} not in quarantine (any more)"
        return Receipt(remote_id, RemoteState.FAILED, words)
    if not request.remote_id:
        return None
    is_late = request.sent_at is not None and datetime.now(UTC) - request.sent_at > SHOWS_WITHIN
    states = sorted({str(row.get("ReleaseStatus") or "unknown") for rows in listed.values() for row in rows})
    words = f"{words}; Exchange says {', '.join(states) or 'nothing about them'}"
    return Receipt(remote_id, RemoteState.FAILED if is_late else RemoteState.IN_PROGRESS, words)


def _listed(api: Api, messages: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the quarantine's rows for each (network message id, recipient). Raises ConnectorError."""
    recipients = sorted({recipient for _, recipient in messages})
    rows = [
        row
        for start in range(0, len(recipients), _RECIPIENTS_AT_ONCE)
        for row in _rows(api, recipients[start : start + _RECIPIENTS_AT_ONCE])
    ]
    return {pair: [row for row in rows if _is_about(row, *pair)] for pair in messages}


def _rows(api: Api, recipients: Sequence[str]) -> list[dict[str, Any]]:
    """Return every quarantined message to these people, whatever its status; pages are asked for by number."""
    rows: list[dict[str, Any]] = []
    for page in range(1, exchange.MOST_PAGES + 1):
        question = {"RecipientAddress": list(recipients), "PageSize": exchange.PAGE_SIZE, "Page": page}
        more = exchange.read(api, "Get-QuarantineMessage", question)
        rows += more
        if len(more) < exchange.PAGE_SIZE:
            break
    return rows


def _is_about(row: Mapping[str, Any], message_id: str, recipient: str) -> bool:
    addresses = row.get("RecipientAddress") or []
    recipients = [addresses] if isinstance(addresses, str) else addresses
    identity = str(row.get("Identity") or "").lower()
    is_theirs = not recipients or recipient.lower() in {str(each).lower() for each in recipients}
    return is_theirs and identity.startswith(f"{message_id.lower()}\\")


def _is_released(row: Mapping[str, Any]) -> bool:
    return str(row.get("ReleaseStatus") or "").lower() == "released"


def _release(api: Api, request: ActionRequest, identity: str, recipient: str, guard: Callable[[], None]) -> None:
    parameters = {"Identity": identity, "ReleaseToAll": False, "User": [recipient]}
    exchange.invoke(api, request, "Release-QuarantineMessage", parameters, before_sending=guard)
