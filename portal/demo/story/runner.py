"""Sets the stage in a database, broker and simulator of its own, plays every line, and ends what it started."""

import fcntl
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

import psycopg
import redis
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from portal.demo.companies import COMPANIES, KANDA, NORDFJELL, Company
from portal.demo.processes import Fleet, Premises, answers, free_port, wait_until
from portal.demo.seeding import SIGN_INS, seed
from portal.demo.simulator import Simulator
from portal.demo.story import (
    customers,
    decisions,
    excepting,
    faults,
    levels,
    remediation,
    routes,
    searching,
    tickets,
)
from portal.demo.story.person import Person
from portal.demo.story.remediation import MACHINES_OF_EACH_GROUP
from portal.demo.story.stage import Stage
from portal.embedded.servers import FOLDER, join_postgres

DATABASE: Final = "quell_story"
BROKER: Final = 15
TIMING: Final = {
    "ACTION_LEASE_SECONDS": "4",
    "ACTION_QUIET_SECONDS": "2",
    "ACTION_DEADLINE_SECONDS": "1",
    "ACTION_POLL_SECONDS": "0.5",
    "SWEEP_SECONDS": "0.5",
    "SYNC_SECONDS": "2",
    "VULNERABILITY_SYNC_SECONDS": "2",
    "INTUNE_SYNC_SECONDS": "2",
    "RETENTION_SECONDS": "2",
}
Line = Callable[[Stage], str]

TOGETHER: Final[Sequence[Line]] = (
    levels.full_group_runs,
    levels.semi_group_asks,
    levels.core_folders_ask,
    levels.other_than_temp_asks,
    decisions.mail_asks_at_full,
    decisions.rejected_is_not_sent,
    levels.no_threats_nothing,
    levels.no_response_nothing,
    decisions.isolation_is_undone,
    decisions.widening_asks,
    decisions.own_request_is_not_approved,
    decisions.hard_delete_takes_two,
    faults.reset_changes_nothing,
    faults.throttling_is_obeyed,
    decisions.stranger_finds_nothing,
    levels.twice_changes_nothing,
    routes.live_response_deletes_once,
    routes.url_is_blocked_and_unblocked,
    routes.forwarding_is_restored_exactly,
    routes.quarantined_file_is_released,
    searching.hunt_names_who_failed,
    searching.explorer_finds_mail,
    customers.group_decides_everywhere,
    customers.correction_puts_right,
    customers.storm_holds_up_nobody_else,
    customers.check_names_what_is_missing,
    tickets.off_hides_on_shows,
    tickets.rejection_shows_the_note,
    remediation.request_changes_no_device,
    remediation.fixed_devices_complete_it,
    remediation.person_completes_it,
    remediation.attention_has_no_due_date,
    remediation.old_activity_leaves_with_a_receipt,
    excepting.exception_hides_and_returns,
    excepting.it_admins_are_told_once,
)
"""Lines that stand on nothing of each other's; they are played at the same time."""

ALONE: Final[Sequence[Line]] = (faults.killed_worker_changes_nothing, tickets.ten_thousand_of_twelve)
"""Lines that would disturb others; they are played afterwards, one by one."""


def _name(line: Line) -> str:
    return line.__name__.replace("_", "-")


LINES: Final = {_name(line): line for line in (*TOGETHER, *ALONE)}


@dataclass(frozen=True, slots=True)
class Played:
    """One line as it went: `words` say what happened, or what was not as promised."""

    is_as_promised: bool
    words: str
    seconds: float


def play(wanted: Sequence[str], *, broken: str) -> Generator[Played, None, None]:
    """Play the lines of these names and yield each as it went, in order. `broken` is a guard to switch off, or ""."""
    with _alone_in_this_clone():
        premises = Premises(
            folder=_fresh_folder(),
            database=DATABASE,
            broker=BROKER,
            web_port=free_port(),
            simulator_port=free_port(),
            timing=TIMING,
            entry="portal.demo.broken" if broken else "portal",
        )
        _fresh_database()
        _fresh_broker(premises)
        yield from _play_in(premises, wanted)


def _play_in(premises: Premises, wanted: Sequence[str]) -> Generator[Played, None, None]:
    with Fleet(premises) as fleet:
        fleet.start("simulator", "web", "worker")
        seed(premises.simulator_url)
        connection.close()
        stage = _set(premises, fleet)
        yield from _play_all([line for name, line in LINES.items() if name in wanted], stage)


def _play_all(lines: Sequence[Line], stage: Stage) -> Iterator[Played]:
    pool = ThreadPoolExecutor(max_workers=len(TOGETHER))
    try:
        together = [_Playing(line, stage, pool) for line in lines if line in TOGETHER]
        for playing in together:
            yield playing.result()
        for line in lines:
            if line in ALONE:
                yield _Playing(line, stage, pool).result()
    finally:
        # When somebody stops the story, the lines under way end with the processes they speak to.
        pool.shutdown(wait=False, cancel_futures=True)


class _Playing:
    """A line that is being played."""

    def __init__(self, line: Line, stage: Stage, pool: ThreadPoolExecutor) -> None:
        self._line = line
        self._seconds = 0.0
        self._future = pool.submit(self._play, stage)

    def result(self) -> Played:
        """Wait for the line's end and return how it went, whatever it raised."""
        if error := self._future.exception():
            words = f"{_name(self._line)}: promised that {str(error) or repr(error)}"
            return Played(False, words, self._seconds)
        return Played(True, self._future.result(), self._seconds)

    def _play(self, stage: Stage) -> str:
        started = time.monotonic()
        try:
            return self._line(stage)
        finally:
            self._seconds = time.monotonic() - started


@contextmanager
def _alone_in_this_clone() -> Iterator[None]:
    """Wait for another story of this clone to end: there is one folder, one database and one broker for it."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "story.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fresh_folder() -> Path:
    folder = FOLDER / "story"
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _fresh_database() -> None:
    """Drop the story's database, make it anew, and let this process use it from now on."""
    server = join_postgres()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))
    server.create_database(DATABASE)
    connection.close()
    connection.settings_dict["NAME"] = DATABASE
    call_command("migrate", verbosity=0)


def _fresh_broker(premises: Premises) -> None:
    with redis.Redis.from_url(premises.broker_url) as broker:
        broker.flushdb()


def _set(premises: Premises, fleet: Fleet) -> Stage:
    """Wait until everything is up, sign everybody in, and let the first sync bring the devices."""
    wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
    simulator = Simulator(premises)
    for company in COMPANIES:
        machines = company.machines(_machines_of_each_group(company))
        withheld = [searching.WITHHELD] if company is KANDA else []
        simulator.tell(company, {"machines": machines, "withheld_roles": withheld})
    fleet.start("beat")
    wait_until(lambda: answers(f"{premises.web_url}/accounts/login/"), "The web")
    with ThreadPoolExecutor() as pool:
        signed_in = pool.map(lambda each: Person(each, premises.web_url), SIGN_INS)
        people = dict(zip([each.email for each in SIGN_INS], signed_in, strict=True))
    stage = Stage(fleet, simulator, people)
    last = [company.machines(_machines_of_each_group(company))[-1] for company in COMPANIES]
    wait_until(lambda: all(stage.reader.rows("/devices/", machine_id=each["id"]) for each in last), "The first sync")
    return stage


def _machines_of_each_group(company: Company) -> int:
    """Return how many the lines need: most of them play at one company."""
    return MACHINES_OF_EACH_GROUP if company is NORDFJELL else 1
