"""CSV that people send: what spreadsheets write, read line by line, so that one bad line does not spoil the others."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _

from portal.access.exceptions import BadRequest
from portal.api.csv_export import unguarded

if TYPE_CHECKING:  # the class is public in the type stubs alone
    from _csv import Reader

_DELIMITERS: Final = ",;\t"
"""The second is Excel's wherever the comma is in the numbers, as in German."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line below the headers: its number in the file, and its cells by header, trimmed and without export guards.

    `fault` says why the line cannot be read; then it has no cells.
    """

    number: int
    cells: Mapping[str, str]
    fault: str = ""


def decode_csv(content: bytes) -> str:
    """Return the text of a file, without its byte order mark. Raises BadRequest for what is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(_("The file is no UTF-8 text. Save it as “CSV UTF-8” and send it again.")) from error


def read_csv(text: str, *, most: int) -> tuple[frozenset[str], list[Line]]:
    """Return the headers in small letters and the lines that are not empty.

    Commas, semicolons and tabs part the cells, whichever the headers use. Raises BadRequest for a file without headers
    or with one twice, and for more than `most` lines.
    """
    sheet = io.StringIO(text, newline="")
    first = sheet.readline()
    if not first.strip():
        raise BadRequest(_("The file is empty. Its first line names the columns."))
    sheet.seek(0)
    reader = csv.reader(sheet, delimiter=max(_DELIMITERS, key=first.count), strict=True)
    headers = _headers(reader)
    lines: list[Line] = []
    for line in _lines(reader, headers):
        lines.append(line)
        if len(lines) > most:
            raise BadRequest(_("The file has more than %(most)d lines. Send it in parts.") % {"most": most})
    return frozenset(headers), lines


def _headers(reader: "Reader") -> list[str]:
    try:
        headers = [cell.strip().lower() for cell in next(reader)]
    except csv.Error as error:
        raise BadRequest(
            _("The first line, which names the columns, cannot be read: %(why)s.") % {"why": error}
        ) from error
    twice = sorted({header for header in headers if header and headers.count(header) > 1})
    if twice:
        raise BadRequest(_("The first line names a column twice: %(columns)s.") % {"columns": ", ".join(twice)})
    return headers


def _lines(reader: "Reader", headers: Sequence[str]) -> Iterator[Line]:
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Line(number, {}, _("This line cannot be read as CSV: %(why)s.") % {"why": error})
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield _line(number, cells, headers)


def _line(number: int, cells: Sequence[str], headers: Collection[str]) -> Line:
    if any(cell.strip() for cell in cells[len(headers) :]):
        return Line(
            number, {}, _("This line has more cells than there are columns. Quote a cell that has the delimiter in it.")
        )
    if any("\x00" in cell for cell in cells):
        return Line(number, {}, _("This line holds a character (NUL) that no text may have."))
    named = zip(headers, cells, strict=False)
    return Line(number, {header: unguarded(cell).strip() for header, cell in named if header})
