"""Runs a hunting query over tables in memory: the operators of KQL that the simulator understands.

``Table | where | project | distinct | take | sort by | top | summarize | count | join``. Anything else is refused with
words like Microsoft's, so that a query which works here is one that works there, though not the other way round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.simulator.kql_expressions import (
    InvalidQuery,
    Moment,
    Row,
    Words,
    columns_in,
    meaningless,
)
from connectors.simulator.moments import moment_text

__all__ = ["InvalidQuery", "Moment", "Table", "run"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns; ``columns`` gives each its type as Microsoft writes it (String, DateTime, …)."""

    columns: Mapping[str, str]
    rows: Sequence[Row]

    def as_json(self, most: int) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
        """Schema and results, of at most so many rows, with Graph's small keys."""
        schema = [{"name": name, "type": kind} for name, kind in self.columns.items()]
        return schema, [{name: _written(row[name]) for name in self.columns} for row in self.rows[:most]]


Source = Callable[[str], Table | None]
"""Gives a table by its name, None for one there is not."""


def run(query: str, source: Source, now: int) -> Table:
    """The answer to a query. Raises InvalidQuery for one that cannot be read, makes no sense or is not understood."""
    words = Words(query, now)
    table = _pipeline(words, source)
    words.takes(";")
    if words.next.kind != "end":
        raise words.wrong()
    return table


def _pipeline(words: Words, source: Source) -> Table:
    name = words.name()
    table = source(name)
    if table is None:
        raise meaningless(f"'{name}': Failed to resolve table or column or scalar expression named '{name}'")
    while words.takes("|"):
        if words.next.text not in _OPERATORS:
            raise words.wrong()
        table = _OPERATORS[words.take().text](words, table, source)
    return table


def _where(words: Words, table: Table, _: Source) -> Table:
    condition = words.expression(table.columns)
    words.demand_pause()
    if condition.kind != "bool":
        raise meaningless(f"'where' operator: the condition is of type {condition.kind}, not bool")
    return Table(table.columns, [row for row in table.rows if condition.of(row)])


def _project(words: Words, table: Table, _: Source) -> Table:
    chosen: dict[str, str] = {}
    while not chosen or words.takes(","):
        name = words.name()
        chosen[name] = words.name() if words.takes("=") else name
    kinds = columns_in(list(chosen.values()), table.columns)
    columns = {name: kinds[origin] for name, origin in chosen.items()}
    return Table(columns, [{name: row[origin] for name, origin in chosen.items()} for row in table.rows])


def _distinct(words: Words, table: Table, _: Source) -> Table:
    columns = columns_in(_names(words), table.columns)
    unique = dict.fromkeys(tuple(row[name] for name in columns) for row in table.rows)
    return Table(columns, [dict(zip(columns, values, strict=True)) for values in unique])


def _take(words: Words, table: Table, _: Source) -> Table:
    return Table(table.columns, table.rows[: _count(words)])


def _sort(words: Words, table: Table, _: Source) -> Table:
    words.demand("by")
    return Table(table.columns, _sorted(words, table))


def _top(words: Words, table: Table, _: Source) -> Table:
    most = _count(words)
    words.demand("by")
    return Table(table.columns, _sorted(words, table)[:most])


def _sorted(words: Words, table: Table) -> list[Row]:
    keys: list[tuple[str, bool]] = []
    while not keys or words.takes(","):
        name = next(iter(columns_in([words.name()], table.columns)))
        keys.append((name, words.takes("asc")))
        words.takes("desc")  # which is what KQL does by itself
    rows = list(table.rows)
    for name, is_ascending in reversed(keys):
        rows.sort(key=lambda row, name=name: (row[name] is not None, row[name]), reverse=not is_ascending)  # type: ignore[misc]
    return rows


def _counted(_words: Words, table: Table, _: Source) -> Table:
    return Table({"Count": "Int64"}, [{"Count": len(table.rows)}])


def _join(words: Words, table: Table, source: Source) -> Table:
    words.demand("kind")
    words.demand("=")
    kind = words.name()
    if kind not in ("inner", "leftouter"):
        raise meaningless(f"'join' operator: kind '{kind}' is not supported")
    words.demand("(")
    other = _pipeline(words, source)
    words.demand(")")
    words.demand("on")
    pairs = _keys(words, table, other)
    renamed = {name: f"{name}1" if name in table.columns else name for name in other.columns}
    matches: dict[tuple[Any, ...], list[Row]] = {}
    for row in other.rows:
        matches.setdefault(tuple(row[name] for _, name in pairs), []).append(row)
    nothing: list[Row] = [dict.fromkeys(other.columns)] if kind == "leftouter" else []
    rows = [
        {**row, **{renamed[name]: value for name, value in match.items()}}
        for row in table.rows
        for match in matches.get(tuple(row[name] for name, _ in pairs), nothing)
    ]
    return Table({**table.columns, **{renamed[name]: each for name, each in other.columns.items()}}, rows)


def _keys(words: Words, left: Table, right: Table) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    while not pairs or words.takes(","):
        name = words.name()
        if name.startswith("$left."):
            words.demand("==")
            pairs.append((name.removeprefix("$left."), words.name().removeprefix("$right.")))
        else:
            pairs.append((name, name))
    columns_in([name for name, _ in pairs], left.columns)
    columns_in([name for _, name in pairs], right.columns)
    return pairs


def _summarize(words: Words, table: Table, _: Source) -> Table:
    asked: list[_Sum] = []
    while words.next.text != "by" and (not asked or words.takes(",")):
        asked.append(_sum(words, table))
    by = columns_in(_names(words), table.columns) if words.takes("by") else {}
    groups: dict[tuple[Any, ...], list[Row]] = {} if by else {(): []}
    for row in table.rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    columns = {**by, **{name: kind for each in asked for name, kind in each.columns.items() if name not in by}}
    rows = []
    for values, members in groups.items():
        row = dict(zip(by, values, strict=True))
        for each in asked:
            row = {**each.of(members), **row}
        rows.append(row)
    return Table(columns, rows)


@dataclass(frozen=True, slots=True)
class _Sum:
    """One aggregate: the columns it gives, and their values for a group of rows."""

    columns: Mapping[str, str]
    of: Callable[[Sequence[Row]], dict[str, Any]]


def _sum(words: Words, table: Table) -> _Sum:
    given, function = "", words.name()
    if words.takes("="):
        given, function = function, words.name()
    words.demand("(")
    if function == "count":
        words.demand(")")
        name = given or "count_"
        return _Sum({name: "Int64"}, lambda rows: {name: len(rows)})
    column = next(iter(columns_in([words.name()], table.columns)))
    if function in ("arg_max", "arg_min"):
        words.demand(",")
        words.demand("*")
        words.demand(")")
        return _extreme(function, column, table)
    words.demand(")")
    return _over(function, column, given, table)


def _extreme(function: str, column: str, table: Table) -> _Sum:
    pick = max if function == "arg_max" else min

    def chosen(rows: Sequence[Row]) -> dict[str, Any]:
        return dict(pick(rows, key=lambda row: row[column])) if rows else dict.fromkeys(table.columns)

    return _Sum(table.columns, chosen)


def _over(function: str, column: str, given: str, table: Table) -> _Sum:
    if function not in _SUMS:
        raise meaningless(f"'summarize' operator: Unknown function: '{function}'")
    name = given or f"{function}_{column}"
    kind = "Int64" if function == "dcount" else table.columns[column]
    work = _SUMS[function]
    return _Sum({name: kind}, lambda rows: {name: work([row[column] for row in rows if row[column] is not None])})


_SUMS: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "dcount": lambda values: len(set(values)),
    "max": lambda values: max(values, default=None),
    "min": lambda values: min(values, default=None),
}
_OPERATORS: Final[Mapping[str, Callable[[Words, Table, Source], Table]]] = {
    "where": _where,
    "filter": _where,
    "project": _project,
    "distinct": _distinct,
    "take": _take,
    "limit": _take,
    "sort": _sort,
    "order": _sort,
    "top": _top,
    "summarize": _summarize,
    "count": _counted,
    "join": _join,
}


def _names(words: Words) -> list[str]:
    names = [words.name()]
    while words.takes(","):
        names.append(words.name())
    return names


def _count(words: Words) -> int:
    if words.next.kind != "number" or not words.next.text.isdecimal():
        raise words.wrong()
    return int(words.take().text)


def _written(value: Any) -> Any:
    return moment_text(value) if isinstance(value, Moment) else value
