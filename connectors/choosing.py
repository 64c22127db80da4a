"""Which of a tenant's connections is used."""

from uuid import UUID

from connectors.models import Connection


def find_enabled(tenant_id: UUID) -> Connection | None:
    """Return the tenant's enabled connection with its tenant and its sealed secret, or None.

    Runs inside a scope that holds the tenant.
    """
    rows = Connection.objects.defer(None).select_related("tenant").filter(tenant_id=tenant_id, is_enabled=True)
    return rows.order_by("kind").first()
