"""The processes of one run: the simulator, the web, a worker and beat, each in a process group of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from portal.embedded.servers import DATABASE, FOLDER, join_broker, join_postgres

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_SECONDS: Final = 6.0
START_SECONDS: Final = 30.0


class NotStarted(RuntimeError):
    """A process did not come up; the text says which and where its words are."""


@dataclass(frozen=True, slots=True)
class Premises:
    """Where one run lives.

    `broker` is the number of its Valkey database, `timing` are the settings of an action's life in seconds, and `entry`
    is the module that the web and the worker start from.
    """

    folder: Path
    database: str
    broker: int
    web_port: int
    simulator_port: int
    timing: Mapping[str, str]
    entry: str = "portal"

    @property
    def web_url(self) -> str:
        """Return the address of the web."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def simulator_url(self) -> str:
        """Return the address of the simulator."""
        return f"https://127.0.0.1:{self.simulator_port}"

    @property
    def simulator_folder(self) -> Path:
        """Return where the simulator keeps its certificate and its log."""
        return self.folder / "simulator"

    @property
    def ca_file(self) -> Path:
        """Return the certificate that vouches for the simulator."""
        return self.simulator_folder / "ca.pem"

    @property
    def broker_url(self) -> str:
        """Return the broker's URL on this clone's Valkey."""
        return join_broker().replace("?db=0", f"?db={self.broker}")

    @property
    def _seal_file(self) -> Path:
        """Return where histories are sealed: a database's own file, which for the clone's own one is the settings'."""
        return (FOLDER if self.database == DATABASE else self.folder) / "audit-seals.jsonl"

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the run."""
        server = join_postgres()
        return {
            **os.environ,
            "DATABASE_URL": server.url("portal_app", self.database),
            "MIGRATE_DATABASE_URL": server.url("portal_owner", self.database),
            "BROKER_URL": self.broker_url,
            "QUELL_DEVELOPMENT": "1",
            "MICROSOFT_CLIENT_ID": "quell-demo",
            "MICROSOFT_CLIENT_SECRET": "demo-secret",
            "MICROSOFT_CA_FILE": str(self.ca_file),
            "KNOWN_EXPLOITED_URL": f"{self.simulator_url}/_simulator/kev.json",
            # Whoever posts to the simulator's inbox trusts it as one trusts a public server.
            "SSL_CERT_FILE": str(self.ca_file),
            "BEAT_SCHEDULE_FILE": str(self.folder / "beat-schedule"),
            "AUDIT_SEAL_FILE": str(self._seal_file),
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore:No directory at,ignore:You're running the worker with superuser",
            **self.timing,
        }

    def commands(self) -> dict[str, list[str]]:
        """Return the command line of each process, by its name."""
        is_whole = self.entry == "portal"
        web, app = ("portal.wsgi", "portal.celery") if is_whole else (self.entry, self.entry)
        python = [sys.executable, "-m"]
        # Celery's command line reads BROKER_URL by itself, and knows sockets by another name than everybody else.
        broker = self.broker_url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
        celery = [*python, "celery", "--quiet", "-A", app, "-b", broker]
        return {
            "simulator": [
                *python, "connectors.simulator", "--data", str(self.simulator_folder),
                "--port", str(self.simulator_port), "--action-seconds", "0.5",
            ],
            "web": [
                *python, "gunicorn", f"{web}:application", "--bind", f"127.0.0.1:{self.web_port}",
                # Longer than any client of ours pools a connection, so that no request meets a closing one.
                "--worker-class", "gthread", "--threads", "8", "--keep-alive", "75", "--graceful-timeout", "1",
                "--log-level", "warning", "--no-control-socket",
            ],
            "worker": [
                *celery, "worker", "--pool", "prefork", "--concurrency", "2",
                "--without-gossip", "--without-mingle", "--loglevel", "warning",
            ],
            "beat": [*celery, "beat", "--loglevel", "warning", "--pidfile", ""],
        }  # fmt: skip


def free_port(preferred: int = 0) -> int:
    """Return the preferred port of 127.0.0.1, or another one where it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise NotStarted("There is no free port on 127.0.0.1.")


def wait_until(condition: Callable[[], bool], what: str, *, within: float = START_SECONDS) -> None:
    """Return as soon as the condition holds. Raises NotStarted after so many seconds."""
    ends_at = time.monotonic() + within
    while not condition():
        if time.monotonic() > ends_at:
            raise NotStarted(f"{what} did not come up within {within:.0f} seconds.")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Return whether a web page is served there."""
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


class Fleet:
    """The running processes of one premises. Leaving the block ends every one of them, whatever happened inside."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._environment = premises.environment()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        premises.simulator_folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._running.values():
            _signal_group(process, signal.SIGTERM)
        ends_at = time.monotonic() + STOP_SECONDS
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, ends_at - time.monotonic()))
            _signal_group(process, signal.SIGKILL)
            process.wait()

    def start(self, *names: str) -> None:
        """Start processes by name; what they say goes to a file of that name in the run's folder."""
        for name in names:
            with (self._premises.folder / f"{name}.log").open("ab") as log:
                self._running[name] = subprocess.Popen(  # noqa: S603 our own command lines
                    self._premises.commands()[name],
                    cwd=ROOT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `manage.py` to its end, as an operator of these premises would."""
        return subprocess.run(  # noqa: S603 our own command lines
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def kill(self, name: str) -> None:
        """End a process and its children with SIGKILL: none of them gets to say or finish anything."""
        process = self._running.pop(name)
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
