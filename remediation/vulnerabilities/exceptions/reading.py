"""What a line of an exceptions register says: the columns, and the words and days that spreadsheets have for them.

The columns are those of our own export (`exporting.REGISTER_COLUMNS`), of which these are read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import override

from portal.access.exceptions import BadRequest
from remediation.vulnerabilities.states import ExceptionState, Justification

NEEDED: Final = ("tenant", "justification", "context", "last_day")
ONE_OF: Final = (("recommendation_id", "cve"), ("device_groups", "whole_tenant"))
"""Of each of these pairs one column has to be there, and one cell of each line filled in."""

_YES: Final = frozenset({"true", "yes", "1", "x", "wahr", "ja"})
_NO: Final = frozenset({"", "false", "no", "0", "falsch", "nein"})
"""What spreadsheets make of a yes or no; Excel translates the words when it opens a file, here to German."""

_DAY: Final = forms.DateField(input_formats=["%Y-%m-%d", "%d.%m.%Y"])
"""ISO 8601, and what German Excel makes of it. With slashes nobody knows which number is the month."""

_ENDED: Final = frozenset({ExceptionState.EXPIRED, ExceptionState.CANCELLED, ExceptionState.REJECTED, "canceled"})
"""States of what is over; Microsoft writes the third with one l (facts 5.4)."""

LONGEST_QUOTE: Final = 100
"""Characters of a cell that a refusal repeats."""


def _justifications() -> dict[str, Justification]:
    with override("en"):
        labels = {str(item.label).casefold(): item for item in Justification}
    return {item.value: item for item in Justification} | labels


JUSTIFICATIONS_BY_WORD: Final[Mapping[str, Justification]] = _justifications()
"""Both of Microsoft's sets, by our values and by Microsoft's labels, in small letters."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as it was written, once it makes sense by itself. `groups` are names, not yet of anything."""

    recommendation_id: str
    cve: str
    is_global: bool
    groups: str
    justification: Justification
    context: str
    last_day: date


def require_columns(headers: Collection[str]) -> None:
    """Raise BadRequest, naming what is missing, unless the columns are there that a register needs."""
    missing = [name for name in NEEDED if name not in headers]
    missing += [" / ".join(pair) for pair in ONE_OF if not any(name in headers for name in pair)]
    if missing:
        raise BadRequest(
            _("The first line has to name the columns of a register; missing: %(columns)s.")
            % {"columns": ", ".join(missing)}
        )


def read_entry(cells: Mapping[str, str]) -> Entry:
    """Return what the cells say. Raises BadRequest with the reason."""
    _require_not_over(cells.get("status", ""))
    recommendation_id, cve = cells.get("recommendation_id", ""), cells.get("cve", "")
    if bool(recommendation_id) == bool(cve):
        raise BadRequest(_("Name a recommendation (recommendation_id) or a CVE (cve), one of the two."))
    return Entry(
        recommendation_id=recommendation_id,
        cve=cve,
        is_global=_yes_or_no(cells.get("whole_tenant", "")),
        groups=cells.get("device_groups", ""),
        justification=_justification(cells.get("justification", "")),
        context=cells.get("context", "").replace("\r\n", "\n"),
        last_day=_day(cells.get("last_day", "")),
    )


def split_names(text: str, known: Collection[str]) -> list[str]:
    """Return the names in a list that semicolons part; a known name may hold one itself.

    Where two readings are possible, the longer known name wins. What is not known comes back as it is written.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    names: list[str] = []
    while parts:
        lengths = range(len(parts), 1, -1)
        length = next((number for number in lengths if "; ".join(parts[:number]) in known), 1)
        names.append("; ".join(parts[:length]))
        del parts[:length]
    return names


def quoted(text: str) -> str:
    """Return a cell as a refusal repeats it: cut where it is long."""
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _require_not_over(status: str) -> None:
    if status.casefold() in _ENDED:
        raise BadRequest(
            _("In the register it comes from it is over (“%(status)s”), so it is not asked for anew.")
            % {"status": status}
        )


def _yes_or_no(text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise BadRequest(_("whole_tenant is “%(text)s”; write true or false.") % {"text": quoted(text)})
    return word in _YES


def _justification(text: str) -> Justification:
    found = JUSTIFICATIONS_BY_WORD.get(text.casefold())
    if found is None:
        raise BadRequest(
            _("“%(text)s” is no justification. Write one of: %(words)s.")
            % {"text": quoted(text), "words": ", ".join(Justification.values)}
        )
    return found


def _day(text: str) -> date:
    try:
        return _DAY.clean(text)  # type: ignore[no-any-return]  # the stubs know no type for it
    except ValidationError as error:
        raise BadRequest(_("last_day is “%(text)s”; write it like 2027-01-31.") % {"text": quoted(text)}) from error
