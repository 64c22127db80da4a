"""Changing keys while everything runs: each step is short, can be done again, and leaves every secret readable."""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from portal.secrets import master
from portal.secrets.envelope import context_of, renew_data_key
from portal.secrets.models import TenantDataKey
from portal.tenancy.scope import acting_for


def tenants_with_secrets() -> Sequence[UUID]:
    """Return every tenant that has a data key. Needs no scope."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM tenants_with_data_keys()")
        return [tenant_id for (tenant_id,) in cursor.fetchall()]


def rewrap_all() -> int:
    """Seal everything under the first master key that was under another one, and return how many that were.

    Goes through settings.SEALED_UNDER_MASTER: functions without arguments that do so for one kind of secret, in short
    transactions that lock their rows, passing over what is under the first key already. Raises SecretUnreadable.
    """
    return sum(import_string(name)() for name in settings.SEALED_UNDER_MASTER)


def reseal_all(tenant_id: UUID) -> int:
    """Seal the tenant's secrets anew under its newest data key and return how many.

    Goes through settings.SEALED_UNDER_DATA_KEYS: functions of a tenant's id that do so for one kind of secret, in short
    transactions that lock their rows. Opens its own scopes. Raises SecretUnreadable.
    """
    return sum(import_string(name)(tenant_id) for name in settings.SEALED_UNDER_DATA_KEYS)


def rewrap_data_keys() -> int:
    """Wrap every tenant's data keys, retired ones too, by the first master key; return how many were under another."""
    return sum(_rewrap_of(tenant_id) for tenant_id in tenants_with_secrets())


def renew(tenant_id: UUID) -> int:
    """Give the tenant a new data key, seal its secrets under it, and return how many those were.

    Opens its own scopes. What is read meanwhile opens, whichever key it is under.
    """
    with acting_for(tenant_id):
        renew_data_key(tenant_id)
    return reseal_all(tenant_id)


def _rewrap_of(tenant_id: UUID) -> int:
    first, changed = master.first_key_id(), 0
    with acting_for(tenant_id):
        for row in TenantDataKey.objects.select_for_update().order_by("id"):
            if master.key_id_of(bytes(row.wrapped_key)) != first:
                row.wrapped_key = master.rewrap(bytes(row.wrapped_key), context_of(row))
                row.save(update_fields=["wrapped_key"])
                changed += 1
    return changed
