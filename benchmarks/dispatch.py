"""`python -m benchmarks.dispatch`: 5,000 approved actions over 50 tenants to `succeeded`, beside 5,000 empty tasks.

Both on the same broker, with the same worker processes, one after the other in one run. With `--memory` it sends
100,000 instead, through worker processes that live from the first to the last, and prints how large they are meanwhile.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import psutil
import redis
from celery import Task

from benchmarks import house
from portal.demo.processes import Fleet, Premises, wait_until

ACTIONS = 5000
TENANTS = 50
MARKS = (10_000, 50_000, 100_000)
"""After so many actions the workers' memory is printed."""

LONGEST_SECONDS = 600.0
LONGEST_MEMORY_SECONDS = 7200.0
DATABASE = "quell_bench"
TIMING = {
    "ACTION_LEASE_SECONDS": "120",
    "ACTION_QUIET_SECONDS": "30",
    "ACTION_DEADLINE_SECONDS": "30",
    "ACTION_POLL_SECONDS": "1",
    "SWEEP_SECONDS": "1",
    "SYNC_SECONDS": "86400",
    "MICROSOFT_QUOTA_PERCENT": "1000000",
}


@dataclass(slots=True)
class MemoryWatch:
    """Looks at the workers' memory five times a second and keeps the most it saw, in bytes."""

    latest: tuple[int, ...] = ()
    most_of_one: int = 0
    most_of_all: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until `end` is called."""
        while not self._is_over.wait(0.2):
            sizes = [size for process in psutil.process_iter() if (size := _worker_memory(process))]
            self.latest = tuple(sorted(sizes))
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
    arguments = argparse.ArgumentParser(description="How fast approved actions are sent, beside empty Celery tasks.")
    arguments.add_argument(
        "--memory", action="store_true", help="whether the workers' memory grows, over 100,000 actions"
    )
    if arguments.parse_args().memory:
        _watch_memory()
    else:
        _measure_speed()


def _watch_memory() -> None:
    os.environ["BENCH_WORKERS_LIVE_ON"] = "1"
    premises = house.build(DATABASE, broker=14, timing=TIMING)
    from benchmarks.filling import fill
    from remediation.actions.bells import ring

    with Fleet(premises) as fleet:
        fleet.start("simulator")
        wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
        tenant_ids = fill(premises, tenants=TENANTS, actions=MARKS[-1])
        house.count_rows(DATABASE)
        house.silence(premises)
        fleet.start("worker", "beat")
        memory = MemoryWatch()
        threading.Thread(target=memory.watch, daemon=True).start()
        for tenant_id in tenant_ids:
            ring("drain", tenant_id)
        for mark in MARKS:
            _wait(partial(_has_come_to, tenant_ids, mark), within=LONGEST_MEMORY_SECONDS)
            sizes = ", ".join(f"{size / 1024 / 1024:.0f}" for size in memory.latest)
            print(f"after {mark:7} actions, MiB of each worker process: {sizes}", flush=True)
        memory.end()


def _has_come_to(tenant_ids: list[UUID], mark: int) -> bool:
    from benchmarks.filling import count_succeeded

    return count_succeeded(tenant_ids) >= mark


def _measure_speed() -> None:
    premises = house.build(DATABASE, broker=14, timing=TIMING)
    import benchmarks.entry  # Django has been told by now where its database is, and Celery its broker
    from benchmarks.filling import fill

    with Fleet(premises) as fleet:
        fleet.start("simulator")
        wait_until(premises.ca_file.exists, "The simulator")
        wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
        tenant_ids = fill(premises, tenants=TENANTS, actions=ACTIONS)
        house.count_rows(DATABASE)
        house.silence(premises)  # filling rang the bells, and nothing is to be sent before the clock runs
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


def _wait(is_done: Callable[[], bool], *, within: float = LONGEST_SECONDS) -> None:
    ends_at = time.monotonic() + within
    while not is_done():
        if time.monotonic() > ends_at:
            raise SystemExit(f"It did not end within {within:.0f} seconds; see the logs in .quell/bench.")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
