"""Checking a connection: one read per API it is for, outside any transaction, and what was found is its health."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from connectors.health import note_check
from connectors.models import Connection
from connectors.protocol import ConnectionSettings, Connector, Finding
from connectors.registry import open_connection
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.scope import acting_for

CHECKED_EVERY: Final = timedelta(days=1)
"""How often a connection that works is checked by itself, besides being used."""

CHECKED_AGAIN: Final = timedelta(minutes=15)
"""How often one is that does not."""


def is_due(row: Connection) -> bool:
    """Return whether the next sync should check the connection first."""
    if row.checked_at is None:
        return True
    is_wrong = any(not finding["works"] for finding in row.findings)
    return datetime.now(UTC) - row.checked_at > (CHECKED_AGAIN if is_wrong else CHECKED_EVERY)


def check_connection(tenant_id: UUID, connection_id: UUID) -> Sequence[Finding]:
    """Try what the connection is for, write down what was found and return it. Opens its own scopes; never raises."""
    try:
        with acting_for(tenant_id):
            row = Connection.objects.defer(None).select_related("tenant").get(pk=connection_id)
            wanted = row.as_settings()
        connector = _open(wanted)
    except SecretUnreadable as error:
        return _noted(tenant_id, connection_id, [_unusable(error, "SecretUnreadable")])
    except ValueError as error:  # an address that is not https, or a kind nobody connects to
        return _noted(tenant_id, connection_id, [_unusable(error, "Unusable")])
    return check_opened(tenant_id, connection_id, connector)


def check_opened(tenant_id: UUID, connection_id: UUID, connector: Connector) -> Sequence[Finding]:
    """The same with the connector at hand."""
    return _noted(tenant_id, connection_id, connector.check())


def _open(wanted: ConnectionSettings) -> Connector:
    return open_connection(wanted, deadline_seconds=settings.ACTION_DEADLINE_SECONDS)


def _unusable(error: Exception, code: str) -> Finding:
    return Finding("Connection", works=False, words=str(error), code=code)


def _noted(tenant_id: UUID, connection_id: UUID, findings: Sequence[Finding]) -> Sequence[Finding]:
    note_check(tenant_id, connection_id, findings)
    return findings
