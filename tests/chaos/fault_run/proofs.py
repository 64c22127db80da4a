"""Each guard proven: a scene that is green as Quell is, and red with the guard taken out, by the violation named here.

A scene brings about, on purpose and in seconds, the one thing that its guard is there for.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from portal.demo.processes import wait_until
from tests.chaos.fault_run.plan import Order, Plan
from tests.chaos.fault_run.profiles import QUICK
from tests.chaos.fault_run.run import House, check, open_house, tell, wait_for_workers, wait_until_settled

TIMING: Final = {**QUICK, "ACTION_QUIET_SECONDS": "2"}


@dataclass(frozen=True, slots=True)
class Proof:
    """One guard, how it works against what, and the kind of violation that shows when it is gone.

    `stop_at` is where a worker stops itself, as a machine that hangs does.
    """

    guard: str
    words: str
    violation: str
    scene: Callable[[House, str], None]
    stop_at: str = ""


def carry_out(proof: Proof, *, without: bool, seed: int) -> int:
    """Play a proof's scene, with or without its guard, and return the checker's exit code."""
    name = f"guard-{proof.guard}-{'without' if without else 'with'}"
    extra = {"CHAOS_WITHOUT": proof.guard if without and proof.guard != "unique-index" else ""}
    with open_house(
        f"{name}-{seed}", timing=TIMING, app="tests.chaos.weakened", extra=extra, stop_at=proof.stop_at,
        action_seconds=0.001,
    ) as house:  # fmt: skip
        tell(house, name=name, row="R4", seed=seed)
        proof.scene(house, proof.guard if without else "")
        wait_until_settled(house, patience=25)
        house.history.note("run", "end", seconds=0)
        return check(house)


def _orders(count: int, way: str = "automatic") -> tuple[Order, ...]:
    return tuple(Order(0, 0, place, "isolate_device", way) for place in range(count))


def _ghost(house: House, without: str) -> None:
    """A worker hangs between its claim and the socket; its action is sent by another, and then it wakes."""
    from tests.chaos.fault_run.stage import set_stage
    from tests.chaos.fault_run.work import Workload

    orders = _orders(1)
    stage = set_stage(house.premises, Plan(0, orders, ()), tenants=1)
    house.fleet.start("worker-1", "beat-1")
    wait_for_workers(house)
    [action] = Workload(stage, house.history).place(stage.tenants[0], list(orders))
    marker = house.premises.folder / "stopped"
    wait_until(marker.exists, "The worker that stops itself", within=20)
    stage.simulator.add_fault(kind="answer_late", seconds=0.8, count=1)
    wait_until(lambda: str(action.pk) in stage.simulator.log_text(), "The second attempt", within=40)
    with suppress(ProcessLookupError):
        os.kill(int(marker.read_text()), signal.SIGCONT)
    house.history.note("nemesis", "wake ghost", struck=True)
    time.sleep(3)


def _in_doubt(house: House, without: str) -> None:
    """What was accepted is not answered, and shows a while later only."""
    from tests.chaos.fault_run.stage import set_stage
    from tests.chaos.fault_run.work import Workload

    orders = _orders(5)
    stage = set_stage(house.premises, Plan(0, orders, ()), tenants=1)
    stage.simulator.add_fault(kind="hide", seconds=3.2, count=5)
    stage.simulator.add_fault(kind="reset_after_accepting", count=5)
    house.fleet.start("worker-1", "beat-1")
    Workload(stage, house.history).place(stage.tenants[0], list(orders))
    time.sleep(8)


def _role_lost(house: House, without: str) -> None:
    """Who approved loses the role before it is sent."""
    from portal.access.models import TenantMembership
    from portal.tenancy.scope import acting_for
    from tests.chaos.fault_run.stage import set_stage
    from tests.chaos.fault_run.work import Workload

    orders = _orders(3, "approved")
    stage = set_stage(house.premises, Plan(0, orders, ()), tenants=1)
    Workload(stage, house.history).place(stage.tenants[0], list(orders))
    bob, tenant = stage.people["bob"], stage.tenants[0]
    with acting_for(tenant.id):
        TenantMembership.objects.filter(user=bob).delete()
    house.history.note("work", "revoke", person=str(bob.pk))
    house.fleet.start("worker-1", "beat-1")
    wait_for_workers(house)
    time.sleep(4)


def _flood(house: House, without: str) -> None:
    """More is to be sent in an hour than its limit, by two workers at once."""
    from portal.tenancy.scope import acting_for
    from remediation.safeguards.models import HourlyCap
    from tests.chaos.fault_run.stage import set_stage
    from tests.chaos.fault_run.work import Workload

    orders = _orders(12)
    stage = set_stage(house.premises, Plan(0, orders, ()), tenants=1)
    Workload(stage, house.history).place(stage.tenants[0], list(orders))
    with acting_for(stage.tenants[0].id):
        HourlyCap.objects.filter(tenant=stage.tenants[0]).update(cap=3)
    house.fleet.start("worker-1", "worker-2", "beat-1")
    wait_for_workers(house)
    time.sleep(4)


def _double_click(house: House, without: str) -> None:
    """The same request fifty times at once, through the API."""
    from tests.chaos.fault_run.scenes import double_click

    if without:
        house.premises.servers.database.drop_index("one_open_action")
    double_click(house)


PROOFS: Final = {
    proof.guard: proof
    for proof in (
        Proof("fence", "a worker that lost its claim writes nothing", "twice", _ghost, stop_at="guard"),
        Proof("quiet", "no look before what was accepted can show", "twice", _in_doubt),
        Proof("guard", "nothing is sent under a claim older than a quarter of its lease", "twice", _ghost, "guard"),
        Proof("clock", "the age of a claim counts from before it is made", "twice", _ghost, "claim"),
        Proof("reconcile", "after a doubt it is looked for", "twice", _in_doubt),
        Proof("approval", "approvals are counted again in the claim", "without leave", _role_lost),
        Proof("budget", "the claim counts the hour's limit", "over the limit", _flood),
        Proof("unique-index", "one open action for the same target and parameters", "doubled", _double_click),
    )
}
