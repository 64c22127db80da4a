"""The part of OData the endpoints need: ``$filter`` of comparisons joined by ``and``, order and paging."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from connectors.simulator.exchange import Call, Json, Refusal
from connectors.simulator.moments import ticks_of

FieldKind = Literal["text", "address", "moment", "number"]

_COMPARISON = re.compile(r"\s*(\w+)\s+(eq|ne|ge|gt|le|lt)\s+('(?:[^']|'')*'|[^\s']+)\s*")
_AND = re.compile(r"and\b")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ``field operator value`` of a filter; the value is already of the field's kind."""

    field: str
    kind: FieldKind
    compare: Callable[[Any, Any], bool]
    value: str | float

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether the row satisfies it; an empty field satisfies none."""
        found = row[self.field]
        return found is not None and self.compare(_comparable(str(found), self.kind), self.value)


def filtered(call: Call, rows: Sequence[Json], fields: Mapping[str, FieldKind]) -> list[Json]:
    """The rows the call's ``$filter`` keeps. Raises Refusal (400) for a filter on any other field, or one malformed."""
    comparisons = _parse(call.query.get("$filter", ""), fields)
    return [row for row in rows if all(comparison.holds(row) for comparison in comparisons)]


def ordered(call: Call, rows: list[Json], fields: frozenset[str], default: str) -> list[Json]:
    """The rows in the order of the call's ``$orderby``, else newest first by ``default``. Raises Refusal (400)."""
    name, _, direction = call.query.get("$orderby", f"{default} desc").strip().partition(" ")
    if name not in fields or direction.strip() not in {"", "asc", "desc"}:
        raise _malformed(f"Ordering by '{name} {direction}' is not supported.")
    return sorted(rows, key=lambda row: ticks_of(row[name]), reverse=direction.strip() == "desc")


def page(call: Call, rows: Sequence[object], *, size: int, largest: int, most: int | None = None) -> Json:
    """One page of rows, ``size`` of them unless ``$top`` says otherwise, and never more than ``most``.

    There is an ``@odata.nextLink`` when there are more. Raises Refusal (400) for a bad top or skip.
    """
    wanted = _number(call, "$top", size)
    skip = _number(call, "$skip", 0)
    if wanted > largest:
        raise _malformed(f"The limit of '{largest}' for Top query has been exceeded; the value was '{wanted}'.")
    top = wanted if most is None else min(wanted, most)
    body: Json = {"value": list(rows[skip : skip + top])}
    if call.query.get("$count") == "true":
        body["@odata.count"] = len(rows)
    if top and skip + top < len(rows):
        following = {**call.query, "$skip": str(skip + top)}
        body["@odata.nextLink"] = f"{call.origin}{call.path}?{urlencode(following, safe='$')}"
    return body


def _parse(text: str, fields: Mapping[str, FieldKind]) -> list[Comparison]:
    comparisons: list[Comparison] = []
    position = 0
    while position < len(text):
        if comparisons:
            joint = _AND.match(text, position)
            if joint is None:
                raise _malformed(f"Syntax error at position {position} in '{text}': only 'and' joins comparisons here.")
            position = joint.end()
        match = _COMPARISON.match(text, position)
        if match is None:
            raise _malformed(f"Syntax error at position {position} in '{text}'.")
        comparisons.append(_comparison(match, fields))
        position = match.end()
    return comparisons


def _comparison(match: re.Match[str], fields: Mapping[str, FieldKind]) -> Comparison:
    name, sign, literal = match.groups()
    kind = fields.get(name)
    if kind is None:
        raise _malformed(f"Could not find a property named '{name}', or it cannot be filtered on.")
    if kind in ("text", "address") and not literal.startswith("'"):
        raise _malformed(f"The value of '{name}' must be a quoted string.")
    text = literal[1:-1].replace("''", "'") if literal.startswith("'") else literal
    try:
        return Comparison(name, kind, _OPERATORS[sign], _comparable(text, kind))
    except ValueError as error:
        raise _malformed(f"The value of '{name}' is wrong: {error}.") from error


def _comparable(text: str, kind: FieldKind) -> str | float:
    if kind == "moment":
        return ticks_of(text)
    if kind == "number":
        return float(text)
    return text.lower() if kind == "address" else text


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise _malformed(f"Invalid value '{text}' for {name}: a non-negative integer is expected.")
    return int(text)


def _malformed(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
