"""The kinds of connection there are, and the one way to open one."""

import os
from functools import lru_cache

from django.utils.module_loading import import_string

from connectors.protocol import ConnectionSettings, Connector

CONNECTORS: dict[str, str] = {
    "microsoft": "connectors.microsoft.connector.Microsoft",
}


def class_of(kind: str) -> type[Connector]:
    """Return the class that talks to connections of this kind, for what it says of itself. Raises KeyError."""
    found: type[Connector] = import_string(CONNECTORS[kind])
    return found


def open_connection(settings: ConnectionSettings, *, deadline_seconds: float) -> Connector:
    """Return the connector for these settings, the same one for the same settings in this process.

    Each of its calls ends within `deadline_seconds`. Calls nobody yet. Raises ValueError for an unknown kind.
    """
    if settings.kind not in CONNECTORS:
        raise ValueError(f"There is no connector of kind {settings.kind!r}; there is {', '.join(CONNECTORS)}.")
    return _opened(settings, deadline_seconds, os.getpid())


@lru_cache(maxsize=1024)
def _opened(settings: ConnectionSettings, deadline_seconds: float, process_id: int) -> Connector:
    # The process id is part of the key: a forked worker signs in for itself.
    connector: Connector = import_string(CONNECTORS[settings.kind])(settings, deadline_seconds=deadline_seconds)
    return connector
