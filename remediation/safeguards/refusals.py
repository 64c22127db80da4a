"""Refusals that go on record: what somebody tried against a safeguard, and why it was turned down."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Refusal, SecondFactorNeeded
from portal.audit.refusals import note_refusal


@contextmanager
def refusals_on_record(
    tenant_id: UUID, verb: str, *, object_type: str, object_id: UUID, actor: Actor
) -> Iterator[None]:
    """Note a refusal from inside the block as the event `verb`, and let it pass; a form filled in badly is none.

    A second factor that is to be shown first is noted too: what was tried was not done.
    """
    try:
        yield
    except BadRequest:
        raise
    except (Refusal, SecondFactorNeeded) as refusal:
        note_refusal(
            tenant_id,
            verb,
            object_type=object_type,
            object_id=object_id,
            actor=actor.stamp,
            data={"reason": str(refusal)},
        )
        raise
