"""What is weak in a tenant: its recommendations, the machines exposed to each, and how they are fixed over time.

Fixing by the clock has no timer: whoever looks first carries out what has become due.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from connectors.simulator.moments import moment_text, ticks_in

Json = dict[str, Any]

# "Exposed devices": Microsoft counts devices that were used in the last 30 days (facts/defender.md 5.1).
COUNTED_TICKS = ticks_in(30 * 86_400)


@dataclass(slots=True)
class Fixing:
    """So many devices of a recommendation are fixed every so many ticks; ``last`` is when that was done last."""

    devices: int
    every: int
    last: int


@dataclass(slots=True)
class Weakness:
    """One recommendation: Microsoft's properties without the counts, the ids of exposed machines, and its CVEs."""

    properties: Json
    exposed: list[str] = field(default_factory=list)
    cves: list[Json] = field(default_factory=list)
    fixing: Fixing | None = None

    def fix(self, machines: Collection[str]) -> list[str]:
        """Take these machines out; returns those that were exposed."""
        wanted = set(machines)
        fixed = [machine for machine in self.exposed if machine in wanted]
        self.exposed = [machine for machine in self.exposed if machine not in wanted]
        return fixed

    def expose(self, machines: Iterable[str]) -> list[str]:
        """Put these machines in; returns those that were not exposed."""
        known = set(self.exposed)
        fresh = [machine for machine in dict.fromkeys(machines) if machine not in known]
        self.exposed += fresh
        return fresh

    def due(self, now: int) -> list[str]:
        """The machines that became due for fixing until now, the first ones first; they count as taken."""
        if self.fixing is None:
            return []
        rounds = (now - self.fixing.last) // self.fixing.every
        self.fixing.last += rounds * self.fixing.every
        return self.exposed[: rounds * self.fixing.devices]


@dataclass(slots=True)
class Exposures:
    """All recommendations of a tenant by their lower-case id, over the tenant's machines."""

    machines: dict[str, Json]
    weaknesses: dict[str, Weakness] = field(default_factory=dict)

    def find(self, recommendation_id: str, now: int) -> Weakness | None:
        """The recommendation with this id, as it is now."""
        weakness = self.weaknesses.get(recommendation_id.lower())
        if weakness is not None:
            self._settle(weakness, now)
        return weakness

    def all(self, now: int) -> list[Weakness]:
        """Every recommendation, as it is now."""
        for weakness in self.weaknesses.values():
            self._settle(weakness, now)
        return list(self.weaknesses.values())

    def fix(self, weakness: Weakness, machines: Collection[str], now: int) -> list[str]:
        """Let machines report that they are no longer exposed; returns those that were."""
        fixed = weakness.fix(machines)
        self._report(fixed, now)
        return fixed

    def expose(self, weakness: Weakness, machines: Iterable[str], now: int) -> list[str]:
        """Let machines report that they are exposed; returns those that were not before."""
        exposed = weakness.expose(machines)
        self._report(exposed, now)
        return exposed

    def counted(self, weakness: Weakness, now: int) -> list[str]:
        """The exposed machines that Microsoft counts: known, and seen within 30 days."""
        since, machines = moment_text(now - COUNTED_TICKS), self.machines
        return [key for key in weakness.exposed if key in machines and str(machines[key]["lastSeen"]) >= since]

    def _settle(self, weakness: Weakness, now: int) -> None:
        if due := weakness.due(now):
            self.fix(weakness, due, now)

    def _report(self, machines: Iterable[str], now: int) -> None:
        """A device tells of its software in the same report that moves its ``lastSeen``."""
        for machine in machines:
            if machine in self.machines:
                self.machines[machine]["lastSeen"] = moment_text(now)
