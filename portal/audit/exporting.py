"""Exporting a tenant's history: JSON lines that `portal.audit.verify` checks without us."""

from collections.abc import Iterator
from typing import BinaryIO, Final
from uuid import UUID

from django.db import connection

from portal.audit.recording import ActorStamp, record
from portal.audit.verify import EXPORT_FORMAT, Row, canonical
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

_BATCH: Final = 2000
_NAMES: Final = (
    "seq", "at", "id", "verb", "object_type", "object_id", "actor_id", "actor_label", "data", "previous_hash", "hash",
)  # fmt: skip


def database_time() -> int:
    """Return the database's time in microseconds since 1970 (UTC)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        return int(cursor.fetchone()[0])


def stream_rows(tenant_id: UUID) -> Iterator[Row]:
    """Return the tenant's rows in order, in constant memory, with the very texts that were hashed. Needs a scope."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            """
            SELECT seq, (extract(epoch FROM at) * 1000000)::bigint, id::text, verb, object_type, object_id::text,
                   actor_id::text, actor_label, data::text, encode(previous_hash, 'hex'), encode(hash, 'hex')
            FROM audit_auditevent WHERE tenant_id = %s ORDER BY seq
            """,
            [tenant_id],
        )
        while batch := cursor.fetchmany(_BATCH):
            for values in batch:
                yield dict(zip(_NAMES, values, strict=True))


def export_history(tenant: Tenant, file: BinaryIO, *, actor: ActorStamp) -> int:
    """Write all of a tenant's history and return how many rows it has; that it was exported is recorded itself.

    The record is appended last, so the export does not hold it.
    """
    rows = 0
    with acting_for(tenant.id):
        header = {
            "format": EXPORT_FORMAT,
            "tenant": str(tenant.id),
            "slug": tenant.slug,
            "exported_at": database_time(),
        }
        file.write(canonical(header) + b"\n")
        for row in stream_rows(tenant.id):
            file.write(canonical(row) + b"\n")
            rows += 1
        record(
            tenant.id,
            "audit.exported",
            object_type="tenant",
            object_id=tenant.id,
            actor=actor,
            data={"rows": rows},
        )
    return rows
