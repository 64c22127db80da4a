"""Indicators of Defender for Endpoint: allow or block a file, address, domain, URL or certificate, and take it back.

Microsoft keeps one indicator for a value and type, and a second POST overwrites the first, whoever made it. So each
action first reads what is there. What somebody else decided the other way, or for some device groups alone, is never
overwritten: a person has to remove it first; and an undo takes back what the action it undoes has set, nothing else.
Our action's id travels in title, description and `externalId`. Doubts kept from the facts:

- That value and type are the key of an indicator is not written down by Microsoft.
- The description may come back shortened or not at all; an indicator with the wanted action counts as ours then.
- Whoever changes our indicator by hand and leaves its title alone is not noticed by an undo.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from connectors.microsoft.defender import plain_words, text_of
from connectors.microsoft.exchange import before_acting
from connectors.microsoft.http import Api, quoted
from connectors.protocol import (
    WAS_THERE,
    ActionRequest,
    ConnectorError,
    LookUp,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
)

INDICATORS: Final = "/api/indicators"
APPLICATION: Final = "Quell"
REMOVE: Final = "remove_indicator"
ACTIONS: Final = frozenset({"allow_indicator", "block_indicator", REMOVE})

_GONE: Final = frozenset({"404", "NotFound", "ResourceNotFound"})
_BLOCKS: Final = frozenset({"block", "blockandremediate", "alertandblock"})
_VALUES: Final[Mapping[str, str]] = {
    "FileSha1": "[0-9a-fA-F]{40}",
    "FileSha256": "[0-9a-fA-F]{64}",
    "CertificateThumbprint": "[0-9a-fA-F]{40}",
    # No ranges: Microsoft takes single addresses only.
    "IpAddress": r"[0-9.]{7,15}|[0-9a-fA-F:.]{2,45}",
    "DomainName": r"[^\s/:@]{1,253}\.[^\s/:@.]{2,63}",
    "Url": r"\S{1,2000}",
}


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Set or remove one indicator. Raises Refused where somebody else decided otherwise, its kinds, OutcomeUnknown."""
    with before_acting():
        there = _there(api, request)
    if request.type == REMOVE:
        return _remove(api, request, there, before_sending=before_sending)
    if there is not None and not _is_ours(there):
        if not _does(there, request.type) or _groups_of(there):
            raise Refused(_opposite(there), code="OppositeIndicator")
        before_sending()
        return _receipt(there, request)
    answer = api.post(INDICATORS, _body(request), action_id=request.action_id, before_sending=before_sending)
    made = answer.body or {}
    if not _is_about(made, request) or not _does(made, request.type):
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with another indicator; look it up.")
    return _receipt(made, request)


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Say for each request whether the indicator is there, or for a removal, no longer there. Acts on nothing."""
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            there = _there(api, request)
        except ConnectorError:
            unanswered.add(request.action_id)
            continue
        if request.type == REMOVE:
            if there is None:
                found[request.action_id] = _removed(request, request.remote_id)
        elif there is not None and _does(there, request.type) and (_is_ours(there) or not _groups_of(there)):
            found[request.action_id] = _receipt(there, request)
    return LookUp(found, frozenset(unanswered))


def _there(api: Api, request: ActionRequest) -> Mapping[str, Any] | None:
    """Return the indicator that is active for the request's value, None if there is none. Raises ConnectorError."""
    kind, value = _target(request)
    query = {
        "$filter": f"indicatorValue eq {quoted(value)} and indicatorType eq {quoted(kind)}",
        "$top": "100",
        "$skip": "0",
    }
    rows = [row for page in api.pages(INDICATORS, query) for row in page]
    ours = [row for row in rows if _is_about(row, request)]
    if rows and not ours:
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with other indicators than asked for.")
    return ours[0] if ours else None


def _remove(
    api: Api, request: ActionRequest, there: Mapping[str, Any] | None, *, before_sending: Callable[[], None]
) -> Receipt:
    if there is None:
        before_sending()
        return _removed(request, "")
    if request.undoes is not None and not _was_set_by(there, request.undoes):
        raise Refused(_not_ours(there), code="NotOurs")
    indicator_id = text_of(there, "id")
    path = f"{INDICATORS}/{quote(indicator_id, safe='')}"
    try:
        api.act("DELETE", path, None, action_id=request.action_id, before_sending=before_sending)
    except Refused as error:
        if error.code not in _GONE:
            raise
    whose = "" if _is_ours(there) else f" (it was {_whose(there)})"
    return Receipt(indicator_id, RemoteState.SUCCEEDED, f"Defender: {text_of(there, 'action')} removed{whose}")


def _removed(request: ActionRequest, remote_id: str) -> Receipt:
    return Receipt(remote_id or str(request.action_id), RemoteState.SUCCEEDED, "Defender: no such indicator is active")


def _receipt(row: Mapping[str, Any], request: ActionRequest) -> Receipt:
    """Return that it is there; raises OutcomeUnknown for one without an id."""
    indicator_id = text_of(row, "id")
    if not indicator_id:
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with an indicator without id; look it up.")
    ends = text_of(row, "expirationTime")
    until = f" until {ends[:10]}" if ends else ""
    whose = "" if _is_ours(row) else f"; it was there already, {_whose(row)}, and was left as it is"
    words = f"Defender: {text_of(row, 'action')}{until}{whose}"
    return Receipt(indicator_id, RemoteState.SUCCEEDED, words, {WAS_THERE: words} if whose else None)


def _body(request: ActionRequest) -> dict[str, Any]:
    kind, value = _target(request)
    blocking = "BlockAndRemediate" if kind.startswith("File") else "Block"
    body = {
        "indicatorValue": value,
        "indicatorType": kind,
        "action": "Allowed" if request.type == "allow_indicator" else blocking,
        "title": f"Quell {request.action_id}",
        "description": f"{request.comment} [{request.action_id}]".strip(),
        "application": APPLICATION,
        "externalId": str(request.action_id),
        "rbacGroupNames": [],
    }
    if days := request.parameters.get("days"):
        body["expirationTime"] = f"{datetime.now(UTC) + timedelta(days=int(days)):%Y-%m-%dT%H:%M:%SZ}"
    return body


def _target(request: ActionRequest) -> tuple[str, str]:
    """Return type and value. Raises Refused for what Defender would not take."""
    kind, value = str(request.parameters.get("indicator_type", "")), str(request.parameters.get("value", ""))
    if not re.fullmatch(_VALUES.get(kind, "(?!)"), value):
        raise Refused(f"{request.type}: {value or 'nothing'} is no {kind or 'indicator'}.", code="InvalidInput")
    return kind, value


def _is_about(row: Mapping[str, Any], request: ActionRequest) -> bool:
    kind, value = _target(request)
    told = text_of(row, "indicatorType"), text_of(row, "indicatorValue").lower()
    return told == (kind, value.lower())


def _does(row: Mapping[str, Any], action_type: str) -> bool:
    action = text_of(row, "action").lower()
    return action == "allowed" if action_type == "allow_indicator" else action in _BLOCKS


def _is_ours(row: Mapping[str, Any]) -> bool:
    return text_of(row, "application") == APPLICATION


def _was_set_by(row: Mapping[str, Any], action_id: UUID) -> bool:
    """Return whether this action set it last: who sets it anew has to give a title; the application's name stays."""
    return _is_ours(row) and str(action_id) in text_of(row, "title")


def _groups_of(row: Mapping[str, Any]) -> str:
    """Return the device groups it is for alone, "" for all devices."""
    groups = row.get("rbacGroupNames")
    return plain_words(", ".join(map(str, groups))) if isinstance(groups, list) else ""


def _whose(row: Mapping[str, Any]) -> str:
    maker = text_of(row, "createdByDisplayName") or text_of(row, "createdBy") or "somebody else"
    return f"made by {plain_words(maker)}"


def _not_ours(row: Mapping[str, Any]) -> str:
    last = plain_words(text_of(row, "lastUpdatedBy"))
    changed = f", last changed by {last}" if last else ""
    return (
        f"The indicator {text_of(row, 'action')} there now is not what Quell put there: {_whose(row)}{changed} (“"
        f"{plain_words(text_of(row, 'title'))[:80]}”); it was left as it is. Ask for “Remove indicator” if need be."
    )


def _opposite(row: Mapping[str, Any]) -> str:
    groups = _groups_of(row)
    where = f" on devices of {groups} alone" if groups else ""
    return (
        f"There is an indicator {text_of(row, 'action')} for it{where}, {_whose(row)} "
        f"(“{plain_words(text_of(row, 'title'))[:80]}”); it was left as it is. Remove it first if it is wrong."
    )
