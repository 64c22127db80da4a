"""Refusals that go on record: what was turned down is rolled back, what tells of it is written afterwards."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from portal.audit.recording import ActorStamp, record
from portal.tenancy.scope import acting_for


@dataclass(frozen=True, slots=True)
class NotedRefusal:
    """A refusal on its way into history."""

    tenant_id: UUID
    verb: str
    object_type: str
    object_id: UUID
    actor: ActorStamp
    data: dict[str, Any]


_noted: ContextVar[tuple[NotedRefusal, ...]] = ContextVar("noted_refusals", default=())


def note_refusal(
    tenant_id: UUID, verb: str, *, object_type: str, object_id: UUID, actor: ActorStamp, data: dict[str, Any]
) -> None:
    """Keep a refusal until the request's own transaction has ended; the door then writes it.

    What concerns no customer goes to the reserved provider tenant. Writes nothing by itself and needs no scope.
    """
    refusal = NotedRefusal(tenant_id, verb, object_type, object_id, actor, data)
    _noted.set((*_noted.get(), refusal))


def write_refusals() -> None:
    """Write what was noted, each in a transaction of its own. Only where no scope is open any more."""
    noted = _noted.get()
    _noted.set(())
    for refusal in noted:
        with acting_for(refusal.tenant_id):
            record(
                refusal.tenant_id,
                refusal.verb,
                object_type=refusal.object_type,
                object_id=refusal.object_id,
                actor=refusal.actor,
                data=refusal.data,
            )
