"""Taking turns: what must not happen twice at once for one tenant."""

from uuid import UUID

from django.db import connection


def take_turn(tenant_id: UUID) -> None:
    """Wait until nobody else stores, joins or groups this tenant's devices, and keep it so until COMMIT.

    Two intakes of the same alert would each begin an investigation, a device stored beside a change of rules would be
    sorted by the old ones, and evidence stored beside an approved widening would wait for ever. A lock in a
    statement of its own: what is read afterwards is what the one before has committed. Taken before any row is locked.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"intake:{tenant_id}"])
