"""The channels' addresses and signing secrets at rest."""

from typing import Final
from uuid import UUID

from connectors.outbound.models import Channel
from portal.secrets.envelope import reseal
from portal.tenancy.scope import acting_for

SEALED: Final = {"url_sealed": "url_place", "signing_secret_sealed": "signing_secret_place"}
"""The sealed columns, and which property of the row says what each is bound to."""


def reseal_channels(tenant_id: UUID) -> int:
    """Seal the tenant's addresses and signing secrets anew under its newest data key and return how many.

    For `rotate_keys`. Each row in a transaction of its own that locks it. Opens its own scopes.
    Raises SecretUnreadable.
    """
    with acting_for(tenant_id):
        found = list(Channel.objects.values_list("pk", flat=True))
    return sum(_reseal(tenant_id, pk) for pk in found)


def _reseal(tenant_id: UUID, pk: UUID) -> int:
    with acting_for(tenant_id):
        row = Channel.objects.defer(None).select_for_update().filter(pk=pk).first()
        held = [column for column in SEALED if row is not None and getattr(row, column) is not None]
        for column in held:
            setattr(row, column, reseal(tenant_id, getattr(row, SEALED[column]), bytes(getattr(row, column))))
        if row is not None and held:
            row.save(update_fields=held)
        return len(held)
