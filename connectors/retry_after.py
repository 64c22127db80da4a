"""How long a server asks to wait."""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_SECONDS: Final = 24 * 3600.0
"""Longer is nobody's wait: what was put off for years would never be tried again, and its moment may be no date."""


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for: whole, decimal or a date. None if missing or unreadable.

    Graph sends decimals such as "2.128" although the standard has none. A moment past is 0, and a day is the most.
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        seconds = float(text)
        return min(seconds, LONGEST_SECONDS) if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_SECONDS)
