"""The run's processes, each in a group of its own: started, killed, paused and told to stop."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

import psutil

from portal.demo.processes import ROOT
from tests.chaos.fault_run.history import History
from tests.chaos.fault_run.premises import Premises

STOP_SECONDS: Final = 6.0


class Fleet:
    """The running processes by name. Leaving the block ends every one of them, whatever happened inside."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        self._is_over = False
        premises.simulator_folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._is_over = True
            for process in self._running.values():
                for number in (signal.SIGCONT, signal.SIGTERM):
                    _signal_group(process, number)
            ends_at = time.monotonic() + STOP_SECONDS
            for process in self._running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, ends_at - time.monotonic()))
                _signal_group(process, signal.SIGKILL)
                process.wait()

    def start(self, *names: str) -> None:
        """Start processes by name; what they say goes to a file of that name in the run's folder."""
        for name in names:
            with self._lock, (self._premises.folder / f"{name}.log").open("ab") as log:
                if self._is_over:
                    return
                self._running[name] = subprocess.Popen(
                    self._premises.command(name),
                    cwd=ROOT,
                    env=self._premises.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    @contextmanager
    def supervised(self, history: History) -> Iterator[None]:
        """Start again whatever ends by itself while the block lasts, as systemd would, and note it."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(0.5):
                with self._lock:
                    gone = [name for name, process in self._running.items() if process.poll() is not None]
                    for name in gone:
                        history.note("fleet", "ended by itself", name=name, code=self._running[name].returncode)
                        self.start(name)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            is_over.set()
            watching.join()

    def kill(self, name: str) -> None:
        """End a process and its children with SIGKILL: none of them gets to say or finish anything."""
        with self._lock:
            process = self._running.pop(name)
        _signal_group(process, signal.SIGKILL)
        process.wait()

    def terminate(self, name: str) -> None:
        """Ask a process to stop, as a deployment does, and wait until it has."""
        with self._lock:
            process = self._running.pop(name)
        process.terminate()
        process.wait()

    def names(self, kind: str) -> list[str]:
        """Return the running processes of a kind."""
        with self._lock:
            return sorted(name for name in self._running if name.partition("-")[0] == kind)

    def is_ready(self, name: str) -> bool:
        """Whether a worker takes tasks by now (`tests.chaos.observed`)."""
        with self._lock:
            process = self._running.get(name)
        with suppress(OSError, ValueError):
            return process is not None and int((self._premises.folder / f"{name}.ready").read_text()) == process.pid
        return False

    def lanes(self, name: str) -> list[int]:
        """Return the process ids of a worker's children, which do the work; none while it starts."""
        with self._lock:
            process = self._running.get(name) if self.is_ready(name) else None
        with suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(process.pid).children()] if process else []
        return []

    def all_lanes(self) -> list[int]:
        """Return the children of all workers."""
        return [pid for name in self.names("worker") for pid in self.lanes(name)]


def signal_lane(pid: int, number: signal.Signals) -> bool:
    """Send one worker child a signal; return whether it was there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
