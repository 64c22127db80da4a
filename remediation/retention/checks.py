"""The start-up checks of retention."""

from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error

SHORTEST_ACTION_DAYS: Final = 180
LONGEST_DAYS: Final = 3650


def check_retention(**_: Any) -> list[CheckMessage]:
    """Require a default within its bounds, and a file for receipts."""
    found: list[CheckMessage] = []
    days = settings.ACTION_RETENTION_DAYS
    if not SHORTEST_ACTION_DAYS <= days <= LONGEST_DAYS:
        words = f"ACTION_RETENTION_DAYS must be {SHORTEST_ACTION_DAYS} to {LONGEST_DAYS}, not {days}."
        found.append(Error(words, id="retention.E001"))
    if not settings.RETENTION_RECEIPTS_FILE:
        found.append(Error("Set the environment variable RETENTION_RECEIPTS_FILE.", id="retention.E002"))
    return found
