"""Advanced hunting: one KQL query, read row by row so that a large answer never stands in memory whole.

A hunt changes nothing and may be repeated. Doubts kept from the facts: pages differ about how long a query may run (3
or 10 minutes) and how many rows come back (100,000 here, 30,000 in the portal); documents spell the keys of question
and answer in both cases, so the answer is read in both and the question is written as the metadata has it; a 429 may
mean processor time as well as calls, so Microsoft's words are kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import ijson

from connectors.microsoft.http import Api, TooLarge
from connectors.protocol import HuntingResult, OutcomeUnknown, Refused

PATH: Final = "/v1.0/security/runHuntingQuery"

DEEPEST: Final = 64
"""Levels of one answer: ijson keeps the whole path of each, so its memory grows with the square of the depth."""

_PIECE: Final = 64 * 1024


def hunt(api: Api, query: str, *, timespan: str, most_rows: int) -> HuntingResult:
    """Run a query over `timespan` (ISO 8601, "" for Microsoft's 30 days) and keep its first `most_rows` rows.

    `api` must have been given time for it: Microsoft lets a query run for three minutes. Raises Refused with
    Microsoft's words for a query that fails (TooLarge for more bytes than are read), Throttled, OutcomeUnknown.
    """
    reader = _Reader(most_rows)
    body = {"query": query, **({"timespan": timespan} if timespan else {})}
    try:
        api.ask(PATH, body, take=reader.take)
        return reader.result()
    except TooLarge as error:
        text = "The answer to the query is too large to be read: narrow the query, or end it with | take 1000."
        raise Refused(text, code="TooLarge") from error
    except ijson.JSONError as error:
        raise OutcomeUnknown(
            f"Graph's answer to the hunt in tenant {api.tenant_id} is unreadable or breaks off; ask again."
        ) from error


class _Reader:
    """Takes the answer in pieces, and of its rows keeps the first and counts the rest."""

    def __init__(self, most_rows: int) -> None:
        self._most_rows = most_rows
        self._depth = _Depth()
        self._columns = _Items("schema.item", "Schema.item")
        self._results = _Items("results.item", "Results.item")
        self._rows: list[Mapping[str, Any]] = []
        self._row_count = 0

    def take(self, piece: bytes) -> None:
        """Read one piece. Raises ijson.JSONError for what is no JSON, OutcomeUnknown for what is nested too deep."""
        for start in range(0, len(piece), _PIECE):
            part = piece[start : start + _PIECE]
            self._depth.feed(part)
            self._columns.feed(part)
            self._results.feed(part)
            for row in self._results.taken():
                self._row_count += 1
                if self._row_count <= self._most_rows:
                    self._rows.append(_plain(row))

    def result(self) -> HuntingResult:
        """Return what came. Raises ijson.JSONError if it broke off, OutcomeUnknown if it is no hunting answer."""
        for items in (self._columns, self._results):
            items.close()
        columns = [_column(item) for item in self._columns.taken()]
        names = {name for name, _ in columns}
        if not names or not all(row.keys() <= names for row in self._rows):
            raise OutcomeUnknown("Graph answered the hunt with something that is no hunting result; ask again.")
        return HuntingResult(columns, self._rows, self._row_count)


class _Depth:
    """How deep a JSON text that comes in pieces is nested."""

    def __init__(self) -> None:
        self._events: list[Any] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events, use_float=True)
        self._depth = 0

    def feed(self, piece: bytes) -> None:
        """Follow one piece. Raises OutcomeUnknown beyond the deepest level that is read."""
        self._parser.send(piece)
        for event, _value in self._events:
            if event in ("start_map", "start_array"):
                self._depth += 1
            elif event in ("end_map", "end_array"):
                self._depth -= 1
            if self._depth > DEEPEST:
                raise OutcomeUnknown(f"Graph's answer to the hunt is nested more than {DEEPEST} deep; ask again.")
        self._events.clear()


class _Items:
    """The items of one list of a JSON object that comes in pieces, under whichever of its names it comes."""

    def __init__(self, *prefixes: str) -> None:
        self._found: list[Any] = ijson.sendable_list()
        self._parsers = [ijson.items_coro(self._found, prefix, use_float=True) for prefix in prefixes]

    def feed(self, piece: bytes) -> None:
        for parser in self._parsers:
            parser.send(piece)

    def close(self) -> None:
        for parser in self._parsers:
            parser.close()

    def taken(self) -> Iterator[Any]:
        """Yield what has been found since the last time."""
        found = list(self._found)
        self._found.clear()
        yield from found


def _plain(row: Any) -> Mapping[str, Any]:
    """Return a row without OData's annotations, such as `Count@odata.type`. Raises OutcomeUnknown for no row."""
    if not isinstance(row, dict):
        raise OutcomeUnknown("Graph answered the hunt with rows that cannot be read; ask again.")
    return {name: value for name, value in row.items() if "@" not in name}


def _column(item: Any) -> tuple[str, str]:
    """Return a column's name and Microsoft's type. Raises OutcomeUnknown for what is no column."""
    fields = {key.lower(): value for key, value in item.items()} if isinstance(item, dict) else {}
    name, kind = fields.get("name"), fields.get("type")
    if not isinstance(name, str) or not isinstance(kind, str):
        raise OutcomeUnknown("Graph described the columns of a hunt in a way that cannot be read; ask again.")
    return name, kind
