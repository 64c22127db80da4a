"""Exchange's tenant allow/block list, its URLs (facts/graph.md 3.4): 30 days unless said otherwise, and a limit.

What Exchange answers to a value that is listed already is not stated; here it is a refusal.
"""

import hashlib
import re
from datetime import timedelta

from connectors.simulator.exchange import Call, Json, Refusal
from connectors.simulator.moments import moment_text, ticks_in, ticks_of

ENTRIES_AT_ONCE = 20
LONGEST = 250
DEFAULT_LIFE = timedelta(days=30)
_URL = re.compile(r"[~*a-z0-9]([\w~*.-]*\.)[\w*~-]+([/?].*)?", re.IGNORECASE)


def get_entries(call: Call, given: Json) -> list[Json]:
    """The entries, without their list's type, narrowed by value, action and expiry."""
    _only_urls(given)
    rows = [dict(row) for row in call.tenant.urls.values() if _is_alive(row, call.now)]
    wanted = {action for action in ("Allow", "Block") if given.get(action)}
    entry = given.get("Entry")
    return [
        row
        for row in rows
        if (not wanted or row["Action"] in wanted)
        and (entry is None or row["Value"].lower() == entry.lower())
        and (not given.get("NoExpiration") or row["ExpirationDate"] is None)
    ]


def add_entries(call: Call, given: Json) -> list[Json]:
    """Put entries on the list. Raises Refusal (400) for a wrong value, one that is listed, or one too many."""
    _only_urls(given)
    if bool(given.get("Block")) == bool(given.get("Allow")):
        raise _bad("Exactly one of Allow and Block must be given.")
    action = "Block" if given.get("Block") else "Allow"
    expires = _expiry(call, given, action)
    entries = _entries(given)
    alive = {key: row for key, row in call.tenant.urls.items() if _is_alive(row, call.now)}
    for entry in entries:
        if entry.lower() in alive:
            raise _bad(f"The entry '{entry}' already exists.")
    if sum(row["Action"] == action for row in alive.values()) + len(entries) > call.tenant.url_limit:
        raise _bad(f"The maximum of {call.tenant.url_limit} {action.lower()} entries of the type Url is reached.")
    rows = [_row(call, entry, action, expires, given.get("Notes")) for entry in entries]
    call.tenant.urls = {**alive, **{row["Value"].lower(): row for row in rows}}
    return rows


def remove_entries(call: Call, given: Json) -> list[Json]:
    """Take entries off the list. Raises Refusal (404) for one that is not there; then none is removed."""
    _only_urls(given)
    entries = _entries(given)
    for entry in entries:
        if entry.lower() not in call.tenant.urls:
            raise Refusal(404, "NotFound", f"The entry '{entry}' was not found.")
    return [call.tenant.urls.pop(entry.lower()) for entry in entries]


def _only_urls(given: Json) -> None:
    if str(given["ListType"]).lower() != "url":
        raise _bad(f"The list of type '{given['ListType']}' is not played here.")


def _entries(given: Json) -> list[str]:
    entries: list[str] = given["Entries"]
    if not 1 <= len(entries) <= ENTRIES_AT_ONCE:
        raise _bad(f"Entries must have 1 to {ENTRIES_AT_ONCE} values.")
    for entry in entries:
        if len(entry) > LONGEST or "://" in entry or not _URL.fullmatch(entry):
            raise _bad(f"The value '{entry}' is not a valid URL entry.")
    return entries


def _expiry(call: Call, given: Json, action: str) -> str | None:
    if given.get("NoExpiration"):
        if action == "Allow" or given.get("ExpirationDate"):
            raise _bad("NoExpiration goes with Block only, and without ExpirationDate.")
        return None
    return given.get("ExpirationDate") or moment_text(call.now + ticks_in(DEFAULT_LIFE.total_seconds()))


def _row(call: Call, entry: str, action: str, expires: str | None, notes: str | None) -> Json:
    return {
        "Identity": hashlib.sha256(f"{call.tenant.id}/{entry}".encode()).hexdigest()[:40],
        "Value": entry,
        "Action": action,
        "Notes": notes,
        "SubmissionID": "Non-Submission",
        "ListSubType": "Tenant",
        "SysManaged": False,
        "ModifiedBy": call.caller,
        "LastModifiedDateTime": moment_text(call.now),
        "ExpirationDate": expires,
    }


def _is_alive(row: Json, now: int) -> bool:
    return row["ExpirationDate"] is None or ticks_of(row["ExpirationDate"]) > now


def _bad(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
