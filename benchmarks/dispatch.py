"""`python -m benchmarks.dispatch`: 5,000 approved actions over 50 tenants to `succeeded`, beside 5,000 empty tasks.

Both on the same broker, with the same worker processes, one after the other in one run.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import psutil
import psycopg
import redis
from celery import Task

from portal.demo.processes import Fleet, Premises, free_port, wait_until
from portal.embedded.servers import FOLDER, join_postgres

ACTIONS = 5000
TENANTS = 50
LONGEST_SECONDS = 600.0
DATABASE = "quell_bench"
TIMING = {
    "ACTION_LEASE_SECONDS": "120",
    "ACTION_QUIET_SECONDS": "30",
    "ACTION_DEADLINE_SECONDS": "30",
    "ACTION_POLL_SECONDS": "1",
    "SWEEP_SECONDS": "1",
    "SYNC_SECONDS": "86400",
}


@dataclass(slots=True)
class MemoryWatch:
    """Looks at the workers' memory five times a second and keeps the most it saw, in bytes."""

    most_of_one: int = 0
    most_of_all: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until `end` is called."""
        while not self._is_over.wait(0.2):
            sizes = [size for process in psutil.process_iter() if (size := _worker_memory(process))]
            self.most_of_one = max([self.most_of_one, *sizes])
            self.most_of_all = max(self.most_of_all, sum(sizes))

    def end(self) -> None:
        """Stop looking."""
        self._is_over.set()


def _worker_memory(process: psutil.Process) -> int:
    try:
        words = process.cmdline()
        return int(process.memory_info().rss) if "benchmarks.entry" in words and "worker" in words else 0
    except psutil.Error:
        return 0


def main() -> None:
    """Measure and print."""
    premises = _prepare()
    import benchmarks.entry  # Django has been told by now where its database is, and Celery its broker
    from benchmarks.filling import fill

    with Fleet(premises) as fleet:
        fleet.start("simulator")
        wait_until(premises.ca_file.exists, "The simulator")
        wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
        tenant_ids = fill(premises, tenants=TENANTS, actions=ACTIONS)
        _silence(premises)  # filling rang the bells, and nothing is to be sent before the clock runs
        fleet.start("worker")
        memory = MemoryWatch()
        threading.Thread(target=memory.watch, daemon=True).start()
        tasks_per_second = _measure_empty_tasks(premises, benchmarks.entry.nothing)
        actions_per_second = _measure_actions(fleet, tenant_ids)
        memory.end()
    mebibytes = 1024 * 1024
    print(f"actions to succeeded   {actions_per_second:8.1f} /s   ({ACTIONS}, {TENANTS} tenants, 2 worker processes)")
    print(f"empty Celery tasks     {tasks_per_second:8.1f} /s   ({ACTIONS}, same broker and workers)")
    print(f"ratio                  {actions_per_second / tasks_per_second:8.2f}")
    print(f"peak memory, one worker process {memory.most_of_one / mebibytes:6.0f} MiB")
    print(f"peak memory, all of the worker  {memory.most_of_all / mebibytes:6.0f} MiB")


def _prepare() -> Premises:
    folder = FOLDER / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = join_postgres()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS quell_bench WITH (FORCE)")
    server.create_database(DATABASE)
    premises = Premises(
        folder=folder,
        database=DATABASE,
        broker=14,
        web_port=free_port(),
        simulator_port=free_port(),
        timing=TIMING,
        entry="benchmarks.entry",
    )
    os.environ.update(premises.environment())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    _silence(premises)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return premises


def _silence(premises: Premises) -> None:
    with redis.Redis.from_url(premises.broker_url) as broker:
        broker.flushdb()


def _measure_empty_tasks(premises: Premises, nothing: Task) -> float:
    with redis.Redis.from_url(premises.broker_url) as broker:
        nothing.delay()
        wait_until(lambda: broker.llen("celery") == 0, "The worker")
        started = time.monotonic()
        for _number in range(ACTIONS):
            nothing.delay()
        _wait(lambda: broker.llen("celery") == 0)
    return ACTIONS / (time.monotonic() - started)


def _measure_actions(fleet: Fleet, tenant_ids: list[UUID]) -> float:
    from benchmarks.filling import count_succeeded
    from remediation.actions.bells import ring

    fleet.start("beat")
    started = time.monotonic()
    for tenant_id in tenant_ids:
        ring("drain", tenant_id)
    _wait(lambda: count_succeeded(tenant_ids) == ACTIONS)
    return ACTIONS / (time.monotonic() - started)


def _wait(is_done: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + LONGEST_SECONDS
    while not is_done():
        if time.monotonic() > ends_at:
            raise SystemExit("It did not end within ten minutes; see the logs in .quell/bench.")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
