"""Every migration of ours can be taken back, walls and functions included, and put on again."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from portal.embedded.servers import join_broker, join_postgres
from tests.conftest import template_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.process
def test_migrations_go_back_to_nothing_and_forth_again(django_db_setup: None) -> None:
    server = join_postgres()
    name = f"test_reverse_{os.getpid()}"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER portal_owner")
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(template_name())))
        admin.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name)))
    environment = {
        **os.environ,
        "DATABASE_URL": server.url("portal_app", name),
        "MIGRATE_DATABASE_URL": server.url("portal_owner", name),
        "BROKER_URL": join_broker(),
        "QUELL_DEVELOPMENT": "1",
    }

    def migrate(*words: str) -> None:
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    def walls() -> list[str]:
        with psycopg.connect(server.url("portal_owner", name)) as owner:
            return [
                row[0] for row in owner.execute("SELECT tablename FROM pg_policies WHERE policyname = 'one_of_mine'")
            ]

    try:
        built = walls()
        migrate("tenancy", "zero")
        assert walls() == []
        migrate()
        assert sorted(walls()) == sorted(built)
        assert built
    finally:
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
