"""The time a query looks at, in ISO 8601, in the forms Microsoft takes (Graph: `security: runHuntingQuery`)."""

import re
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest

DEFAULT: Final = "P30D"
"""What Microsoft looks at where nothing is said, and the most it keeps for hunting."""

LONGEST: Final = 100
_DURATION: Final = re.compile(
    r"P(?=.)(\d{1,4}W|(\d{1,4}Y)?(\d{1,4}M)?(\d{1,4}D)?(T(?=.)(\d{1,6}H)?(\d{1,6}M)?(\d{1,6}S)?)?)"
)


def check_timespan(given: str) -> str:
    """Return the time span as it is sent, the default for none.

    It is a duration (`P7D`), a start, or two parts with a slash: start/end, duration/end or start/duration. Raises
    BadRequest for anything else.
    """
    text = given.strip() or DEFAULT
    kinds = [_kind(part) for part in text.split("/")]
    is_known = kinds in (["duration"], ["moment"], ["moment", "moment"], ["duration", "moment"], ["moment", "duration"])
    if len(text) > LONGEST or not is_known:
        raise BadRequest(
            _("The time span is written as P7D for the last seven days, or as two times in ISO 8601 with a slash.")
        )
    return text


def between(start: datetime | None, end: datetime | None) -> str:
    """Return the time span from `start` to `end`; an open start is 30 days before the end, an open end is now."""
    if start and end and start >= end:
        raise BadRequest(_("The time it ends at lies before the time it begins at."))
    if start and end:
        return f"{_moment(start)}/{_moment(end)}"
    if start:
        return _moment(start)
    return f"{DEFAULT}/{_moment(end)}" if end else DEFAULT


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _kind(part: str) -> str:
    if _DURATION.fullmatch(part):
        return "duration"
    try:
        datetime.fromisoformat(part)
    except ValueError:
        return ""
    return "moment"
