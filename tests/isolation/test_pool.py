"""One connection, ten thousand tenants in turn: whatever ends a scope, nothing of it is left for the next."""

import random
from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction
from uuid_utils.compat import uuid7

from portal.tenancy.scope import acting_for, has_scope, viewing
from tests.isolation.test_raw_sql import SEED
from tests.isolation.world import Side, World

TURNS = 10_000


class Ends(Exception):
    """What goes wrong in a scope."""


def seen() -> set[object]:
    """Return whose devices plain SQL shows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM investigations_device")
        return {tenant_id for (tenant_id,) in cursor.fetchall()}


def left_over() -> tuple[str, int]:
    """Return the setting outside any scope, and the connection it is asked on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('app.tenant_ids', true), ''), pg_backend_pid()")
        setting, process = cursor.fetchone()
        return str(setting), int(process)


def quietly(mine: Side, other: Side) -> None:
    assert seen() == {mine.tenant.pk}


def rolled_back(mine: Side, other: Side) -> None:
    assert seen() == {mine.tenant.pk}
    transaction.set_rollback(True)


def with_an_error(mine: Side, other: Side) -> None:
    assert seen() == {mine.tenant.pk}
    raise Ends


def with_an_error_of_the_database(mine: Side, other: Side) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / (SELECT count(*) - count(*) FROM investigations_device)")


def with_a_savepoint(mine: Side, other: Side) -> None:
    point = transaction.savepoint()
    assert seen() == {mine.tenant.pk}
    transaction.savepoint_rollback(point)
    assert seen() == {mine.tenant.pk}


def with_a_savepoint_that_fails(mine: Side, other: Side) -> None:
    with pytest.raises(Ends), transaction.atomic(), acting_for(mine.tenant.pk):
        raise Ends
    assert seen() == {mine.tenant.pk}


ENDINGS: list[Callable[[Side, Side], None]] = [
    quietly,
    rolled_back,
    with_an_error,
    with_an_error_of_the_database,
    with_a_savepoint,
    with_a_savepoint_that_fails,
]


def both_and_then_one(mine: Side, other: Side, ending: Callable[[Side, Side], None]) -> None:
    """Open a scope over both tenants and a narrower one inside."""
    both = {mine.tenant.pk, other.tenant.pk}
    with viewing(both):
        try:
            with acting_for(mine.tenant.pk):
                ending(mine, other)
        except (Ends, DatabaseError):
            assert seen() == both
        else:
            assert seen() == both


def test_nothing_of_a_scope_outlives_it(standing: World):
    chance = random.Random(SEED)
    sides = [standing.ours, standing.theirs]
    _setting, process = left_over()
    for turn in range(TURNS):
        mine, other = sides[turn % 2], sides[(turn + 1) % 2]
        ending = chance.choice(ENDINGS)
        try:
            if chance.random() < 0.2:
                both_and_then_one(mine, other, ending)
            else:
                with acting_for(mine.tenant.pk):
                    ending(mine, other)
        except (Ends, DatabaseError):
            pass
        assert (*left_over(), has_scope()) == ("", process, False), f"seed {SEED}, turn {turn}, {ending.__name__}"

    assert seen() == set()
    with acting_for(uuid7()):
        assert seen() == set()
