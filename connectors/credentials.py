"""A connection's own client secret at rest."""

from uuid import UUID

from connectors.models import Connection
from portal.secrets.envelope import reseal
from portal.tenancy.scope import acting_for


def reseal_client_secrets(tenant_id: UUID) -> int:
    """Seal the tenant's client secrets anew under its newest data key and return how many; for `rotate_keys`.

    Each in a transaction of its own that locks its row, so that a secret set meanwhile is never overwritten. Opens its
    own scopes. Raises SecretUnreadable.
    """
    with acting_for(tenant_id):
        found = list(Connection.objects.filter(client_secret_sealed__isnull=False).values_list("pk", flat=True))
    return sum(_reseal(tenant_id, pk) for pk in found)


def _reseal(tenant_id: UUID, pk: UUID) -> int:
    with acting_for(tenant_id):
        row = Connection.objects.defer(None).select_for_update().filter(pk=pk).first()
        if row is None or row.client_secret_sealed is None:
            return 0
        row.client_secret_sealed = reseal(tenant_id, row.secret_place, bytes(row.client_secret_sealed))
        row.save(update_fields=["client_secret_sealed"])
        return 1
