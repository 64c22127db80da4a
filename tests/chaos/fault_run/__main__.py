"""`python -m tests.chaos.fault_run`: one fault run; exits with 1 if anything was lost, doubled or without leave."""

import argparse
import random
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos.fault_run import proofs
from tests.chaos.fault_run.profiles import PROFILES, QUICK, SCENES
from tests.chaos.fault_run.run import House, carry_out, check, open_house, tell, wait_until_settled


def main() -> int:
    """Read the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.fault_run", description=__doc__)
    parser.add_argument("--profile", choices=[*PROFILES, *SCENES], default="short")
    parser.add_argument("--guard", choices=list(proofs.PROOFS), help="play this guard's scene instead of a profile")
    parser.add_argument("--without", action="store_true", help="take the guard out; the run must then be red")
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same plan; drawn when left out")
    parser.add_argument("--actions", type=int, default=None)
    parser.add_argument("--tenants", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=None, help="how long work comes in and strikes fall")
    options = parser.parse_args()
    options.seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    if options.guard:
        return proofs.carry_out(proofs.PROOFS[options.guard], without=options.without, seed=options.seed)
    if options.profile in SCENES:
        return _carry_out_scene(options)
    profile = PROFILES[options.profile]
    return carry_out(
        profile.scaled(actions=options.actions, tenants=options.tenants, minutes=options.minutes), options.seed
    )


def _carry_out_scene(options: Namespace) -> int:
    with open_house(f"{options.profile}-{options.seed}", timing=QUICK) as house:
        has_backlog = options.profile == "noisy"  # what is left of it would take hours of quota
        tell(house, name=options.profile, row=SCENES[options.profile], seed=options.seed, has_backlog=has_backlog)
        _SCENES[options.profile](house, options)
        if not has_backlog:
            wait_until_settled(house, patience=60)
        return check(house)


def _double_click(house: House, options: Namespace) -> None:
    from tests.chaos.fault_run.scenes import double_click

    double_click(house)


def _no_broker(house: House, options: Namespace) -> None:
    from tests.chaos.fault_run.scenes import no_broker

    no_broker(house, seconds=(options.minutes or 2) * 60, tenants=options.tenants or 10)


def _noisy(house: House, options: Namespace) -> None:
    from tests.chaos.fault_run.scenes import noisy_tenant

    noisy_tenant(house, backlog=options.actions or 2000, seconds=(options.minutes or 1) * 60)


_SCENES: Final[Mapping[str, Callable[[House, Namespace], None]]] = {
    "double-click": _double_click,
    "no-broker": _no_broker,
    "noisy": _noisy,
}

if __name__ == "__main__":
    sys.exit(main())
