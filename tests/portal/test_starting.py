"""The web and the workers do not start as somebody the walls do not hold, nor with times that would double actions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal.embedded.servers import DATABASE, join_broker, join_postgres

ROOT = Path(__file__).resolve().parents[2]
WEB = [sys.executable, "-c", "import portal.wsgi"]
WORKER = [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", "--concurrency", "1"]


def start(command: list[str], role: str = "portal_app", **changes: str) -> subprocess.CompletedProcess[str]:
    broker = join_broker().replace("db=0", "db=12")
    environment = {
        **os.environ,
        "DATABASE_URL": join_postgres().url(role, DATABASE),
        "BROKER_URL": broker,
        "QUELL_DEVELOPMENT": "1",
        **changes,
    }
    if command == WORKER:
        socket = broker.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
        command = [sys.executable, "-m", "celery", "-A", "portal.celery", "-b", socket, *WORKER[5:]]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.process
@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
@pytest.mark.parametrize("role", ["portal_owner", "postgres"])
def test_it_refuses_a_role_the_walls_do_not_hold(command: list[str], role: str) -> None:
    ended = start(command, role)
    assert ended.returncode != 0
    assert f"signs in as {role}" in ended.stderr


@pytest.mark.process
@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_it_refuses_a_quiet_period_shorter_than_a_call(command: list[str]) -> None:
    ended = start(command, ACTION_QUIET_SECONDS="1")
    assert ended.returncode != 0
    assert "ACTION_QUIET_SECONDS must be at least" in ended.stderr


@pytest.mark.process
@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_it_refuses_production_without_a_master_key(command: list[str]) -> None:
    ended = start(command, QUELL_DEVELOPMENT="0", SECRET_KEY="x" * 60, ALLOWED_HOSTS="quell.example")
    assert ended.returncode != 0
    assert "MASTER_KEYS holds no master key. Make one with" in ended.stderr


@pytest.mark.process
@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_it_refuses_plain_http_with_servers_of_ones_own(command: list[str]) -> None:
    own = start(command, DATABASE_URL="postgresql://portal_app:secret@db.example/quell")
    assert own.returncode != 0
    assert "QUELL_DEVELOPMENT=1 is for this clone's embedded servers alone" in own.stderr


@pytest.mark.process
def test_the_web_starts_as_the_app() -> None:
    assert start(WEB).returncode == 0
