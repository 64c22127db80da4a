"""What a refusal of Microsoft's says, in the order in which its services put their words (facts of each error page)."""

from collections.abc import Mapping
from typing import Any


def words_of(error: Mapping[str, Any]) -> str:
    """Return the most telling words of an `error` object, "" where it has none.

    OData's `details` come first, then the exception inside Exchange's `innererror`, then `message`: Exchange's own
    message only says that the cmdlet failed.
    """
    details = error.get("details")
    deeper = [_message(row) for row in details] if isinstance(details, list) else []
    inner = error.get("innererror")
    exception = inner.get("internalException") if isinstance(inner, dict) else None
    return " / ".join(filter(None, deeper)) or _message(exception) or _message(error)


def _message(said: object) -> str:
    return str(said.get("message") or "") if isinstance(said, dict) else ""
