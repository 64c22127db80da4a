"""Time as Microsoft writes it: UTC with seven digits of a second, counted in ticks of 100 nanoseconds since 1970."""

import re
import time
from datetime import UTC, datetime

TICKS_PER_SECOND = 10_000_000

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d)?(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?)?", re.IGNORECASE)


def now_ticks() -> int:
    """The present, in ticks."""
    return time.time_ns() // 100


def ticks_in(seconds: float) -> int:
    """A length of time given in seconds, in ticks."""
    return round(seconds * TICKS_PER_SECOND)


def moment_text(ticks: int) -> str:
    """``2024-11-25T12:59:35.8912364Z`` for a number of ticks."""
    whole = datetime.fromtimestamp(ticks // TICKS_PER_SECOND, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ticks % TICKS_PER_SECOND:07d}Z"


def ticks_of(text: str) -> int:
    """The ticks of a moment in ISO 8601; a bare date is its midnight, a missing zone is UTC. Raises ValueError."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a date and time")
    date, clock, seconds, fraction, zone = match.groups()
    offset = "+00:00" if zone is None or zone in "Zz" else zone
    whole = datetime.fromisoformat(f"{date}T{clock or '00:00'}{seconds or ':00'}{offset}")
    return int(whole.timestamp()) * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0")[:7])
