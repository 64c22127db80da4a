"""Where a message stands with an action on it, told from Graph's row about it (facts: analyzedEmail).

On-premises, failed, dropped and hard-deleted mail cannot be acted on. Which of the last two "dropped" means is told by
where the message was first: one that never reached a mailbox is out of reach for a deletion too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

DONE: Final = "done"
WAITING: Final = "waiting"
ON_PREMISES: Final = "on premises or outside"
NOT_DELIVERED: Final = "never delivered"
DROPPED: Final = "dropped or deleted for good"
FAILED: Final = "failed at Microsoft"

CLOCK_DIFFERENCE: Final = timedelta(minutes=2)

# Graph mixes its spellings: deliveryLocation is inbox_folder, junkFolder, deletedFolder, …
_WANTED: Final = {
    "move_to_junk": "junkfolder",
    "move_to_deleted_items": "deletedfolder",
    "move_to_inbox": "inbox_folder",
    "quarantine_email": "quarantine",
}
_IN_A_MAILBOX: Final = frozenset({"inbox_folder", "junkfolder", "quarantine", "deletedfolder", "onprem_external"})
_NOT_KNOWN: Final = frozenset({"unknown", "unknownfuturevalue", ""})
_NEVER_THERE: Final = frozenset({"failed", "dropped"})


def standing(action_type: str, row: Mapping[str, Any], *, since: datetime) -> str:
    """Return DONE, WAITING, or why the message is out of the action's reach. `row` is {} for a message not listed."""
    place, first = place_of(row, "latestDelivery").lower(), place_of(row, "originalDelivery").lower()
    if place == "onprem_external":
        return ON_PREMISES
    if place == "failed" or (place in _NEVER_THERE and first in _NEVER_THERE):
        return NOT_DELIVERED
    if _is_there(action_type, place):
        return DONE
    if place == "dropped":
        return DROPPED
    return FAILED if _has_failed(row, since) else WAITING


def _is_there(action_type: str, place: str) -> bool:
    if action_type in _WANTED:
        return place == _WANTED[action_type]
    return place not in _IN_A_MAILBOX | _NOT_KNOWN


def place_of(row: Mapping[str, Any], name: str) -> str:
    """Return Graph's word for the place in `latestDelivery` or `originalDelivery`, "" when it says none."""
    delivery = row.get(name)
    return str((delivery if isinstance(delivery, dict) else {}).get("location") or "")


def _has_failed(row: Mapping[str, Any], since: datetime) -> bool:
    """Tell whether the last thing an administrator tried since then failed."""
    events = [event for event in row.get("timelineEvents") or [] if isinstance(event, dict)]
    tried = [event for event in events if str(event.get("eventSource")).lower() == "admin" and _moment(event) >= since]
    return bool(tried) and str(max(tried, key=_moment).get("eventResult")).lower() == "failure"


def _moment(event: Mapping[str, Any]) -> datetime:
    """Return when it was, by our clock at the latest; an event that does not say is taken for an old one."""
    try:
        moment = datetime.fromisoformat(str(event.get("eventDateTime") or ""))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + CLOCK_DIFFERENCE
