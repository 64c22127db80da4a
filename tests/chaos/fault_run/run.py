"""One run from beginning to end: servers, processes, orders and strikes, the quiet after them, then the checker."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from portal.demo.processes import ROOT, wait_until
from portal.embedded.servers import FOLDER
from tests.chaos.fault_run.fleet import Fleet
from tests.chaos.fault_run.history import History
from tests.chaos.fault_run.plan import Plan, make_plan
from tests.chaos.fault_run.premises import Premises
from tests.chaos.fault_run.profiles import Profile
from tests.chaos.fault_run.servers import Servers

LONGEST_SETTLING: Final = 900.0
UNFINISHED: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - max(changed_at)), 0)::float, coalesce(sum(fence), 0)
FROM actions_remediationaction WHERE state IN ('approved', 'sending', 'accepted', 'unknown')
"""


@dataclass(frozen=True, slots=True)
class House:
    """What a run works with once everything is up."""

    premises: Premises
    fleet: Fleet
    history: History


@contextmanager
def open_house(
    name: str,
    *,
    timing: Mapping[str, str],
    app: str = "tests.chaos.observed",
    extra: Mapping[str, str] | None = None,
    stop_at: str = "",
    lanes: int = 8,
    action_seconds: float = 0.3,
) -> Iterator[House]:
    """Start servers and simulator in a new folder, migrate, and let this process use that database from now on.

    `app` is what the workers start from; `stop_at` is a point for `tests.chaos.weakened`.
    Everything ends with the block; the folder with history and logs stays.
    """
    folder = FOLDER / "chaos" / f"{name}-{os.getpid()}"
    folder.mkdir(parents=True)
    servers = Servers.start()
    told = {"CHAOS_FOLDER": str(folder), "CHAOS_STOP_AT": stop_at, **(extra or {})}
    premises = Premises(folder, servers, timing, app, told, lanes, action_seconds)
    history = History(folder / "history.jsonl")
    try:
        os.environ.update(premises.environment())
        os.environ.update(DJANGO_SETTINGS_MODULE="portal.settings", LOG_LEVEL="ERROR")
        _prepare_database()
        servers.database.add_witness()
        with Fleet(premises) as fleet:
            fleet.start("simulator")
            wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
            with fleet.supervised(history):
                yield House(premises, fleet, history)
    finally:
        history.close()
        servers.remove()


def _prepare_database() -> None:
    """Set Django up in this process, whose environment leads to the run's servers by now, and migrate."""
    import django
    from django.core.management import call_command

    django.setup()
    import_module("portal.celery")  # what this process asks for rings the workers' bells, as the web does
    call_command("audit", "new-key", stdout=io.StringIO())
    call_command("migrate", verbosity=0)


def carry_out(profile: Profile, seed: int) -> int:
    """Run a profile and return the checker's verdict as an exit code: 0 when everything held."""
    plan = make_plan(profile, seed)
    began = time.monotonic()
    with open_house(f"{profile.name}-{seed}", timing=profile.timing, lanes=profile.lanes) as house:
        tell(
            house,
            name=profile.name,
            row=profile.row,
            seed=seed,
            limits=dict(profile.limits),
            planned={"orders": len(plan.orders), "strikes": len(plan.strikes)},
        )
        _play(house, profile, plan)
        house.history.note("run", "end", seconds=round(time.monotonic() - began, 1))
        return check(house)


def check(house: House) -> int:
    """Let the checker, a process of its own, judge a run, and return its exit code."""
    words = [sys.executable, "-m", "tests.chaos.fault_run.checker", str(house.premises.folder)]
    return subprocess.run(words, cwd=ROOT, env=house.premises.environment(), check=False).returncode


def _play(house: House, profile: Profile, plan: Plan) -> None:
    from tests.chaos.fault_run.nemesis import Nemesis
    from tests.chaos.fault_run.stage import set_stage
    from tests.chaos.fault_run.work import Workload

    stage = set_stage(house.premises, plan, tenants=profile.tenants)
    house.fleet.start(*profile.needs)
    wait_for_workers(house)
    for fault in profile.faults:
        stage.simulator.add_fault(**fault)
    started = time.monotonic()
    house.history.note("run", "start")
    nemesis = Nemesis(house.fleet, house.premises.servers, stage, house.history, plan.seed)
    workload = Workload(stage, house.history)
    ends_at = started + profile.seconds * 1.3
    ordering = threading.Thread(target=workload.run, args=(plan.orders, started, ends_at))
    ordering.start()
    nemesis.run(plan.strikes, plan.orders, started, ends_at)
    ordering.join()
    house.history.note("run", "calm")  # no more strikes; the simulator goes on as before
    wait_until_settled(house, profile.patience)
    house.history.note("run", "faults", faults=stage.simulator.faults())


def wait_for_workers(house: House) -> None:
    """Return when every worker and the web take work."""
    for name in house.fleet.names("worker"):
        wait_until(lambda name=name: house.fleet.is_ready(name), f"The {name}", within=90)  # type: ignore[misc]
    for name in house.fleet.names("web"):
        wait_until(lambda: answers_anything(house.premises.web_url), f"The {name}", within=90)


def answers_anything(url: str) -> bool:
    """Return whether there is a web server; it sends what did not come by https elsewhere."""
    try:
        return httpx.get(f"{url}/accounts/login/", trust_env=False, timeout=2).status_code < 500
    except httpx.TransportError:
        return False


def wait_until_settled(house: House, patience: float) -> None:
    """Return when nothing is under way any more, or when for `patience` seconds nothing has changed."""
    ends_at = time.monotonic() + LONGEST_SETTLING
    last: tuple[int, int] | None = None
    changed_at = time.monotonic()
    while time.monotonic() < ends_at and time.monotonic() - changed_at < patience:
        try:
            with house.premises.servers.database.as_superuser() as connection:
                row = connection.execute(UNFINISHED).fetchone()
        except psycopg.OperationalError:
            continue
        open_count, _quiet, fences = row or (0, 0.0, 0)
        if open_count == 0:
            return
        if (open_count, fences) != last:
            last, changed_at = (open_count, fences), time.monotonic()
        time.sleep(0.25)


def tell(house: House, *, name: str, row: str, seed: int, **more: Any) -> None:
    """Write down what the checker needs to know, and nothing of what it is to find."""
    about = {
        "profile": name,
        "row": row,
        "seed": seed,
        "database_url": house.premises.servers.database.url("postgres"),
        "accepted_log": str(house.premises.simulator_folder / "accepted.log"),
        "timing": dict(house.premises.timing),
        "limits": {},
        **more,
    }
    Path(house.premises.folder / "run.json").write_text(json.dumps(about, indent=1))
    sys.stdout.write(f"Fault run {name} ({row}), seed {seed}, in {house.premises.folder}\n")
    sys.stdout.flush()
