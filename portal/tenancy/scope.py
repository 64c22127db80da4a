"""The door to tenant data: a scope is a set of tenants, held in a ContextVar and in the database transaction.

`acting_for` is for work on one tenant, `viewing` for lists over several. Without a scope the managers raise and
PostgreSQL's row-level security shows nothing. A scope may only narrow the one around it.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db import connection, transaction

from portal.tenancy.exceptions import EmptyScope, NoScope, WiderScope


@dataclass(slots=True)
class Scope:
    """The tenants one transaction may touch, and what it still has to write before it commits.

    `last_writes` run in order of their keys just before the outermost scope commits; `portal.audit` uses it.
    """

    tenant_ids: frozenset[UUID]
    last_writes: "LastWrites"
    outer: "Scope | None" = None


@dataclass(slots=True)
class LastWrites:
    """What is collected during a transaction and written as its last statements."""

    collected: list[Any] = field(default_factory=list)
    write: Callable[[list[Any]], None] | None = None


_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)


def current_scope() -> Scope:
    """Return the open scope. Raises NoScope."""
    scope = _scope.get()
    if scope is None:
        raise NoScope("Open acting_for(tenant_id) or viewing(tenant_ids) before touching tenant data.")
    return scope


def has_scope() -> bool:
    """Return whether a scope is open; a person without memberships has none and sees empty pages."""
    return _scope.get() is not None


@contextmanager
def acting_for(tenant_id: UUID) -> Iterator[None]:
    """Open a transaction that reads and writes one tenant's rows.

    Raises WiderScope inside a scope that does not hold the tenant.
    """
    with viewing([tenant_id]):
        yield


@contextmanager
def viewing(tenant_ids: Collection[UUID]) -> Iterator[None]:
    """Open a transaction over a non-empty set of tenants.

    Raises EmptyScope for none, WiderScope for a tenant the outer scope does not hold.
    """
    wanted = frozenset(tenant_ids)
    if not wanted:
        raise EmptyScope("A scope needs at least one tenant.")
    outer = _scope.get()
    if outer is not None and not wanted <= outer.tenant_ids:
        raise WiderScope("A scope may only narrow the one around it.")
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        _tell_database(wanted)
        scope = Scope(wanted, outer.last_writes if outer else LastWrites(), outer)
        collected_before = len(scope.last_writes.collected)
        token = _scope.set(scope)
        is_done = False
        try:
            yield
            if outer is None and not connection.get_rollback():
                _write_last(scope)
            is_done = True
        finally:
            _scope.reset(token)
            if not is_done:
                # What is rolled back did not happen, so the transaction around it must not tell of it.
                del scope.last_writes.collected[collected_before:]
        if is_nested and not connection.get_rollback():
            # RELEASE SAVEPOINT would keep the inner setting; an error or rollback puts the former one back by itself.
            _tell_database(outer.tenant_ids if outer else frozenset())


def admit_new_tenant(tenant_id: UUID) -> None:
    """Let the open scope and those around it reach a tenant that is about to be made, until the transaction ends.

    The one way a scope grows: nobody has rows there yet, so nobody's come into sight. Raises WiderScope for a tenant
    that exists.
    """
    scope: Scope | None = current_scope()
    _tell_database(current_scope().tenant_ids | {tenant_id})
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tenancy_tenant WHERE id = %s", [tenant_id])
        is_there = cursor.fetchone() is not None
    if is_there:
        _tell_database(current_scope().tenant_ids)
        raise WiderScope("Only a tenant that does not exist yet may be admitted to an open scope.")
    while scope is not None:
        scope.tenant_ids |= {tenant_id}
        scope = scope.outer


def _write_last(scope: Scope) -> None:
    pending = scope.last_writes
    if pending.collected and pending.write is not None:
        pending.write(pending.collected)
        pending.collected.clear()


def _tell_database(tenant_ids: frozenset[UUID]) -> None:
    setting = f"{{{','.join(sorted(map(str, tenant_ids)))}}}" if tenant_ids else ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_ids', %s, true)", [setting])


def database_now() -> datetime:
    """Return the time of the open transaction by PostgreSQL's clock (UTC), the one that leases and expiry go by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cast(datetime, cursor.fetchone()[0])
