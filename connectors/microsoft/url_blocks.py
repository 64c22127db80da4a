"""Block a URL at the time of click, and take the block back: one entry in Exchange's tenant allow/block list.

The list is the only truth: an entry that is there, whoever put it there, is a block that works. Doubts kept from the
facts:

- A new entry works after about five minutes, and how soon a read shows it is not stated.
- What Exchange answers to a value that is listed already, or to one entry too many, is not stated. After any refusal
  the list is read once more, and what it says counts.
- Whether the list heeds what follows a `?` is not stated; it is kept.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from connectors.microsoft import exchange
from connectors.microsoft.http import Api
from connectors.protocol import WAS_THERE, ActionRequest, ConnectorError, LookUp, NotSent, Receipt, Refused, RemoteState

BLOCK: Final = "block_url"
UNBLOCK: Final = "unblock_url"
ACTIONS: Final = frozenset({BLOCK, UNBLOCK})

LONGEST_ENTRY: Final = 250
SHOWS_WITHIN: Final = timedelta(minutes=15)
"""How long the list may take to show what was accepted; then something else has changed it."""

_HOST: Final = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Put the URL on the list or take it off, unless that is so already. Raises Refused, NotSent or OutcomeUnknown."""
    entry = list_entry(str(request.parameters.get("url") or ""))
    with exchange.before_acting():
        listed = _listed(api, entry)
    if (done := _done(request, entry, listed)) is not None:
        before_sending()
        return done
    cmdlet, parameters = _command(request, entry)
    try:
        warnings = exchange.invoke(api, request, cmdlet, parameters, before_sending=before_sending)
    except NotSent:
        raise
    except Refused as refusal:
        return _after_refusal(api, request, entry, refusal)
    words = "on the block list; it works within about five minutes" if request.type == BLOCK else "off the block list"
    return Receipt(entry, RemoteState.SUCCEEDED, f"Exchange: {entry} is {words}{f' ({warnings})' if warnings else ''}")


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Say for each request whether the list is as it wanted it; one read a request.

    Not so is in progress for a while when Exchange had accepted it, else absent; a read that failed is unanswered.
    """
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            entry = list_entry(str(request.parameters.get("url") or ""))
            receipt = _done(request, entry, _listed(api, entry)) or _not_yet(request, entry)
        except ConnectorError:
            unanswered.add(request.action_id)
            continue
        if receipt is not None:
            found[request.action_id] = receipt
    return LookUp(found, frozenset(unanswered))


def list_entry(url: str) -> str:
    """Return a URL as the list takes it: host and path, without scheme, port and fragment, at most 250 characters.

    Raises Refused that says what the list cannot take: wildcards (they block more than anybody saw), a user name, any
    other scheme than http and https, a host that is none.
    """
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host = (parts.hostname or "").rstrip(".")
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as error:
        raise _impossible(text, f"it is no address ({error})") from error
    if "*" in text or "~" in text:
        raise _impossible(text, "the signs * and ~ are wildcards there, and would block more than this URL")
    if parts.scheme not in ("", "http", "https"):
        raise _impossible(text, f"the list knows no {parts.scheme} addresses")
    if "@" in parts.netloc:
        raise _impossible(text, "it has a user name in it")
    if not _HOST.fullmatch(host):
        raise _impossible(text, f"{host or 'nothing'!r} is not the full name of a host")
    path = "" if parts.path == "/" and not parts.query else parts.path
    entry = host + path + (f"?{parts.query}" if parts.query else "")
    if len(entry) > LONGEST_ENTRY or re.search(r"\s", entry):
        raise _impossible(text, f"it is longer than {LONGEST_ENTRY} characters or has spaces in it")
    return entry


def _impossible(text: str, why: str) -> Refused:
    return Refused(f"{text[:300]!r} cannot go on the block list: {why}.", code="InvalidUrl")


def _listed(api: Api, entry: str) -> Mapping[str, Any] | None:
    """Return the list's row for this very value, None when there is none. Raises ConnectorError."""
    rows = exchange.read(api, "Get-TenantAllowBlockListItems", {"ListType": "Url", "Entry": entry})
    # A filter may be ignored: then the rows are the whole list.
    return next((row for row in rows if str(row.get("Value") or "").lower() == entry.lower()), None)


def _command(request: ActionRequest, entry: str) -> tuple[str, dict[str, Any]]:
    listed = {"ListType": "Url", "Entries": [entry]}
    if request.type == UNBLOCK:
        return "Remove-TenantAllowBlockListItems", listed
    # Without NoExpiration an entry lapses after 30 days.
    new = {**listed, "Block": True, "NoExpiration": True, "Notes": f"Quell {request.action_id}"}
    return "New-TenantAllowBlockListItems", new


def _done(request: ActionRequest, entry: str, row: Mapping[str, Any] | None) -> Receipt | None:
    """Return the receipt when the list is as the request wants it, else None."""
    is_blocked = row is not None and str(row.get("Action") or "").lower() == "block"
    if is_blocked is not (request.type == BLOCK):
        return None
    if row is None or not is_blocked:
        return Receipt(entry, RemoteState.SUCCEEDED, f"Exchange: {entry} is not on the block list")
    expires = str(row.get("ExpirationDate") or "")
    is_ours = str(request.action_id) in str(row.get("Notes") or "")
    whose = "" if is_ours else ", by an entry that was not made by this action"
    until = f", until {expires}" if expires else ""
    words = f"Exchange: {entry} is on the block list{whose}{until}"
    return Receipt(entry, RemoteState.SUCCEEDED, words, None if is_ours else {WAS_THERE: words})


def _not_yet(request: ActionRequest, entry: str) -> Receipt | None:
    if not request.remote_id:
        return None
    is_late = request.sent_at is not None and datetime.now(UTC) - request.sent_at > SHOWS_WITHIN
    so_far = "is not" if request.type == BLOCK else "is still"
    words = f"Exchange: {entry} {so_far} on the block list{'; something else has changed it' if is_late else ' yet'}"
    return Receipt(request.remote_id, RemoteState.FAILED if is_late else RemoteState.IN_PROGRESS, words)


def _after_refusal(api: Api, request: ActionRequest, entry: str, refusal: Refused) -> Receipt:
    """Return the receipt when the list is as wanted all the same, else raise the refusal, with the reason if known."""
    try:
        row = _listed(api, entry)
    except ConnectorError:
        raise refusal from None
    if (done := _done(request, entry, row)) is not None:
        return done
    if row is not None and request.type == BLOCK:
        words = f"{entry} is on the list as allowed; remove that entry first. {refusal}"
        raise Refused(words, code=refusal.code) from refusal
    raise refusal
