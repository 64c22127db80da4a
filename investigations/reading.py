"""Reads JSON records out of files, pipes and request bodies, one at a time.

A record that cannot be used does not spoil the others: it comes out as `Unreadable` with its place and
the reason. Numbers that are not finite, NUL characters and lone surrogates are refused, as no JSON column
of PostgreSQL takes them, and so is nesting deeper than `MAX_DEPTH`.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO, Final, Literal

LIMIT_BYTES: Final = 100 * 1024 * 1024
MAX_DEPTH: Final = 100
DOCUMENT: Final = "(document)"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object, and where it stood: `line 3`, `[2]`, `value[2]` or `(document)`."""

    position: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place that held no usable record, and why."""

    position: str
    reason: str


class TooLarge(Exception):
    """The input is one document of more than the allowed number of bytes; nothing of it was read."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not blank, without its end. `raw` is cut off, and `whole` False, where it is over the limit."""

    number: int
    raw: bytes
    whole: bool = True


def read_records(stream: BinaryIO, *, limit_bytes: int = LIMIT_BYTES) -> Iterator[Record | Unreadable]:
    """Yield the records of one object, of a list, of `{"value": […]}` or of NDJSON, in their order.

    `stream` is a buffered binary stream of UTF-8, with or without byte order mark. NDJSON streams: only one
    line is in memory, and only a line has to keep to `limit_bytes`. Raises TooLarge, before the first
    record, for any other shape of more bytes than that.
    """
    lines = _lines_of(stream, limit_bytes)
    first = next(lines, None)
    if first is None:
        yield Unreadable(DOCUMENT, "there is nothing in it")
        return
    if not first.whole:
        raise TooLarge(_over(limit_bytes))
    second = next(lines, None)
    if second is not None and _is_line_by_line(first, second):
        for line in chain((first, second), lines):
            yield _record_of_line(line, limit_bytes)
    else:
        yield from _records_of_document(first, second, stream, limit_bytes)


def records_of(document: object) -> Iterator[Record | Unreadable]:
    """Yield the records of a JSON document that is parsed already, under the same checks and positions."""
    if isinstance(document, dict) and isinstance(document.get("value"), list):
        yield from (_checked(f"value[{index}]", item) for index, item in enumerate(document["value"]))
    elif isinstance(document, list):
        yield from (_checked(f"[{index}]", item) for index, item in enumerate(document))
    else:
        yield _checked(DOCUMENT, document)


def _lines_of(stream: BinaryIO, limit_bytes: int) -> Iterator[_Line]:
    number = 0
    while raw := stream.readline(limit_bytes + 1):
        number += 1
        whole = len(raw) <= limit_bytes or raw.endswith(b"\n")
        if number == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        if raw.strip() or not whole:
            yield _Line(number, raw, whole)
        while not whole:
            rest = stream.readline(limit_bytes + 1)
            whole = not rest or rest.endswith(b"\n")


def _is_line_by_line(first: _Line, second: _Line) -> bool:
    """Tell NDJSON from a document that is spread over lines.

    It is NDJSON when the first line is a complete object, as nothing may follow that in a document. So
    that one bad line does not spoil the file, it is also NDJSON when the second line begins an object and
    the first one is another complete value, or an object that no continuation could make right.
    """
    standing = _standing_of(first)
    begins_object = first.raw.lstrip().startswith(b"{")
    if begins_object and standing == "complete":
        return True
    return second.raw.lstrip().startswith(b"{") and (standing == "complete" or (begins_object and standing == "broken"))


def _standing_of(line: _Line) -> Literal["complete", "unfinished", "broken"]:
    """Say whether a line is JSON by itself, may become JSON with what follows, or never will."""
    text = line.raw.strip().decode(errors="replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return "unfinished" if error.pos >= len(text) else "broken"
    except (ValueError, RecursionError):
        return "complete"  # though not for us: a number or a nesting that goes too far
    return "complete"


def _record_of_line(line: _Line, limit_bytes: int) -> Record | Unreadable:
    position = f"line {line.number}"
    if not line.whole:
        return Unreadable(position, _over(limit_bytes))
    parsed, reason = _parsed(line.raw.rstrip())
    return Unreadable(position, reason) if reason else _checked(position, parsed)


def _records_of_document(
    first: _Line, second: _Line | None, stream: BinaryIO, limit_bytes: int
) -> Iterator[Record | Unreadable]:
    start = _blank(first.number - 1, limit_bytes) + first.raw
    if second is not None:
        start += _blank(second.number - first.number - 1, limit_bytes) + second.raw
    rest = stream.read(limit_bytes + 1 - len(start)) if len(start) <= limit_bytes else b""
    if len(start) + len(rest) > limit_bytes:
        raise TooLarge(_over(limit_bytes))
    parsed, reason = _parsed(start + rest)
    if reason:
        yield Unreadable(DOCUMENT, reason)
    else:
        yield from records_of(parsed)


def _blank(lines: int, limit_bytes: int) -> bytes:
    """Stand in for blank lines that were skipped, so that a fault is reported on its own line."""
    return b"\n" * min(lines, limit_bytes + 1)


def _over(limit_bytes: int) -> str:
    return f"it is larger than {limit_bytes:,} bytes; one record a line (NDJSON) may be of any size"


def _parsed(raw: bytes) -> tuple[object, str]:
    """Return what the bytes hold and "", or None and the reason they hold no JSON."""
    try:
        return json.loads(raw.decode()), ""
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return None, f"not JSON: {error.msg} ({line}column {error.colno})"
    except RecursionError:
        return None, "nested too deep"
    except ValueError:  # Python's guard against numbers whose conversion would take for ever
        return None, "a number has too many digits"


def _checked(position: str, item: object) -> Record | Unreadable:
    if not isinstance(item, dict):
        return Unreadable(position, "not a JSON object")
    reason = _fault_in(item)
    return Unreadable(position, reason) if reason else Record(position, item)


def _fault_in(item: dict[str, Any]) -> str:
    """Return why PostgreSQL would not keep this object, "" if it would. Walks without recursion."""
    waiting: list[tuple[object, int]] = [(item, 1)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, str):
            if fault := _fault_in_text(node):
                return fault
        elif isinstance(node, float):
            if not math.isfinite(node):
                return "a number is not finite (NaN or Infinity)"
        elif isinstance(node, dict | list):
            if depth > MAX_DEPTH:
                return f"nested too deep, more than {MAX_DEPTH} levels"
            children = chain(node, node.values()) if isinstance(node, dict) else node
            waiting.extend((child, depth + 1) for child in children)
    return ""


def _fault_in_text(text: str) -> str:
    if "\x00" in text:
        return "a text holds a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "a text holds half a character (a lone surrogate)"
    return ""
