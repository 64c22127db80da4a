"""What came back: rows that a receipt outside the database says are gone, and that are there, after a restore.

It is said first, in the history and on the page; for a day after that nothing more of the kind leaves in that tenant,
so that people can look, and place a legal hold. Then the rows leave again, as the tenant's rule and holds say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models.functions import Now

from portal.audit.recording import SYSTEM, record
from portal.tenancy.scope import acting_for, database_now
from remediation.retention.kinds import KINDS, Kind
from remediation.retention.models import Purge
from remediation.retention.receipts import read_receipts

REST: Final = timedelta(days=1)
MOST_NAMED: Final = 100


@dataclass(frozen=True, slots=True)
class Returned:
    """Rows that are there though `receipt` says they are gone; `is_news` unless it has been said already."""

    receipt: Purge
    row_ids: Sequence[UUID]
    is_news: bool


def note_returned(tenant_id: UUID) -> list[Returned]:
    """Return the tenant's rows that came back, and put on record which of them nobody has been told about.

    Takes about 2 ms for a receipt of the tenant. Raises BadReceipt and OSError.
    """
    found = []
    with acting_for(tenant_id):
        for receipt in read_receipts(tenant_id):
            kind = KINDS.get(receipt.kind)
            if kind is not None:
                found.append(_compare(receipt, kind))
    return [each for each in found if each.row_ids]


def rests(tenant_id: UUID, kind: Kind) -> bool:
    """Return whether nothing of the kind leaves now, since rows came back within the last day. Needs a scope."""
    back = Purge.objects.filter(tenant=tenant_id, kind=kind.name, returned_count__gt=0)
    return back.filter(returned_at__gt=Now() - REST).exists()


def _compare(receipt: Purge, kind: Kind) -> Returned:
    rows = kind.model._default_manager.filter(tenant=receipt.tenant_id, pk__in=receipt.row_ids)
    ids = sorted(rows.values_list("pk", flat=True))
    known = Purge.objects.filter(tenant=receipt.tenant_id, pk=receipt.pk).first()
    said = known.returned_count if known else 0
    is_news = bool(ids) and len(ids) != said
    if is_news:
        _tell(receipt, known, ids)
    elif known is not None and said and not ids:
        Purge.objects.filter(pk=known.pk).update(returned_count=0)
    return Returned(receipt, ids, is_news)


def _tell(receipt: Purge, known: Purge | None, ids: Sequence[UUID]) -> None:
    """Keep the receipt in the database again, if the backup was older than it, with what came back."""
    row = known or receipt
    row.returned_count, row.returned_at, row.filed_at = len(ids), database_now(), row.filed_at or database_now()
    row.row_ids = []
    row.save(force_insert=known is None)
    record(
        row.tenant_id,
        "retention.returned",
        object_type="purge",
        object_id=row.pk,
        actor=SYSTEM,
        data={
            "kind": row.kind,
            "receipt": str(row.pk),
            "purged_at": row.purged_at,
            "receipt_rows": row.row_count,
            "sha256": row.sha256,
            "returned_rows": len(ids),
            "first_rows": [str(each) for each in ids[:MOST_NAMED]],
            "was_in_database": known is not None,
        },
    )
