"""The file of receipts, outside the database: one line of JSON per batch that was purged, appended and never changed.

A backup brings rows and receipts of the database back as they were; this file it does not touch, so the two disagree,
and what came back is found out (`returned`). It holds ids and digests, nothing of what the rows said.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from portal.audit.verify import canonical
from portal.tenancy.scope import acting_for
from remediation.retention.models import Purge

FORMAT: Final = "quell-purge-1"


class BadReceipt(Exception):
    """A line of the file that is no receipt; the text says which, and what to do."""


def file_waiting(tenant_id: UUID) -> None:
    """Append the tenant's receipts that are not in the file yet, see them on the disk, and note that they are.

    A crash in between writes a line twice, never none. Raises OSError when the file cannot be written.
    """
    with acting_for(tenant_id):
        waiting = Purge.objects.select_for_update().filter(tenant=tenant_id, filed_at=None)
        found = list(waiting.order_by("id"))
        if found:
            _append([canonical(_written(receipt)) + b"\n" for receipt in found])
            filed = Purge.objects.filter(pk__in=[receipt.pk for receipt in found])
            filed.update(filed_at=Now(), row_ids=[])


def read_receipts(tenant_id: UUID | None = None) -> Iterator[Purge]:
    """Yield the receipts in the file, of one tenant or all, as rows that are not saved. Raises BadReceipt, OSError.

    A last line without its end is left out: its receipt still waits in the database.
    """
    path = Path(settings.RETENTION_RECEIPTS_FILE)
    if not path.exists():
        return
    mark = f'"tenant":"{tenant_id or ""}'.encode()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if mark in line and line.endswith(b"\n"):
                yield _read(line, number, path)


def _append(lines: Sequence[bytes]) -> None:
    path = Path(settings.RETENTION_RECEIPTS_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = _end_of_whole_lines(descriptor)
        os.ftruncate(descriptor, size)  # what a lost power supply left of one more
        content = b"".join(lines)
        if os.write(descriptor, content) != len(content):
            os.ftruncate(descriptor, size)
            raise OSError(f"{path} took only part of a line; is its disk full?")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of_whole_lines(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65_536)
        last = os.pread(descriptor, end - start, start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
        end = start
    return 0


def _written(receipt: Purge) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "id": str(receipt.pk),
        "tenant": str(receipt.tenant_id),
        "kind": receipt.kind,
        "run": str(receipt.run),
        "days": receipt.days,
        "cutoff": receipt.cutoff.isoformat(),
        "purged_at": receipt.purged_at.isoformat(),
        "parts": receipt.part_counts,
        "sha256": receipt.sha256,
        "rows": base64.b64encode(b"".join(each.bytes for each in receipt.row_ids)).decode(),
    }


def _read(line: bytes, number: int, path: Path) -> Purge:
    try:
        value = json.loads(line)
        packed = base64.b64decode(value["rows"], validate=True)
        ids = [UUID(bytes=packed[place : place + 16]) for place in range(0, len(packed), 16)]
        return Purge(
            id=UUID(value["id"]),
            tenant_id=UUID(value["tenant"]),
            kind=value["kind"],
            run=UUID(value["run"]),
            days=value["days"],
            cutoff=datetime.fromisoformat(value["cutoff"]),
            purged_at=datetime.fromisoformat(value["purged_at"]),
            part_counts=value["parts"],
            sha256=value["sha256"],
            row_ids=ids,
            row_count=len(ids),
            first_id=ids[0],
            last_id=ids[-1],
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadReceipt(f"{path}, line {number}: this is no receipt; look who changed the file.") from error
