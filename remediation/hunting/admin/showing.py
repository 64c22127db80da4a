"""How hunts and their rows look on pages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from portal.access.display import NOTHING, badge
from remediation.hunting.forms import TIMESPANS
from remediation.hunting.models import Hunt
from remediation.hunting.states import HuntState

ROWS_ON_PAGE: Final = 100
_TONES: Final = {
    HuntState.QUEUED: "waiting",
    HuntState.RUNNING: "moving",
    HuntState.DONE: "good",
    HuntState.FAILED: "bad",
}
_CRITERIA: Final = ("sender", "subject", "recipient", "url")


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A part of what was found: each row with its position and its cells in the order of the columns."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]
    number: int
    last: int
    kept: int
    is_cut: bool


def state(hunt: Hunt) -> SafeString:
    """Show how far it is."""
    return badge(HuntState(hunt.state).label, _TONES[HuntState(hunt.state)])


def timespan(text: str) -> str:
    """Say a time span in words, where it is one of those the form offers."""
    return str(dict(TIMESPANS).get(text, text)) or NOTHING


def question(hunt: Hunt) -> SafeString | str:
    """Show a query as it was written, to whom it is told."""
    return format_html('<pre tabindex="0">{}</pre>', hunt.query) if hunt.is_told else not_told()


def not_told() -> str:
    """Say in place of a query that it is not shown."""
    return _("A query over several customers; only who asked it and who may read all of them see it.")


def what(criteria: Mapping[str, Any] | None, text: str) -> str:
    """Say in one line what was asked: the words of a search, or the beginning of a query."""
    searched = [str(criteria[name]) for name in _CRITERIA if name in criteria] if criteria else []
    line = " · ".join(searched) or " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:119]}…"


def page_of(hunt: Hunt, wanted: str) -> FoundPage:
    """Return one page of the rows; the first for a number that is none, the last for one too high."""
    columns = [name for name, _kind in hunt.columns]
    last = max(1, -(-len(hunt.rows) // ROWS_ON_PAGE))
    number = min(max(int(wanted), 1), last) if wanted.isdecimal() and len(wanted) < 6 else 1
    start = (number - 1) * ROWS_ON_PAGE
    rows = [
        (position, [_cell(row.get(name)) for name in columns])
        for position, row in enumerate(hunt.rows[start : start + ROWS_ON_PAGE], start=start)
    ]
    return FoundPage(columns, rows, number, last, len(hunt.rows), len(hunt.rows) < (hunt.row_count or 0))


def _cell(value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
