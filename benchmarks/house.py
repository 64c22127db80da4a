"""A house for a bench that runs the whole portal: a database of its own, migrated, and where its processes live."""

import os
import shutil
from collections.abc import Mapping

import psycopg
import redis

from portal.demo.processes import Premises, free_port
from portal.embedded.servers import FOLDER, join_postgres


def build(database: str, *, broker: int, timing: Mapping[str, str]) -> Premises:
    """Make the database anew, empty the broker's, and set Django up on them; `timing` are settings of the run."""
    folder = FOLDER / database.removeprefix("quell_").replace("_", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = join_postgres()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    server.create_database(database)
    premises = Premises(
        folder=folder,
        database=database,
        broker=broker,
        web_port=free_port(),
        simulator_port=free_port(),
        timing=timing,
        entry="benchmarks.entry",
    )
    os.environ.update(premises.environment())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    silence(premises)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    import benchmarks.entry  # noqa: F401 Celery is told its broker

    return premises


def silence(premises: Premises) -> None:
    """Forget every bell that was rung."""
    with redis.Redis.from_url(premises.broker_url) as broker:
        broker.flushdb()


def count_rows(database: str) -> None:
    """Let PostgreSQL count what was filled in, as autovacuum has long done where a portal runs."""
    with psycopg.connect(join_postgres().url("portal_owner", database), autocommit=True) as owner:
        owner.execute("ANALYZE")
