"""Sealing: every minute the newest row of each tenant is signed and appended to a file outside the database.

Whoever can change the database can change history there, but not what this file says of it. `portal.audit.verify`
compares the two. Lines are chained to each other, so none can be taken out or put in between.
"""

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection

from portal.audit.exporting import database_time
from portal.audit.keys import read_key
from portal.audit.models import Sealing
from portal.audit.verify import SEAL_FORMAT, canonical, read_seal

logger = logging.getLogger(__name__)

Heads = dict[str, tuple[int, str]]
"""By tenant: the number and the hash of its newest row."""

LARGEST_CLOCK_DIFFERENCE: Final = 60_000_000
"""Microseconds between this machine's clock and the database's; above it somebody should look."""

_BLOCK: Final = 65_536


@dataclass(frozen=True, slots=True)
class _SealFile:
    """The open seal file, held so that no other sealer writes meanwhile."""

    path: Path
    descriptor: int

    def read_last_line(self) -> bytes:
        """Return the last whole line, empty for none; what a lost power supply left of one more is cut off."""
        size = os.fstat(self.descriptor).st_size
        end, start = size, size
        tail = b""
        while start > 0 and tail.count(b"\n") < 2:
            start = max(0, start - _BLOCK)
            tail = os.pread(self.descriptor, end - start, start)
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            logger.warning("Cut %d bytes of an unfinished line off %s", torn, self.path)
            os.ftruncate(self.descriptor, size - torn)
            return self.read_last_line()
        return tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]

    def append(self, line: bytes) -> None:
        """Write a line and see it on the disk, whole or not at all. Raises OSError."""
        size = os.fstat(self.descriptor).st_size
        if os.write(self.descriptor, line) != len(line):
            os.ftruncate(self.descriptor, size)
            raise OSError(f"{self.path} took only part of a line; is its disk full?")
        os.fsync(self.descriptor)

    def read_sealed_heads(self, last: bytes) -> Heads:
        """Return what has been sealed of every tenant: as kept beside the file, or else read from all of it."""
        try:
            kept = json.loads(self._notes.read_bytes())
            if kept["line"] == _digest(last):
                return {tenant: (seq, digest) for tenant, (seq, digest) in kept["heads"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            logger.info("Reading all of %s: there is no note of what it holds", self.path)
        heads: Heads = {}
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                heads |= {head["tenant"]: (head["seq"], head["hash"]) for head in read_seal(line, number)["heads"]}
        return heads

    def keep_sealed_heads(self, last: bytes, heads: Heads) -> None:
        """Note what has been sealed up to this line, so that the next seal need not read the whole file."""
        draft = self._notes.with_name(f"{self._notes.name}.{os.getpid()}")
        draft.write_text(json.dumps({"line": _digest(last), "heads": heads}))
        draft.replace(self._notes)

    @property
    def _notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.heads")


def seal() -> datetime:
    """Append one signed line with the heads that have changed since the last one; return the time it holds.

    A history that has become shorter than its seal is not sealed anew: it is logged as an error each time, until
    somebody looks. Raises OSError, UnusableKey, and BadSeal for a seal file that is not one.
    """
    key = read_key()
    with _hold(Path(settings.AUDIT_SEAL_FILE)) as file:
        last = file.read_last_line()
        sealed = file.read_sealed_heads(last)
        heads, now = _read_heads()
        shortened = _tell_shortened(sealed, heads)
        changed = {tenant: head for tenant, head in heads.items() if head[0] > sealed.get(tenant, (0, ""))[0]}
        content: dict[str, Any] = {
            "format": SEAL_FORMAT,
            "sealed_at": max(now, json.loads(last)["sealed_at"] if last else 0),
            "heads": [{"tenant": tenant, "seq": seq, "hash": digest} for tenant, (seq, digest) in changed.items()],
            "previous": _digest(last) if last else "",
        }
        line = canonical({**content, "signature": key.sign(canonical(content)).hex()}) + b"\n"
        file.append(line)
        file.keep_sealed_heads(line, sealed | changed)
    sealed_at = datetime.fromtimestamp(content["sealed_at"] / 1_000_000, UTC)
    Sealing.objects.update_or_create(pk=1, defaults={"sealed_at": sealed_at, "shortened": shortened})
    return sealed_at


@contextmanager
def _hold(path: Path) -> Iterator[_SealFile]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield _SealFile(path, descriptor)
    finally:
        os.close(descriptor)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _read_heads() -> tuple[Heads, int]:
    """Return all tenants' newest rows, and the database's time after reading them (UTC microseconds)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id::text, seq, encode(hash, 'hex') FROM audit_heads()")
        heads = {tenant: (seq, digest) for tenant, seq, digest in cursor.fetchall()}
    now = database_time()
    if abs(now - time.time_ns() // 1000) > LARGEST_CLOCK_DIFFERENCE:
        logger.error("The database's clock and this machine's differ by more than a minute")
    return heads, now


def _tell_shortened(sealed: Heads, heads: Heads) -> int:
    """Log each tenant whose history ends before its seal, or at the seal with another hash; return how many."""
    shortened = 0
    for tenant, (seq, digest) in sealed.items():
        present = heads.get(tenant, (0, ""))
        if present[0] < seq or (present[0] == seq and present[1] != digest):
            shortened += 1
            logger.error("History of tenant %s: row %d was sealed, and is gone or changed", tenant, seq)
    return shortened
