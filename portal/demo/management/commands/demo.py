"""`manage.py demo`: Quell at work on this machine, with three tenants and a simulator in Microsoft's place."""

import multiprocessing
import os
import shlex
import signal
import sys
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from honcho.manager import Manager

from portal.demo.channels import connect_channels
from portal.demo.companies import COMPANIES
from portal.demo.first_requests import ask_for_first_things
from portal.demo.hunting_ground import hunting_ground
from portal.demo.opening import opening_scene
from portal.demo.processes import ROOT, Premises, answers, free_port, wait_until
from portal.demo.seeding import APPROVER, SIGN_INS, seed
from portal.demo.simulator import Simulator
from portal.embedded.servers import DATABASE, FOLDER

TIMING: Final = {
    "ACTION_LEASE_SECONDS": "5",
    "ACTION_QUIET_SECONDS": "5",
    "ACTION_DEADLINE_SECONDS": "1",
    "ACTION_POLL_SECONDS": "1",
    "SWEEP_SECONDS": "1",
    "SEAL_SECONDS": "5",
    "SYNC_SECONDS": "10",
    "VULNERABILITY_SYNC_SECONDS": "15",
    "INTUNE_SYNC_SECONDS": "15",
    "KNOWN_EXPLOITED_SECONDS": "20",
}
STOPPED_BY_A_PERSON: Final = (0, 128 + signal.SIGINT, 128 + signal.SIGTERM)


class Command(BaseCommand):
    """Set everything up, run web, worker, beat and simulator until Ctrl-C, and keep the data for the next time."""

    help = "Run Quell with example tenants, people and alerts; Ctrl-C stops it."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C, or until one of the processes ends by itself."""
        if not settings.IS_EMBEDDED:
            raise CommandError("The demo runs on this clone's embedded servers: unset DATABASE_URL and BROKER_URL.")
        premises = Premises(
            folder=FOLDER / "demo",
            database=DATABASE,
            broker=0,
            web_port=free_port(8000),
            simulator_port=free_port(),
            timing=TIMING,
        )
        premises.simulator_folder.mkdir(parents=True, exist_ok=True)
        (premises.simulator_folder / "simulator.json").unlink(missing_ok=True)
        call_command("migrate", verbosity=0)
        seed(premises.simulator_url)
        ask_for_first_things()
        connect_channels(premises.simulator_url)
        connection.close()
        manager = Manager()
        environment = premises.environment()
        for name, command in premises.commands().items():
            manager.add_process(name, f"exec {shlex.join(command)}", env=environment, cwd=str(ROOT))
        # A process, not a thread: honcho forks, and forks of a process with threads may hang.
        opening = multiprocessing.get_context("fork").Process(target=self._open, args=(premises,), daemon=True)
        opening.start()
        # A closed terminal stops the demo as Ctrl-C does.
        signal.signal(signal.SIGHUP, lambda _number, _frame: os.kill(os.getpid(), signal.SIGTERM))
        manager.loop()
        opening.terminate()
        opening.join()
        if manager.returncode not in STOPPED_BY_A_PERSON:
            raise CommandError("One of the processes ended by itself, so all were stopped; its words are above.")

    def _open(self, premises: Premises) -> None:
        """Bring the simulator to life, and say where to sign in once the web answers."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: sys.exit(0))
        wait_until((premises.simulator_folder / "simulator.json").exists, "The simulator")
        simulator = Simulator(premises)
        for company in COMPANIES:
            simulator.tell(company, opening_scene(company))
            simulator.tell(company, hunting_ground(company))
        wait_until(lambda: answers(f"{premises.web_url}/accounts/login/"), "The web")
        rows = [f"  {each.role.label!s:15} {each.email:32} {each.password}" for each in SIGN_INS]
        where = f"Quell is at {premises.web_url}/admin/"
        codes = (
            "Approvers and admins are asked for a code too. In another terminal:",
            f"  .venv/bin/python manage.py demo_code {APPROVER.email}",
        )
        self.stdout.write("\n".join(["", where, "", *rows, "", *codes, "", "Ctrl-C stops it.", ""]))
        self.stdout.flush()
