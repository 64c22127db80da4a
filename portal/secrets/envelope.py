"""Sealing a tenant's secrets, each bound to its tenant and field: moved elsewhere it never opens.

AES-256-GCM under the tenant's data key. Sealed bytes are: version (1 byte), version of the data key (4), nonce (12),
ciphertext with its tag. Associated data is tenant|field|data key version.
"""

import os
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection

from portal.secrets import master
from portal.secrets.exceptions import SecretUnreadable
from portal.secrets.models import TenantDataKey
from portal.tenancy.scope import database_now

VERSION: Final = b"\x01"
HEAD_BYTES: Final = 5
NONCE_BYTES: Final = 12


def seal(tenant_id: UUID, field: str, plain: str) -> bytes:
    """Seal a secret for one field of one tenant, making the tenant's data key on first use.

    `field` names the place for good: model, row and column. Runs inside a scope that holds the tenant, after the row
    it is for is locked. Raises MasterKeyUnusable and what `portal.secrets.master.unwrap` raises.
    """
    _take_turn(tenant_id)
    row = TenantDataKey.objects.filter(tenant_id=tenant_id, retired_at=None).first() or _make_key(tenant_id, 1)
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(_unwrapped(row)).encrypt(nonce, plain.encode(), _bound_to(tenant_id, field, row.version))
    return VERSION + row.version.to_bytes(4) + nonce + ciphertext


def unseal(tenant_id: UUID, field: str, sealed: bytes) -> str:
    """Open what was sealed for this very tenant and field. Runs inside a scope that holds the tenant.

    Raises SecretUnreadable for anything else, and MasterKeyUnusable.
    """
    sealed = bytes(sealed)
    version = data_key_version_of(sealed)
    row = TenantDataKey.objects.filter(tenant_id=tenant_id, version=version).first()
    if row is None or sealed[: len(VERSION)] != VERSION:
        raise _unreadable(tenant_id, field)
    nonce, ciphertext = sealed[HEAD_BYTES : HEAD_BYTES + NONCE_BYTES], sealed[HEAD_BYTES + NONCE_BYTES :]
    try:
        return AESGCM(_unwrapped(row)).decrypt(nonce, ciphertext, _bound_to(tenant_id, field, version)).decode()
    except (InvalidTag, ValueError):
        raise _unreadable(tenant_id, field) from None


def reseal(tenant_id: UUID, field: str, sealed: bytes) -> bytes:
    """Return the same secret under the tenant's newest data key. Raises what `seal` and `unseal` raise."""
    return seal(tenant_id, field, unseal(tenant_id, field, sealed))


def renew_data_key(tenant_id: UUID) -> int:
    """Retire the tenant's data key for a new one and return the new one's version, or 0 where there was none.

    Runs inside a scope that holds the tenant. Whoever sealed under the old key has committed before this returns.
    """
    _take_turn(tenant_id)
    row = TenantDataKey.objects.filter(tenant_id=tenant_id, retired_at=None).first()
    if row is None:
        return 0
    row.retired_at = database_now()
    row.save(update_fields=["retired_at"])
    return _make_key(tenant_id, row.version + 1).version


def data_key_version_of(sealed: bytes) -> int:
    """Return which version of its tenant's data key sealed these bytes."""
    return int.from_bytes(bytes(sealed)[len(VERSION) : HEAD_BYTES])


def context_of(row: TenantDataKey) -> bytes:
    """Return what a data key is bound to under the master key."""
    return f"secrets.data_key|{row.tenant_id}|{row.version}".encode()


def _make_key(tenant_id: UUID, version: int) -> TenantDataKey:
    row = TenantDataKey(tenant_id=tenant_id, version=version)
    row.wrapped_key = master.wrap(os.urandom(master.KEY_BYTES), context_of(row))
    row.save(force_insert=True)
    return row


def _unwrapped(row: TenantDataKey) -> bytes:
    return master.unwrap(bytes(row.wrapped_key), context_of(row))


def _bound_to(tenant_id: UUID, field: str, version: int) -> bytes:
    return f"{tenant_id}|{field}|{version}".encode()


def _unreadable(tenant_id: UUID, field: str) -> SecretUnreadable:
    return SecretUnreadable(
        f"The secret “{field}” of tenant {tenant_id} does not open: it was changed, or sealed for another place. "
        "Set it anew."
    )


def _take_turn(tenant_id: UUID) -> None:
    """Let one transaction at a time seal for a tenant or renew its key; what is read next is what the last one left."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"secrets:{tenant_id}"])
