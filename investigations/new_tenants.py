"""What every new tenant begins with."""

from uuid import UUID

from django.conf import settings

from connectors.models import Connection
from investigations.groups import ensure_default_group


def prepare_tenant(tenant_id: UUID) -> None:
    """Give a new tenant, which is in scope, its default device group and a connection that begins to sync at once.

    In development the connection begins switched off: it names Microsoft's own addresses, and nothing leaves the
    machine there.
    """
    ensure_default_group(tenant_id)
    Connection.objects.create(tenant_id=tenant_id, is_enabled=not settings.IS_DEVELOPMENT)
