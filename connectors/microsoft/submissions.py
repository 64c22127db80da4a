"""Submissions: give Microsoft a message or a URL to look at again, and read what it found.

Only Graph's beta has them. Microsoft takes one message a submission, the same message to the same person once in 15
minutes and three times a day. Doubts kept from the facts:

- There is no field for our marker. A look-up without Microsoft's id takes a submission of the same thing, in the same
  category, made since ours was sent, for ours.
- Whether the application also needs to read the mailbox for Microsoft to fetch the message is not stated; finding the
  message in the mailbox needs Mail.Read in any case.
- Samples leave `.security` out of `@odata.type` and write notSpam for notJunk; the resource pages are followed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from connectors.microsoft.defender import CLOCK_DIFFERENCE, plain_words, text_of
from connectors.microsoft.exchange import before_acting
from connectors.microsoft.http import Api, quoted, with_query
from connectors.microsoft.mail import EMAILS, WINDOW_AHEAD, WINDOW_BACK
from connectors.protocol import ActionRequest, ConnectorError, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState

SUBMISSIONS: Final = "/beta/security/threatSubmission"
LONGEST_URL: Final = 2000
CATEGORIES: Final = frozenset({"notJunk", "spam", "phishing", "malware"})

_STATES: Final = {
    "notstarted": RemoteState.PENDING,
    "running": RemoteState.IN_PROGRESS,
    "succeeded": RemoteState.SUCCEEDED,
    "failed": RemoteState.FAILED,
    "skipped": RemoteState.FAILED,
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """Where a kind of submission goes, and which field says what it is about."""

    path: str
    about: str


_KINDS: Final[Mapping[str, _Kind]] = {
    "submit_email": _Kind(f"{SUBMISSIONS}/emailThreats", "internetMessageId"),
    "submit_url": _Kind(f"{SUBMISSIONS}/urlThreats", "webUrl"),
}
ACTIONS: Final = frozenset(_KINDS)


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Submit one message or URL, once. Raises Refused and its kinds, or OutcomeUnknown."""
    category = _category(request)
    if request.type == "submit_url":
        body = {"@odata.type": "#microsoft.graph.security.urlThreatSubmission", "webUrl": _url(request)}
    else:
        body = _email(api, request)
    answer = api.post(
        _KINDS[request.type].path,
        {**body, "category": category},
        action_id=request.action_id,
        before_sending=before_sending,
    )
    return _receipt(api, answer.body or {}, request)


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Read each submission by Microsoft's id, else look for one of the same thing since. Acts on nothing."""
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            row = _known(api, request) if request.remote_id else _alike(api, request)
            if row is not None:
                found[request.action_id] = _receipt(api, row, request)
        except ConnectorError:
            unanswered.add(request.action_id)
    return LookUp(found, frozenset(unanswered))


def _known(api: Api, request: ActionRequest) -> Mapping[str, Any]:
    return api.get(f"{_KINDS[request.type].path}/{quote(request.remote_id, safe='')}").body or {}


def _alike(api: Api, request: ActionRequest) -> Mapping[str, Any] | None:
    """Return the oldest submission since `sent_at` that is about the same thing, None if there is none."""
    kind = _KINDS[request.type]
    since = (request.sent_at or datetime.now(UTC)) - CLOCK_DIFFERENCE
    about, recipient = _url(request) if request.type == "submit_url" else "", ""
    if request.type == "submit_email":
        message_id, recipient = _message(request)
        about = _internet_message_id(api, message_id, recipient, around=since)
    query = {"$filter": f"createdDateTime ge {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    rows = [row for page in api.pages(kind.path, query) for row in page]
    alike = [
        row
        for row in rows
        if text_of(row, kind.about).lower() == about.lower()
        and text_of(row, "recipientEmailAddress").lower() == recipient.lower()
        and text_of(row, "category").lower() == _category(request).lower()
    ]
    return min(alike, key=lambda row: text_of(row, "createdDateTime"), default=None)


def _email(api: Api, request: ActionRequest) -> dict[str, str]:
    """Return the body for a message: who got it, and where it lies in that mailbox.

    Raises Refused when it is in no mailbox (any more), NotSent when that cannot be read now.
    """
    message_id, recipient = _message(request)
    with before_acting():
        internet_id = _internet_message_id(api, message_id, recipient, around=datetime.now(UTC))
        query = {"$filter": f"internetMessageId eq {quoted(internet_id)}", "$select": "id,internetMessageId"}
        mailbox = f"users/{quote(recipient, safe='@')}/messages"
        rows = api.get(with_query(f"/v1.0/{mailbox}", query)).value()
    # Graph is known to ignore a filter it does not support and to return everything.
    found = [text_of(row, "id") for row in rows if text_of(row, "internetMessageId") == internet_id]
    if not found:
        raise Refused(f"The message is no longer in the mailbox of {recipient}; nothing to submit.", code="NoMessage")
    return {
        "@odata.type": "#microsoft.graph.security.emailUrlThreatSubmission",
        "recipientEmailAddress": recipient,
        "messageUrl": f"{api.url}/beta/{mailbox}/{quote(found[0], safe='')}",
    }


def _internet_message_id(api: Api, message_id: str, recipient: str, *, around: datetime) -> str:
    """Return the id in the message's own head. Raises Refused when Graph does not list it, and ConnectorError."""
    query = {
        "startTime": f"{(around - WINDOW_BACK).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "endTime": f"{(datetime.now(UTC) + WINDOW_AHEAD):%Y-%m-%dT%H:%M:%SZ}",
        "$filter": f"networkMessageId eq {quoted(message_id)} and recipientEmailAddress eq {quoted(recipient)}",
    }
    for page in api.pages(EMAILS, query):
        for row in page:
            told = text_of(row, "networkMessageId").lower(), text_of(row, "recipientEmailAddress").lower()
            if told == (message_id.lower(), recipient.lower()) and text_of(row, "internetMessageId"):
                return text_of(row, "internetMessageId")
    raise Refused(f"Graph does not list the message to {recipient}; it cannot be submitted.", code="NoMessage")


def _receipt(api: Api, row: Mapping[str, Any], request: ActionRequest) -> Receipt:
    """Read a submission. Raises OutcomeUnknown when it is not one, or not of this tenant and kind."""
    remote_id, status = text_of(row, "id"), text_of(row, "status")
    state = _STATES.get(status.lower())
    if not remote_id or state is None:
        raise OutcomeUnknown(f"Graph's answer for action {request.action_id} is no submission; look it up.")
    if (text_of(row, "tenantId") or api.tenant_id).lower() != api.tenant_id.lower():
        raise OutcomeUnknown(f"Graph answered action {request.action_id} with a submission of another tenant.")
    if text_of(row, "category").lower() != _category(request).lower():
        raise OutcomeUnknown(f"Graph answered action {request.action_id} with another submission; look it up.")
    result = row.get("result")
    told = result if isinstance(result, dict) else {}
    words = ", ".join(word for word in (text_of(told, "category"), text_of(told, "detail")) if word)
    return Receipt(remote_id, state, f"Microsoft: {status}" + (f" ({plain_words(words)})" if words else ""))


def _message(request: ActionRequest) -> tuple[str, str]:
    """Return network message id and recipient. Raises Refused unless there is exactly one message."""
    rows = request.parameters.get("messages") or []
    if len(rows) != 1 or not rows[0].get("network_message_id") or not rows[0].get("recipient"):
        raise Refused("Microsoft takes one message a submission: name one, with its recipient.", code="InvalidInput")
    return str(rows[0]["network_message_id"]), str(rows[0]["recipient"])


def _url(request: ActionRequest) -> str:
    """Return the URL with its scheme, http:// where none was given. Raises Refused for what is none."""
    url = str(request.parameters.get("url") or "")
    if not re.fullmatch(r"(?:https?://)?[^\s/]+(?:/\S*)?", url, re.IGNORECASE) or len(url) > LONGEST_URL:
        raise Refused("submit_url needs the address of a page on the web.", code="InvalidInput")
    return url if "://" in url else f"http://{url}"


def _category(request: ActionRequest) -> str:
    category = str(request.parameters.get("category") or "")
    if category not in CATEGORIES:
        raise Refused(f"A submission is {', '.join(sorted(CATEGORIES))}; not {category}.", code="InvalidInput")
    return category
