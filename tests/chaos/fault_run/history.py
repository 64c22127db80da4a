"""What was done in a run and what came of it, as JSON lines: invoke, then ok, fail or info (nobody knows).

`ns` is this machine's monotonic clock and `at` the time of day in seconds; both belong to the moment the line is made.
"""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class History:
    """Appends lines to a file; any thread may."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    @contextmanager
    def noting(
        self, who: str, what: str, unknown: tuple[type[Exception], ...] = (), **data: Any
    ) -> Iterator[dict[str, Any]]:
        """Note an operation's start and its end: ok with what the block put into the dict, else fail.

        An error of the kinds in `unknown` is noted as info, told in the dict and goes no further; others are passed on.
        """
        number = next(self._numbers)
        self._write(number, "invoke", who, what, data)
        result: dict[str, Any] = {}
        ended = "fail"
        try:
            yield result
            ended = "ok"
        except unknown as error:
            ended, result["error"] = "info", repr(error)[:300]
        finally:
            self._write(number, ended, who, what, result)

    def note(self, who: str, what: str, **data: Any) -> None:
        """Note something that simply happened."""
        self._write(next(self._numbers), "ok", who, what, data)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _write(self, number: int, kind: str, who: str, what: str, data: dict[str, Any]) -> None:
        line = {
            "n": number,
            "ns": time.monotonic_ns(),
            "at": time.time(),
            "kind": kind,
            "who": who,
            "what": what,
            "data": data,
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(line, default=str) + "\n")
                self._file.flush()


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a saved history."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
