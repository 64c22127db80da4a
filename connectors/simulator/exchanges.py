"""Keeps what was asked and answered, whole, for whoever wants to hold it against Microsoft's metadata."""

import json
from pathlib import Path

from connectors.simulator.exchange import Answer, Call, Json


class ExchangeBook:
    """One JSON line for each call that reached its handler; without a path nothing is kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = path.open("a", encoding="utf-8") if path else None

    def note(self, method: str, call: Call, answer: Answer) -> None:
        """Write down one call and its answer. Raises OSError when it cannot be written."""
        if self._file is None:
            return
        entry: Json = {
            "method": method,
            "path": call.path,
            "values": {name: str(value) for name, value in call.path_values.items()},
            "body": call.body,
            "status": answer.status,
            "answer": answer.as_json(),
        }
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
