"""Reads CISA's list of known exploited vulnerabilities: fetches it, and takes its rows out of JSON or CSV.

Both forms have the same fields (CISA, "Known Exploited Vulnerabilities Catalog"): `cveID`, `vendorProject`, `product`,
`vulnerabilityName`, `dateAdded`, `dueDate`, `knownRansomwareCampaignUse` and `cwes`, in CSV a text with commas.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx
from django.conf import settings

from connectors.storable import as_storable
from connectors.transport import client, deadline
from remediation.vulnerabilities.recommendations.payloads import is_cve

LARGEST: Final = 8 * 1024 * 1024
"""Bytes: several times the real list, whose 1,404 rows take about a kilobyte each. Read, they take far more memory."""

DEADLINE_SECONDS: Final = 120.0
_PLAIN: Final = {"Accept-Encoding": "identity"}
"""Nothing is unpacked: a few bytes can unpack to more than there is memory."""

_BROKEN: Final = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpx.HTTPError)


class FeedUnreachable(Exception):
    """The feed could not be fetched; the message is safe to show."""


class FeedMalformed(Exception):
    """What was fetched is no such list; the message is safe to show."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the list."""

    cve_id: str
    vendor: str
    product: str
    name: str
    added_on: date
    due_on: date | None
    is_used_by_ransomware: bool
    cwes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched, and the server's tag for it."""

    content: bytes
    etag: str


def fetch(url: str, *, etag: str) -> Fetched | None:
    """Return the feed, None where `etag` still names it. Raises FeedUnreachable, FeedMalformed for one too large."""
    if urlsplit(url).scheme != "https" and not settings.IS_DEVELOPMENT:
        raise FeedUnreachable("KNOWN_EXPLOITED_URL is no https address; the list is read over https only.")
    try:
        with (
            deadline(DEADLINE_SECONDS),
            client(settings.MICROSOFT_CA_FILE).stream(
                "GET", url, headers=_PLAIN | ({"If-None-Match": etag} if etag else {})
            ) as answer,
        ):
            if answer.status_code == 304 and etag:
                return None
            if answer.status_code != 200:
                raise FeedUnreachable(f"The list's server answered HTTP {answer.status_code}; check the address.")
            return Fetched(_content(answer), answer.headers.get("ETag", ""))
    except (httpx.InvalidURL, *_BROKEN) as error:
        raise FeedUnreachable(f"The list could not be fetched ({type(error).__name__}); it is tried again.") from error


def _content(answer: httpx.Response) -> bytes:
    content = bytearray()
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise FeedMalformed("The list came compressed, which was not asked for; nothing was read.")
    for piece in answer.iter_raw():
        content += piece
        if len(content) > LARGEST:
            raise FeedMalformed(f"The list is larger than {LARGEST} bytes; the rest was not read.")
    return bytes(content)


def parse(content: bytes) -> tuple[dict[str, Entry], list[str]]:
    """Return the entries by CVE, and a sentence with place and reason for each row that was refused.

    Raises FeedMalformed for what is neither form of the list, or has no usable row.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedMalformed("The list is no UTF-8 text.") from error
    entries: dict[str, Entry] = {}
    refused: list[str] = []
    for number, row in enumerate(_rows(text), start=1):
        try:
            entry = _read_entry(row)
            entries[entry.cve_id] = entry
        except ValueError as problem:
            refused.append(f"row {number}: {problem}")
    if not entries:
        raise FeedMalformed("The list has no row that can be read; it needs cveID and dateAdded.")
    return entries, refused


def _rows(text: str) -> Iterator[Mapping[str, Any]]:
    if not text.lstrip().startswith("{"):
        return _rows_of_csv(text)
    try:
        found = json.loads(text).get("vulnerabilities")
    except (ValueError, RecursionError) as error:
        raise FeedMalformed("The list begins like JSON and is none.") from error
    if not isinstance(found, list):
        raise FeedMalformed("The list is JSON without `vulnerabilities`.")
    return (row if isinstance(row, dict) else {} for row in found)


def _rows_of_csv(text: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if not {"cveID", "dateAdded"} <= set(reader.fieldnames or ()):
            raise FeedMalformed("The list is neither JSON nor CSV with the columns cveID and dateAdded.")
        yield from reader
    except csv.Error as error:
        raise FeedMalformed(f"The list is no CSV that can be read: {error}.") from error


def _read_entry(row: Mapping[str, Any]) -> Entry:
    """Read one row. Raises ValueError with the reason."""
    cve_id = _text(row, "cveID").upper()
    if not is_cve(cve_id):
        raise ValueError("cveID is no CVE id")
    added_on, due_on = _day(row, "dateAdded"), _day(row, "dueDate")
    if added_on is None:
        raise ValueError("dateAdded is missing")
    return Entry(
        cve_id=cve_id,
        vendor=_text(row, "vendorProject"),
        product=_text(row, "product"),
        name=_text(row, "vulnerabilityName"),
        added_on=added_on,
        due_on=due_on,
        is_used_by_ransomware=_text(row, "knownRansomwareCampaignUse").lower() == "known",
        cwes=_cwes(row.get("cwes")),
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str | None):
        raise ValueError(f"{name} is not text")
    return str(as_storable(value or "")).strip()


def _day(row: Mapping[str, Any], name: str) -> date | None:
    text = _text(row, name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ValueError(f"{name} is no date") from error


def _cwes(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else str(value or "").split(",")
    return tuple(text for name in names if (text := str(as_storable(str(name))).strip()))
