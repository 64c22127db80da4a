"""Advanced hunting: Graph's ``runHuntingQuery`` and Defender's two older endpoints, over one interpreter of KQL.

Facts: graph.md 4.3, defender.md 6.5. A seed's ``hunting`` tells what goes wrong: ``{"trouble": "cpu_quota"}`` answers
429 with words about processor time, ``"time_out"`` ends like a query that ran too long, and ``{"rows": 100000}`` makes
every table that long.
"""

import re
from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any, Final

from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.hunting_tables import DEVICE_TABLES, table_of
from connectors.simulator.kql import InvalidQuery, Table, run
from connectors.simulator.moments import ticks_in, ticks_of

MOST_ROWS: Final = 100_000
_DAYS_KEPT: Final = 30
_DURATION: Final = re.compile(
    r"P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_PARTS: Final = (604_800, 86_400, 3_600, 60, 1)


def graph(call: Call) -> Answer:
    """Run a query over all tables; Graph's keys in small letters. Raises Refusal (400, 429, 504)."""
    body = {name.lower(): value for name, value in body_object(call).items()}
    _refuse_others(body, {"query", "timespan"})
    timespan = body.get("timespan")
    if timespan is not None and not isinstance(timespan, str):
        raise Refusal(400, "BadRequest", "Cannot convert the value of 'Timespan' to the expected type 'Edm.String'.")
    schema, results = _answered(call, body.get("query"), timespan or "", frozenset())
    context = f"{call.origin}/v1.0/$metadata#microsoft.graph.security.huntingQueryResults"
    return Answer(200, {"@odata.context": context, "schema": schema, "results": results})


def defender(call: Call) -> Answer:
    """Run a query over the tables about devices, as Defender for Endpoint's older endpoint does. Raises Refusal."""
    return _older(call, DEVICE_TABLES)


def defender_xdr(call: Call) -> Answer:
    """Run a query over all tables, as the older endpoint of Defender XDR does. Raises Refusal."""
    return _older(call, frozenset())


def _older(call: Call, only: frozenset[str]) -> Answer:
    body = body_object(call)
    _refuse_others(body, {"Query"})
    schema, results = _answered(call, body.get("Query"), "", only)
    columns = [{"Name": column["name"], "Type": column["type"]} for column in schema]
    return Answer(200, {"Stats": {"ExecutionTime": 0.02}, "Schema": columns, "Results": results})


def _answered(
    call: Call, query: object, timespan: str, only: frozenset[str]
) -> tuple[list[dict[str, str]], list[Json]]:
    if not isinstance(query, str) or not query.strip():
        raise Refusal(400, "BadRequest", "The query is missing: the body needs 'Query'.")
    _refuse_in_trouble(call)
    start, end = _span(timespan, call.now)
    start = max(start, call.now - ticks_in(_DAYS_KEPT * 86_400))

    def source(name: str) -> Table | None:
        table = table_of(call.tenant, name, call.now) if not only or name in only else None
        if table is None:
            return None
        rows = [row for row in table.rows if start <= row["Timestamp"] <= end]
        wanted = call.tenant.hunting.get("rows")
        return Table(table.columns, list(islice(cycle(rows), int(wanted))) if wanted else rows)

    try:
        return run(query, source, call.now).as_json(MOST_ROWS)
    except InvalidQuery as error:
        raise Refusal(400, "BadRequest", str(error)) from error


def _refuse_in_trouble(call: Call) -> None:
    trouble = call.tenant.hunting.get("trouble")
    if trouble == "cpu_quota":
        text = "Your organization has used up its CPU resources for hunting; they are renewed every 15 minutes."
        raise Refusal(429, "TooManyRequests", text, {"Retry-After": "900"})
    if trouble == "time_out":
        raise Refusal(504, "UnknownError", "")


def _refuse_others(body: Mapping[str, Any], known: set[str]) -> None:
    for name in sorted(body.keys() - known):
        raise Refusal(400, "BadRequest", f"The parameter '{name}' is not a valid parameter for this operation.")


def _span(text: str, now: int) -> tuple[int, int]:
    """Start and end of a timespan: a duration, start/end, duration/end, start/duration or a start alone."""
    first, _, second = text.partition("/")
    try:
        if not text:
            return 0, now
        if not second:
            return (now - length, now) if (length := _duration(first)) is not None else (ticks_of(first), now)
        if (length := _duration(first)) is not None:
            end = ticks_of(second)
            return end - length, end
        start = ticks_of(first)
        return start, start + length if (length := _duration(second)) is not None else ticks_of(second)
    except ValueError as error:
        raise Refusal(400, "BadRequest", f"The timespan '{text}' is not a valid ISO 8601 timespan.") from error


def _duration(text: str) -> int | None:
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    return ticks_in(sum(int(found or 0) * seconds for found, seconds in zip(match.groups(), _PARTS, strict=True)))
