"""The log of every authenticated call that acts: one JSON line each, on disk before the caller gets its answer."""

import asyncio
import json
import os
import queue
import threading
from pathlib import Path
from typing import Any

_Line = tuple[bytes, asyncio.Future[None]]


class AcceptedLog:
    """Appends to one file; a thread of its own writes what waits and makes it safe with one fsync for all of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self._waiting: queue.SimpleQueue[_Line | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="accepted-log", daemon=True)
        self._thread.start()

    async def append(self, entry: dict[str, Any]) -> None:
        """Return once the entry is on disk. Raises OSError when it cannot be written."""
        safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put((json.dumps(entry, separators=(",", ":")).encode() + b"\n", safe))
        await safe

    def entries(self, *, tenant: str | None = None, external_id: str | None = None) -> list[dict[str, Any]]:
        """What the log holds, oldest first; ``external_id`` also finds an entry that merely contains it."""
        lines = self.path.read_bytes().split(b"\n")[:-1]
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [
            entry
            for entry in entries
            if (tenant is None or entry["tenant"] == tenant.lower())
            and (external_id is None or external_id in (entry["external_id"] or ""))
        ]

    def close(self) -> None:
        """Write what waits and end the thread."""
        self._waiting.put(None)
        self._thread.join()
        self._file.close()

    def _write(self) -> None:
        is_open = True
        while is_open:
            batch = [self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            is_open = None not in batch
            self._settle([line for line in batch if line is not None])

    def _settle(self, lines: list[_Line]) -> None:
        if not lines:
            return
        failure: OSError | None = None
        try:
            self._file.write(b"".join(text for text, _ in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            failure = error
        loop = lines[0][1].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, [safe for _, safe in lines], failure)


def _resolve(waiting: list[asyncio.Future[None]], failure: OSError | None) -> None:
    for safe in waiting:
        if safe.cancelled():
            continue
        if failure is None:
            safe.set_result(None)
        else:
            safe.set_exception(failure)
