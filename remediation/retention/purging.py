"""Purging: what is past its time leaves in small batches, each with its receipt, and nobody who reads waits for it.

A batch is one transaction: rows are locked (those somebody else holds are passed over until the next time), hashed,
deleted with their parts, and receipted in the history and in a `Purge` row. After COMMIT the receipt is appended to the
file outside the database. A crash leaves whole batches with whole receipts; the next run files what was not filed.

`sha256` of a receipt is over one line per table, "table count digest", parts first; digest is the SHA-256 (hex) over
the SHA-256 of each row's jsonb text, in order of id.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection
from uuid_utils.compat import uuid7

from portal.audit.recording import SYSTEM, record
from portal.tenancy.scope import acting_for, database_now
from remediation.retention.holds import share_with_purges
from remediation.retention.kinds import KINDS, Kind, Link
from remediation.retention.models import Purge, PurgeTurn
from remediation.retention.receipts import file_waiting
from remediation.retention.returned import note_returned, rests
from remediation.retention.rules import cutoff_of, days_kept, due_rows

logger = logging.getLogger(__name__)

SECONDS_AT_ONCE: Final = 60
"""How long one message purges; what is left then goes on with the next, so that no worker is held for long."""
FIRST_BATCH: Final = 200
LARGEST_BATCH: Final = 1000
AIM_SECONDS: Final = 0.05
RESTS_FOR: Final = 3
"""How many times as long as a batch took the purge rests after it: a busy database makes both longer."""

_LIMITS: Final = "SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '200ms'"
_DELETE: Final = """
WITH gone AS (DELETE FROM {table} WHERE tenant_id = %s AND {column} = ANY (%s) RETURNING *)
SELECT count(*), encode(sha256(coalesce(
    string_agg(sha256(convert_to(to_jsonb(gone)::text, 'UTF8')), ''::bytea ORDER BY id), '')), 'hex')
FROM gone
"""
_LOOSEN: Final = "UPDATE {table} SET {column} = NULL WHERE tenant_id = %s AND {column} = ANY (%s)"


@dataclass(slots=True)
class Pace:
    """How many rows a batch takes, so that one takes about AIM_SECONDS."""

    size: int = FIRST_BATCH

    def rest(self, took: float) -> None:
        """Rest after a batch that took so long (s), and take more or fewer rows the next time."""
        if took < AIM_SECONDS:
            self.size = min(self.size * 2, LARGEST_BATCH)
        elif took > 2 * AIM_SECONDS:
            self.size = max(self.size // 2, min(self.size, FIRST_BATCH))  # a smaller one costs nearly as much
        time.sleep(took * RESTS_FOR)


def purge_tenant(tenant_id: UUID, *, seconds: float = SECONDS_AT_ONCE) -> bool:
    """Purge what is due in one tenant, for so long; return whether nothing was left to do.

    First says what came back after a restore. Twice at once does no harm. Raises OSError and BadReceipt when the file
    of receipts cannot be used: then nothing leaves.
    """
    ends_at, run = time.monotonic() + seconds, uuid7()
    file_waiting(tenant_id)
    note_returned(tenant_id)
    for kind in KINDS.values():
        if not _purge_kind(tenant_id, kind, run, ends_at):
            return False
    with acting_for(tenant_id):
        next_at = database_now() + timedelta(seconds=settings.RETENTION_SECONDS)
        PurgeTurn.objects.update_or_create(tenant_id=tenant_id, defaults={"next_at": next_at})
    return True


def _purge_kind(tenant_id: UUID, kind: Kind, run: UUID, ends_at: float) -> bool:
    pace, after = Pace(), None
    while time.monotonic() < ends_at:
        started = time.monotonic()
        try:
            receipt = purge_batch(tenant_id, kind, run, after=after, size=pace.size)
        except OperationalError as error:
            if pace.size == 1:
                logger.warning("Could not purge %s of tenant %s; the next run will: %s", kind.name, tenant_id, error)
                return True
            pace.rest(time.monotonic() - started + AIM_SECONDS)
            pace.size = max(pace.size // 4, 1)
            continue
        if receipt is None:
            return True
        after = receipt.last_id
        file_waiting(tenant_id)
        pace.rest(time.monotonic() - started)
    return False


def purge_batch(tenant_id: UUID, kind: Kind, run: UUID, *, after: UUID | None, size: int) -> Purge | None:
    """Purge at most so many due rows with ids above `after`; return the receipt, None when there were none.

    Raises OperationalError when a lock or the database takes too long; then nothing has happened.
    """
    with acting_for(tenant_id):
        with connection.cursor() as cursor:
            cursor.execute(_LIMITS)
        share_with_purges(tenant_id)
        if rests(tenant_id, kind):
            return None
        days = days_kept(tenant_id)[kind.name]
        cutoff = cutoff_of(days)
        due = due_rows(tenant_id, kind, cutoff)
        if after is not None:
            due = due.filter(pk__gt=after)
        rows = due.select_for_update(skip_locked=True, of=("self",)).order_by("pk").values_list("pk", flat=True)
        ids = list(rows[:size])
        return _delete(tenant_id, kind, ids, run=run, days=days, cutoff=cutoff) if ids else None


def _delete(tenant_id: UUID, kind: Kind, ids: Sequence[UUID], *, run: UUID, days: int, cutoff: datetime) -> Purge:
    for link in kind.loosened:
        _execute(_LOOSEN, link, tenant_id, ids)
    lines, counts = [], {}
    for link in (*kind.parts, Link(kind.model, "id")):
        count, digest = _execute(_DELETE, link, tenant_id, ids)
        table = link.model._meta.db_table
        lines.append(f"{table} {count} {digest}\n")
        counts[table] = count
    if kind.on_leaving is not None:
        kind.on_leaving(tenant_id, cutoff)
    row_count = counts.pop(kind.model._meta.db_table)
    receipt = Purge.objects.create(
        tenant_id=tenant_id,
        kind=kind.name,
        run=run,
        days=days,
        cutoff=cutoff,
        row_count=row_count,
        part_counts=counts,
        first_id=ids[0],
        last_id=ids[-1],
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        row_ids=list(ids),
        purged_at=database_now(),
    )
    _note(receipt)
    return receipt


def _execute(statement: str, link: Link, tenant_id: UUID, ids: Sequence[UUID]) -> Any:
    quote = connection.ops.quote_name
    text = statement.format(table=quote(link.model._meta.db_table), column=quote(link.column))
    with connection.cursor() as cursor:
        cursor.execute(text, [tenant_id, list(ids)])
        return cursor.fetchone() if cursor.description else None


def _note(receipt: Purge) -> None:
    record(
        receipt.tenant_id,
        "retention.purged",
        object_type="purge",
        object_id=receipt.pk,
        actor=SYSTEM,
        data={
            "kind": receipt.kind,
            "run": str(receipt.run),
            "cutoff": receipt.cutoff,
            "days": receipt.days,
            "rows": receipt.row_count,
            "parts": receipt.part_counts,
            "sha256": receipt.sha256,
            "first": str(receipt.first_id),
            "last": str(receipt.last_id),
        },
    )
