"""Breaks things as planned, notes what it broke and what was under way there, and mends what must be whole again."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import psycopg
import redis

from tests.chaos.fault_run.fleet import Fleet, signal_lane
from tests.chaos.fault_run.history import History
from tests.chaos.fault_run.plan import Order, Strike
from tests.chaos.fault_run.servers import Servers
from tests.chaos.fault_run.stage import Stage, machine_id

TROUBLE: Final = (psycopg.Error, redis.RedisError, httpx.HTTPError, OSError)
AIMED: Final = 0.7
"""The part of the strikes at workers that is aimed at one in the middle of a call."""

HELD = """
SELECT substring(owner from '[0-9]+$')::int, array_agg(id::text)
FROM actions_remediationaction WHERE state = 'sending' AND owner <> '' GROUP BY 1
"""
STRANGERS_BODY: Final = {"Comment": "By the customer's own people", "ExternalId": "not-quells", "IsolationType": "Full"}


class Nemesis:
    """Strikes one run."""

    def __init__(self, fleet: Fleet, servers: Servers, stage: Stage, history: History, seed: int) -> None:
        self._fleet = fleet
        self._servers = servers
        self._stage = stage
        self._history = history
        self._generator = random.Random(f"nemesis {seed}")
        self._stopped: set[int] = set()
        self._one_server = threading.Lock()
        self._one_beat = threading.Lock()
        self._orders: list[Order] = []
        self._started = 0.0

    def run(self, strikes: Iterable[Strike], orders: Iterable[Order], started: float, ends_at: float) -> None:
        """Strike as planned. What is late when the time is up is left out: a slow machine sees fewer strikes."""
        self._orders, self._started = list(orders), started
        with ThreadPoolExecutor(max_workers=12) as pool:
            for strike in strikes:
                time.sleep(max(0.0, started + strike.at - time.monotonic()))
                if time.monotonic() > ends_at:
                    break
                pool.submit(self.strike, strike)

    def strike(self, strike: Strike) -> None:
        """Carry one strike out, and note it."""
        blow: Callable[..., dict[str, Any] | None] = getattr(self, f"_{strike.kind}")
        with self._history.noting("nemesis", strike.kind, TROUBLE, **strike.details) as result:
            done = blow(**strike.details)
            result["struck"] = done is not None
            result.update(done or {})

    # --- Workers ---

    def _kill_lane(self) -> dict[str, Any] | None:
        pid, held = self._aim()
        if pid is None or not signal_lane(pid, signal.SIGKILL):
            return None
        return {"pid": pid, "held": held}

    def _pause_lane(self, seconds: float) -> dict[str, Any] | None:
        pid, held = self._aim()
        lanes = self._fleet.all_lanes()
        if pid is None or len(self._stopped & set(lanes)) >= len(lanes) / 2 or not signal_lane(pid, signal.SIGSTOP):
            return None
        self._stopped.add(pid)
        time.sleep(seconds)
        self._stopped.discard(pid)
        signal_lane(pid, signal.SIGCONT)
        return {"pid": pid, "held": held}

    def _kill_worker(self) -> dict[str, Any] | None:
        names = [name for name in self._fleet.names("worker") if self._fleet.lanes(name)]
        if len(names) < 2:
            return None  # one is still starting: with none left nothing would be under way to be hurt
        name = self._generator.choice(names)
        held = [action for pid in self._fleet.lanes(name) for action in self._held().get(pid, [])]
        self._fleet.kill(name)
        self._fleet.start(name)
        return {"name": name, "held": held}

    def _roll_workers(self) -> dict[str, Any]:
        names = self._fleet.names("worker")
        for name in names:
            self._fleet.terminate(name)
            self._fleet.start(name)
            _wait(lambda name=name: self._fleet.is_ready(name), 30)  # type: ignore[misc]
        return {"names": names}

    def _aim(self) -> tuple[int | None, list[str]]:
        """Choose a worker's child, mostly one that is in the middle of a call; tell which actions it holds."""
        lanes = [pid for pid in self._fleet.all_lanes() if pid not in self._stopped]
        held = self._held()
        busy = [pid for pid in lanes if pid in held]
        choice = busy if busy and self._generator.random() < AIMED else lanes
        if not choice:
            return None, []
        pid = self._generator.choice(choice)
        return pid, held.get(pid, [])

    def _held(self) -> dict[int, list[str]]:
        try:
            with self._servers.database.as_superuser() as connection:
                return dict(connection.execute(HELD).fetchall())
        except psycopg.OperationalError:
            return {}

    # --- Beat ---

    def _beat_off(self, seconds: float) -> dict[str, Any]:
        with self._one_beat:
            names = self._fleet.names("beat")
            for name in names:
                self._fleet.kill(name)
            time.sleep(seconds)
            self._fleet.start(*names)
        return {"names": names}

    def _beat_thrice(self, seconds: float) -> dict[str, Any]:
        with self._one_beat:
            self._fleet.start("beat-2", "beat-3")
            time.sleep(seconds)
            self._fleet.kill("beat-2")
            self._fleet.kill("beat-3")
        return {}

    # --- Servers ---

    def _kill_broker(self, seconds: float) -> dict[str, Any]:
        return self._without_broker(self._servers.broker.kill, seconds)

    def _stop_broker(self, seconds: float) -> dict[str, Any]:
        return self._without_broker(self._servers.broker.stop, seconds)

    def _without_broker(self, end: Callable[[], None], seconds: float) -> dict[str, Any]:
        with self._one_server:
            end()
            time.sleep(seconds)
            self._servers.broker.start()
        return {}

    def _flush_broker(self) -> dict[str, Any]:
        self._servers.broker.flush()
        return {}

    def _restart_database(self, seconds: float) -> dict[str, Any]:
        with self._one_server:
            held = [action for actions in self._held().values() for action in actions]
            self._servers.database.stop_at_once()
            time.sleep(seconds)
            self._servers.database.start()
        return {"held": held}

    def _cut_connections(self, most: int) -> dict[str, Any]:
        return {"cut": self._servers.database.cut(self._generator, most)}

    # --- The other side ---

    def _expire_tokens(self) -> dict[str, Any]:
        tenant = self._generator.choice(self._stage.tenants)
        self._stage.simulator.add_fault(kind="expire_tokens", tenant=str(tenant.entra_tenant_id), count=3)
        return {"tenant": str(tenant.pk)}

    def _throttle_silently(self) -> dict[str, Any]:
        """429 without Retry-After, once."""
        self._stage.simulator.add_fault(kind="throttle", count=1)
        return {}

    def _interfere(self) -> dict[str, Any] | None:
        """Isolate a device that Quell is about to isolate, as the customer's own people may."""
        soon = time.monotonic() - self._started + 0.2
        coming = [order for order in self._orders if order.type == "isolate_device" and order.at > soon]
        if not coming:
            return None
        order = coming[0]
        tenant = self._stage.tenants[order.tenant]
        self._stage.simulator.seed(tenant.entra_tenant_id, {"action_seconds": 4})
        try:
            status = self._stage.simulator.act_as_stranger(
                tenant.entra_tenant_id, machine_id(order), "isolate", STRANGERS_BODY
            )
        finally:
            self._stage.simulator.seed(tenant.entra_tenant_id, {"action_seconds": None})
        return {"machine": machine_id(order), "status": status}


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends_at:
        time.sleep(0.1)
