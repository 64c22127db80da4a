"""`record()`: the one way to write history. Events are collected and appended last before COMMIT, or not at all."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from portal.tenancy.exceptions import WiderScope
from portal.tenancy.scope import current_scope


@dataclass(frozen=True, slots=True)
class ActorStamp:
    """Who did it, as history keeps it: an id where there is an account, and a label a person can read."""

    id: UUID | None
    label: str


SYSTEM = ActorStamp(None, "Automation")
"""Quell itself: workers, beat and automatic decisions (Microsoft's word for them in *Decided by*)."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event on its way into history."""

    verb: str
    object_type: str
    object_id: UUID
    actor: ActorStamp
    data: dict[str, Any]


def record(
    tenant_id: UUID, verb: str, *, object_type: str, object_id: UUID, actor: ActorStamp, data: dict[str, Any]
) -> None:
    """Put one event into the tenant's history, in this transaction: if it cannot be written, nothing is.

    Raises NoScope outside a scope and WiderScope for a tenant the scope does not hold.
    """
    scope = current_scope()
    if tenant_id not in scope.tenant_ids:
        raise WiderScope("An event can only be recorded for a tenant in scope.")
    scope.last_writes.write = _append
    scope.last_writes.collected.append((tenant_id, NewEvent(verb, object_type, object_id, actor, data)))


def _append(collected: list[tuple[UUID, NewEvent]]) -> None:
    """Append per tenant, tenants in sorted order so that two transactions never wait for each other in a ring."""
    by_tenant: dict[UUID, list[NewEvent]] = {}
    for tenant_id, event in collected:
        by_tenant.setdefault(tenant_id, []).append(event)
    with connection.cursor() as cursor:
        for tenant_id in sorted(by_tenant):
            events = json.dumps([_plain(event) for event in by_tenant[tenant_id]], cls=DjangoJSONEncoder)
            cursor.execute("SELECT audit_append(%s, %s::jsonb)", [tenant_id, events])


def _plain(event: NewEvent) -> dict[str, Any]:
    """Return an event for JSON. Not by asdict(), which copies all of the data once more."""
    return {
        "verb": event.verb,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "actor": {"id": event.actor.id, "label": event.actor.label},
        "data": event.data,
    }
