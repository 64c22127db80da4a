"""A connection's own client secret and certificate at rest."""

from uuid import UUID

from connectors.models import Connection
from portal.secrets.envelope import reseal
from portal.tenancy.scope import acting_for

SEALED = {"client_secret_sealed": "secret_place", "client_certificate_sealed": "certificate_place"}
"""The sealed columns, and which property of the row says what each is bound to."""


def reseal_client_secrets(tenant_id: UUID) -> int:
    """Seal the tenant's client secrets and certificates anew under its newest data key and return how many.

    For `rotate_keys`. Each row in a transaction of its own that locks it, so that a secret set meanwhile is never
    overwritten. Opens its own scopes. Raises SecretUnreadable.
    """
    with acting_for(tenant_id):
        found = list(Connection.objects.values_list("pk", flat=True))
    return sum(_reseal(tenant_id, pk) for pk in found)


def _reseal(tenant_id: UUID, pk: UUID) -> int:
    with acting_for(tenant_id):
        row = Connection.objects.defer(None).select_for_update().filter(pk=pk).first()
        held = [column for column in SEALED if row is not None and getattr(row, column) is not None]
        for column in held:
            place = getattr(row, SEALED[column])
            setattr(row, column, reseal(tenant_id, place, bytes(getattr(row, column))))
        if row is not None and held:
            row.save(update_fields=held)
        return len(held)
