"""CSV exports of any length: PostgreSQL writes the rows, and they are passed on as they come."""

import csv
import io
import logging
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models.expressions import BaseExpression, Case, CombinedExpression, F, Func, Value, When
from django.db.models.functions import Cast
from django.db.models.query import QuerySet
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes

from portal.tenancy.scope import current_scope, has_scope, viewing

logger = logging.getLogger(__name__)

CSV_ANSWER: Final = {(200, "text/csv"): OpenApiTypes.STR}
"""What the OpenAPI schema says of an answer that is CSV."""

CHUNK_BYTES: Final = 64 * 1024
LONGEST_SECONDS: Final = 1800
"""How long an export may take in all: meanwhile PostgreSQL keeps every row that was deleted, and a web thread waits. A
million rows of 100 bytes come through in that time at 60 kB/s."""
_SIGNS: Final = "=+@＝＋－＠-"
_BEGINS: Final = rf"[\t\r\n{_SIGNS}]"
_NEXT_CELL: Final = r'[;\t\r\n]"*'
_HAS_FORMULA: Final = rf"^{_BEGINS}|{_NEXT_CELL}[{_SIGNS}]"
_BEFORE_FORMULA: Final = rf"^(?={_BEGINS})|({_NEXT_CELL})(?=[{_SIGNS}])"
"""What makes a spreadsheet read a cell as a formula (OWASP, "CSV Injection"), wherever a cell may begin: with the text,
and, since most of Europe's spreadsheets split lines at semicolons and heed no quotes within a line, after each
semicolon, tab and line end in it. Quotes right behind one of those are doubled in the file, so that they open and close
an empty text before the formula. The wide signs are those of East Asian keyboards, which mean the same there."""

_APOSTROPHE: Final = re.compile(rf"^'(?={_BEGINS})|({_NEXT_CELL})'(?=[{_SIGNS}])")
"""The apostrophes that guarding puts into a text."""

_PLAIN: Final = (
    models.IntegerField,
    models.FloatField,
    models.DecimalField,
    models.DateField,
    models.UUIDField,
    models.DurationField,
)
"""Types whose values no spreadsheet takes for a formula worth the name: a negative number is a number."""


class TooSlow(Exception):
    """An export was cut off, since it did not end within LONGEST_SECONDS."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, and the field (`tenant__name`) or expression whose value it shows."""

    header: str
    expression: str | BaseExpression | CombinedExpression


def csv_response(queryset: QuerySet[Any], columns: Sequence[Column], *, name: str) -> StreamingHttpResponse:
    """Answer with the rows as CSV (RFC 4180, UTF-8, lines end with LF), as the file `name`.csv.

    The rows are those of the scope open now, read as of when the answer begins, in a transaction of its own that lasts
    as long as the client reads, LONGEST_SECONDS at most; then the connection is cut, so that nobody takes a part for
    the whole. What a spreadsheet would take for a formula gets an apostrophe before it; times are
    UTC in ISO 8601, lists are joined by "; ", a missing value is empty. Without a scope there are only headers.
    """
    tenant_ids = current_scope().tenant_ids if has_scope() else frozenset()
    return StreamingHttpResponse(
        _stream(queryset, columns, tenant_ids, name),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": str(content_disposition_header(True, f"{name}.csv")),
            "Cache-Control": "no-store",
        },
    )


def unguarded(text: str) -> str:
    """Return the text that was guarded in an export; one that began with such an apostrophe itself loses it."""
    return _APOSTROPHE.sub(r"\1", text)


def _stream(
    queryset: QuerySet[Any], columns: Sequence[Column], tenant_ids: Collection[UUID], name: str
) -> Iterator[bytes]:
    """Yield the file in chunks. Closed half-way, it ends PostgreSQL's work, the transaction and the scope."""
    headers = io.StringIO()
    csv.writer(headers, lineterminator="\n").writerow(column.header for column in columns)
    yield headers.getvalue().encode()
    if not tenant_ids:
        return
    with viewing(tenant_ids):
        try:
            statement, parameters = _select(queryset, columns).query.sql_with_params()
        except EmptyResultSet:
            return
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)", parameters) as rows,
        ):
            yield from _in_time(_in_chunks(rows), name)


def _in_time(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Pass the chunks on to who keeps up. Raises TooSlow; the log tells of that, and of a client that went away.

    A client that takes nothing at all never comes back for more: the socket's own patience ends that one
    (`portal.slow_clients`).
    """
    ends_at = time.monotonic() + LONGEST_SECONDS
    try:
        for chunk in chunks:
            if time.monotonic() > ends_at:
                words = f"The CSV export “{name}” was cut: it did not end within {LONGEST_SECONDS} s."
                logger.warning(words)
                raise TooSlow(words)
            yield chunk
    except GeneratorExit:
        logger.warning("The CSV export “%s” was broken off: its client went away, or took nothing for too long.", name)
        raise


def _in_chunks(rows: Iterator[bytes | memoryview]) -> Iterator[bytes]:
    """Gather rows, which come one by one, into chunks worth sending."""
    gathered = bytearray()
    for row in rows:
        gathered += row
        if len(gathered) >= CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)


def _select(queryset: QuerySet[Any], columns: Sequence[Column]) -> QuerySet[Any]:
    read = {f"csv_{place}": _expression(column) for place, column in enumerate(columns)}
    annotated = queryset.annotate(**read)
    written = {f"written_{name}": _written(F(name), annotated.query.annotations[name].output_field) for name in read}
    selected: QuerySet[Any] = annotated.annotate(**written).values_list(*written)
    return selected


def _expression(column: Column) -> Any:
    return F(column.expression) if isinstance(column.expression, str) else column.expression


def _written(value: F, field: "models.Field[Any, Any]") -> Any:
    """Return how a value of this type is written. What is not known to be harmless is text, and guarded."""
    if isinstance(field, models.DateTimeField):
        return Func(
            value,
            function="to_char",
            template="%(function)s(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
            output_field=models.TextField(),
        )
    if isinstance(field, models.BooleanField):
        return Cast(value, models.TextField())
    if isinstance(field, _PLAIN):
        return value
    if isinstance(field, ArrayField):
        return _guarded(Func(value, Value("; "), function="array_to_string", output_field=models.TextField()))
    return _guarded(
        value if isinstance(field, models.CharField | models.TextField) else Cast(value, models.TextField())
    )


def _guarded(text: Any) -> Any:
    how = (Value(_BEFORE_FORMULA), Value(r"\1'"), Value("g"))
    marked = Func(text, *how, function="regexp_replace", output_field=models.TextField())
    is_formula = When(models.lookups.Regex(text, _HAS_FORMULA), then=marked)
    return Case(is_formula, default=text, output_field=models.TextField())
