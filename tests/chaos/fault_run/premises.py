"""Where one run lives: its folder, servers, addresses and timing, and the command lines of its processes."""

import base64
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from portal.demo.processes import free_port
from tests.chaos.fault_run.servers import Servers

CLIENT_ID: Final = "quell-demo"
CLIENT_SECRET: Final = "demo-secret"


@dataclass(frozen=True, slots=True)
class Premises:
    """One run's place. `app` is the module its workers start from, `lanes` how many processes each worker has.

    The portal runs under the settings of production, behind a proxy that is not there.
    """

    folder: Path
    servers: Servers
    timing: Mapping[str, str]
    app: str = "tests.chaos.observed"
    extra: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 8
    action_seconds: float = 0.3
    web_port: int = field(default_factory=free_port)
    simulator_port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: secrets.token_hex(32))
    master_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())

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

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of the run."""
        return {
            **os.environ,
            "DATABASE_URL": self.servers.database.url("portal_app"),
            "MIGRATE_DATABASE_URL": self.servers.database.url("portal_owner"),
            "BROKER_URL": self.servers.broker.url,
            "QUELL_DEVELOPMENT": "0",
            "SECRET_KEY": self.secret,
            "MASTER_KEYS": self.master_key,
            "ALLOWED_HOSTS": "127.0.0.1",
            "TRUST_FORWARDED_PROTO": "1",
            "PORTAL_URL": self.web_url,
            "AUDIT_SEAL_FILE": str(self.folder / "audit-seals.jsonl"),
            "AUDIT_SEALING_KEY_FILE": str(self.folder / "audit-sealing-key.pem"),
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
            "MICROSOFT_CA_FILE": str(self.simulator_folder / "ca.pem"),
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore:No directory at,ignore:You're running the worker with superuser",
            **self.timing,
            **self.extra,
        }

    def command(self, name: str) -> list[str]:
        """Return the command line of a process: simulator, web, beat-N, dispatch-N or worker-N."""
        python = [sys.executable, "-m"]
        # Celery's command line reads BROKER_URL by itself, and knows sockets by another name than everybody else.
        broker = self.servers.broker.url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
        celery = [*python, "celery", "--quiet", "-A", self.app, "-b", broker]
        match name.partition("-")[0]:
            case "simulator":
                return [
                    *python, "connectors.simulator", "--data", str(self.simulator_folder),
                    "--port", str(self.simulator_port), "--action-seconds", str(self.action_seconds),
                ]  # fmt: skip
            case "web":
                return [
                    *python, "gunicorn", "portal.wsgi:application", "--bind", f"127.0.0.1:{self.web_port}",
                    "--worker-class", "gthread", "--threads", "16", "--graceful-timeout", "1",
                    "--log-level", "warning", "--no-control-socket",
                ]  # fmt: skip
            case "beat":
                schedule = str(self.folder / f"{name}-schedule")
                return [*celery, "beat", "--loglevel", "warning", "--pidfile", "", "--schedule", schedule]
            case "dispatch":
                return [sys.executable, "manage.py", "dispatch"]
            case "worker":
                return [
                    *celery, "worker", "--pool", "prefork", "--concurrency", str(self.lanes),
                    "--without-gossip", "--without-mingle", "--loglevel", "warning", "--hostname", f"{name}@%h",
                ]  # fmt: skip
        raise ValueError(f"no process is called {name}")
