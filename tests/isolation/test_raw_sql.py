"""Random statements as portal_app in our tenant's scope: no row of the other tenant is read, none is changed."""

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from psycopg import sql

from portal.tenancy.scope import acting_for
from tests.isolation.asking import LONG
from tests.isolation.canaries import LOOKS_LIKE
from tests.isolation.statements import Writer
from tests.isolation.world import World, past_the_walls, tenant_models

STATEMENTS = 100_000 if LONG else 2_500
AT_ONCE = 50
SEED = int(os.environ.get("ISOLATION_SEED") or random.randrange(10**9))


@pytest.fixture
def writer(standing: World) -> Writer:
    """Write statements about everything the tenants have, by a seed that is told when the test fails."""
    theirs = [str(row) for model in tenant_models() for row in standing.theirs.ids(model)]
    columns = {
        model._meta.db_table: [str(field.column) for field in model._meta.local_concrete_fields]
        for model in tenant_models()
    }
    return Writer(random.Random(SEED), columns, theirs, str(standing.theirs.tenant.pk))


def digest_of_theirs(world: World) -> list[tuple[Any, ...]]:
    """Return a digest of each of the other tenant's tables, seen past the walls."""
    tenant_id = world.theirs.tenant.pk
    with past_the_walls() as superuser:
        return [
            (table, *rows)
            for table in (model._meta.db_table for model in tenant_models())
            for rows in superuser.execute(_digest_statement(table), [tenant_id]).fetchall()
        ]


def _digest_statement(table: str) -> sql.Composed:
    words = sql.SQL("SELECT count(*), md5(string_agg(t::text, '/' ORDER BY t.id)) FROM {} t WHERE t.tenant_id = %s")
    return words.format(sql.Identifier(table))


def run(statement: str) -> Iterator[str]:
    """Yield what a statement answers, row by row as text; what PostgreSQL says when it refuses is an answer too."""
    with connection.cursor() as cursor:
        driver = cursor.cursor
        try:
            with transaction.atomic():
                if statement.startswith("COPY"):
                    with driver.copy(statement) as copy:
                        yield from (bytes(piece).decode() for piece in copy)
                    return
                driver.execute(statement)
                while True:
                    if driver.description:
                        yield from (repr(row) for row in driver.fetchall())
                    if not driver.nextset():
                        return
        except psycopg.Error as error:
            yield str(error)


def test_random_statements_read_and_change_nothing_of_theirs(standing: World, writer: Writer):
    before, answered, refused = digest_of_theirs(standing), 0, 0
    for _batch in range(STATEMENTS // AT_ONCE):
        is_kept = writer.chance.random() < 0.1
        ways = [writer.reading, writer.writing, writer.writing if is_kept else writer.deleting]
        with acting_for(standing.ours.tenant.pk):
            for _statement in range(AT_ONCE):
                statement = writer.chance.choice(ways)()
                answer = "\n".join(run(statement))
                answered += bool(answer)
                refused += "row-level security" in answer
                assert _is_silent(writer, statement, answer), f"seed {SEED}: {statement}\n{answer[:2000]}"
            transaction.set_rollback(not is_kept)

    print(f"{STATEMENTS} statements, seed {SEED}: {answered} answered, {refused} refused by row-level security")  # noqa: T201 whoever repeats it needs the seed
    assert digest_of_theirs(standing) == before, f"seed {SEED}"
    assert answered > STATEMENTS / 4
    assert refused > STATEMENTS / 100


def _is_silent(writer: Writer, statement: str, answer: str) -> bool:
    """Return whether an answer tells nothing of theirs; plans and the excerpt under an error repeat the question."""
    if LOOKS_LIKE.search(answer) or "division by zero" in answer:
        return False
    return statement.startswith("EXPLAIN") or "LINE 1:" in answer or writer.tenant not in answer


def test_the_same_statements_tell_when_the_second_wall_is_down(standing: World, writer: Writer):
    """The control: as somebody whom row-level security does not hold, they do read what is theirs."""
    heard = 0
    with past_the_walls() as superuser:
        for statement in (writer.reading() for _statement in range(300)):
            if not statement.startswith("COPY"):
                with suppress(psycopg.Error), superuser.transaction(force_rollback=True):
                    superuser.execute(
                        "SELECT set_config('app.tenant_ids', %s, true)", [f"{{{standing.ours.tenant.pk}}}"]
                    )
                    rows = superuser.execute(statement.encode()).fetchall()
                    heard += bool(LOOKS_LIKE.search(repr(rows)))
    assert heard > 30
