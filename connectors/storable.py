"""Makes what a vendor answered fit for PostgreSQL, whose JSON knows neither NUL nor half characters nor NaN."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


def as_storable(value: Any) -> Any:
    """Return the JSON value with what cannot be stored replaced: U+FFFD in texts, null for numbers that are none."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if isinstance(value, Mapping):
        return {as_storable(str(name)): as_storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_storable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
