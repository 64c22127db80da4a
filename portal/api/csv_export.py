"""CSV exports of any length: PostgreSQL writes the rows, and they are passed on as they come."""

import csv
import io
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

CSV_ANSWER: Final = {(200, "text/csv"): OpenApiTypes.STR}
"""What the OpenAPI schema says of an answer that is CSV."""

CHUNK_BYTES: Final = 64 * 1024
_HAS_FORMULA: Final = r"^[=+@\t\r\n-]|[;\t\r\n][=+@-]"
_BEFORE_FORMULA: Final = r"^(?=[=+@\t\r\n-])|([;\t\r\n])(?=[=+@-])"
"""What makes a spreadsheet read a cell as a formula (OWASP, "CSV Injection"), wherever a cell may begin: with the text,
and, since most of Europe's spreadsheets split lines at semicolons and heed no quotes within a line, after each
semicolon, tab and line end in it."""

_PLAIN: Final = (
    models.IntegerField,
    models.FloatField,
    models.DecimalField,
    models.DateField,
    models.UUIDField,
    models.DurationField,
)
"""Types whose values no spreadsheet takes for a formula worth the name: a negative number is a number."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, and the field (`tenant__name`) or expression whose value it shows."""

    header: str
    expression: str | BaseExpression | CombinedExpression


def csv_response(queryset: QuerySet[Any], columns: Sequence[Column], *, name: str) -> StreamingHttpResponse:
    """Answer with the rows as CSV (RFC 4180, UTF-8, lines end with LF), as the file `name`.csv.

    The rows are those of the scope open now, read as of when the answer begins, in a transaction of its own that lasts
    as long as the client reads. What a spreadsheet would take for a formula gets an apostrophe before it; times are
    UTC in ISO 8601, lists are joined by "; ", a missing value is empty. Without a scope there are only headers.
    """
    tenant_ids = current_scope().tenant_ids if has_scope() else frozenset()
    return StreamingHttpResponse(
        _stream(queryset, columns, tenant_ids),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": str(content_disposition_header(True, f"{name}.csv")),
            "Cache-Control": "no-store",
        },
    )


def _stream(queryset: QuerySet[Any], columns: Sequence[Column], tenant_ids: Collection[UUID]) -> Iterator[bytes]:
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
            yield from _in_chunks(rows)


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
