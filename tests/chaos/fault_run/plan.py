"""What happens when: every order and every strike of a run, made from one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.fault_run.profiles import Profile

WAYS: Final = {"automatic": 80, "approved": 12, "unanswered": 4, "rejected": 4}
"""How an action gets its leave, or does not, and how often."""

TWO_APPROVE: Final = frozenset({"offboard_device", "hard_delete_email", "delete_file"})
SESSIONS_OF_A_TENANT: Final = 4
"""Live responses a tenant is asked for; Microsoft allows ten in a minute."""

MAIL: Final = frozenset({"soft_delete_email", "move_to_junk", "hard_delete_email"})


@dataclass(frozen=True, slots=True)
class Order:
    """One action to be asked for at a time (seconds from the start), on a device or a mail of its own."""

    at: float
    tenant: int
    place: int
    type: str
    way: str

    @property
    def is_mail(self) -> bool:
        """Whether it is about a mail."""
        return self.type in MAIL


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing that goes wrong at a time (seconds from the start)."""

    at: float
    kind: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a run, in order of time."""

    seed: int
    orders: tuple[Order, ...]
    strikes: tuple[Strike, ...]


def make_plan(profile: Profile, seed: int) -> Plan:
    """Return the plan of a profile; the same seed makes the same plan."""
    generator = random.Random(seed)
    orders = sorted(_orders(profile, generator), key=lambda order: order.at)
    strikes = sorted(_strikes(profile, generator), key=lambda strike: strike.at)
    return Plan(seed, tuple(orders), tuple(strikes))


def _orders(profile: Profile, generator: random.Random) -> Iterator[Order]:
    sessions = dict.fromkeys(range(profile.tenants), 0)
    types, weights = list(profile.mix), list(profile.mix.values())
    for number in range(profile.actions):
        tenant, place = number % profile.tenants, number // profile.tenants
        [name] = generator.choices(types, weights)
        if name == "delete_file":
            sessions[tenant] += 1
            name = name if sessions[tenant] <= SESSIONS_OF_A_TENANT else "isolate_device"
        [way] = generator.choices(list(WAYS), list(WAYS.values()))
        way = "approved" if name in TWO_APPROVE and way == "automatic" else way
        yield Order(generator.uniform(0, profile.seconds * 0.85), tenant, place, name, way)


def _strikes(profile: Profile, generator: random.Random) -> Iterator[Strike]:
    lease = float(profile.timing["ACTION_LEASE_SECONDS"])
    for kind, count in profile.strikes.items():
        for number in range(count):
            # Evenly spread, each at a moment of its own within its share of the time.
            at = profile.seconds * (0.03 + 0.94 * (number + generator.random()) / count)
            yield Strike(at, kind, _details(kind, generator, lease, profile.seconds))


def _details(kind: str, generator: random.Random, lease: float, seconds: float) -> dict[str, Any]:
    match kind:
        case "pause_lane":
            return {"seconds": round(lease + generator.uniform(0.5, 3.0), 2)}
        case "kill_broker" | "stop_broker":
            return {"seconds": round(generator.uniform(0.2, 2.0), 2)}
        case "restart_database":
            return {"seconds": round(generator.uniform(0.0, 1.5), 2)}
        case "cut_connections":
            return {"most": generator.randint(1, 4)}
        case "beat_off" | "beat_thrice":
            return {"seconds": round(min(600.0, seconds / 2), 1)}
    return {}
