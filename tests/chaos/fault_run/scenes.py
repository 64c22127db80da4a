"""Runs that are about one thing: double clicks (R11), no broker (R6), a noisy tenant (R9)."""

import secrets
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

import httpx

from investigations.models import Device
from portal.access.keys import issue_key
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.chaos.fault_run.plan import Order, Plan
from tests.chaos.fault_run.run import House, wait_for_workers
from tests.chaos.fault_run.stage import Stage, machine_id, set_stage

AT_ONCE: Final = 50


class Caller:
    """An integration that asks for actions through the API with a key of its own."""

    def __init__(self, house: House, stage: Stage) -> None:
        account = User.objects.create_user("robot@chaos.example", is_service_account=True)
        for tenant in stage.tenants:
            with acting_for(tenant.id):
                TenantMembership.objects.create(tenant=tenant, user=account, role=Role.ANALYST)
        _key, text = issue_key(account, name="chaos", lifetime=timedelta(days=1))
        self._web = httpx.Client(
            base_url=house.premises.web_url,
            headers={"Authorization": f"Api-Key {text}", "X-Forwarded-Proto": "https"},
            trust_env=False,
            timeout=60,
            limits=httpx.Limits(max_connections=AT_ONCE),
        )

    def ask(self, tenant: Tenant, device: Device, key: str = "") -> httpx.Response:
        """Ask for the isolation of a device."""
        body = {
            "tenant": str(tenant.pk),
            "type": "isolate_device",
            "device": str(device.pk),
            "parameters": {"isolation_type": "Full"},
            "reason": "The fault run asks for it.",
        }
        return self._web.post("/api/v1/actions/", json=body, headers={"Idempotency-Key": key} if key else {})


def devices_of(tenant: Tenant, orders: list[Order]) -> list[Device]:
    """Return the devices of these orders, in their order."""
    with acting_for(tenant.id):
        found = {device.machine_id: device for device in Device.objects.filter(tenant=tenant)}
    return [found[machine_id(order)] for order in orders]


def double_click(house: House) -> None:
    """Ask for the same isolation fifty times at once, on one device without and on one with an Idempotency-Key."""
    orders = [Order(0, 0, place, "isolate_device", "unanswered") for place in range(2)]
    stage = set_stage(house.premises, Plan(0, tuple(orders), ()), tenants=1)
    house.fleet.start("web-1")
    wait_for_workers(house)
    caller = Caller(house, stage)
    tenant = stage.tenants[0]
    for device, key in zip(devices_of(tenant, orders), ("", secrets.token_hex(8)), strict=True):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda _n, d=device, k=key: caller.ask(tenant, d, k), range(AT_ONCE)))
        _judge_clicks(house, answers, "with a key" if key else "without a key")


def _judge_clicks(house: House, answers: list[httpx.Response], how: str) -> None:
    statuses = Counter(answer.status_code for answer in answers)
    ids = {answer.json()["id"] for answer in answers if answer.status_code in (200, 201)}
    house.history.note("figure", f"50 at once {how}", actions=len(ids), **{str(k): n for k, n in statuses.items()})
    if len(ids) != 1 or set(statuses) - {200, 201, 409}:
        words = f"50 requests at once {how} made {len(ids)} actions, answered {dict(statuses)}"
        house.history.note("run", "broken", kind="doubled", words=words)


def no_broker(house: House, *, seconds: float, tenants: int) -> None:
    """Take the broker away under load: the API must answer 2xx, and the dispatcher pick up what was ordered."""
    count = max(20, int(seconds * 2))
    orders = [Order(0, number % tenants, number // tenants, "isolate_device", "automatic") for number in range(count)]
    stage = set_stage(house.premises, Plan(0, tuple(orders), ()), tenants=tenants)
    house.fleet.start("worker-1", "worker-2", "beat-1", "web-1", "dispatch-1")
    wait_for_workers(house)
    caller = Caller(house, stage)
    devices = {
        number: device
        for number, tenant in enumerate(stage.tenants)
        for device in devices_of(tenant, [order for order in orders if order.tenant == number])[:1]
    }
    house.premises.servers.broker.stop()
    house.history.note("nemesis", "no broker", struck=True)
    statuses: Counter[int] = Counter()
    longest = 0.0
    began = time.monotonic()
    placing = _Placing(house, stage)
    for number, order in enumerate(orders):
        time.sleep(max(0.0, began + number * seconds / count - time.monotonic()))
        placing.place(order)
        if number % 5 == 0:
            asked = time.monotonic()
            answer = caller.ask(stage.tenants[order.tenant], devices[order.tenant])
            longest = max(longest, time.monotonic() - asked)
            statuses[answer.status_code] += 1
    limit = float(house.premises.timing["SWEEP_SECONDS"]) + 1
    time.sleep(limit)
    picked_up, slowest = _picked_up(house), _slowest_pick_up(house)
    house.premises.servers.broker.start()
    house.history.note("run", "calm")
    back = time.monotonic()
    while _picked_up(house) < count and time.monotonic() < back + 60:
        time.sleep(0.1)
    all_picked_up = round(time.monotonic() - back, 1)
    house.history.note(
        "figure", "without the broker", seconds=round(seconds), ordered=count, sent_meanwhile=picked_up,
        slowest_pick_up=slowest,
        all_sent_seconds_after_its_return=all_picked_up,
        api=dict(statuses), slowest_answer=round(longest, 2),
    )  # fmt: skip
    if picked_up < count or slowest > limit:
        words = f"{picked_up} of {count} were picked up while the broker was away, the slowest after {slowest} s"
        house.history.note("run", "broken", kind="slow", words=words)
    if any(status >= 300 for status in statuses):
        house.history.note("run", "broken", kind="refused", words=f"the API answered {dict(statuses)} without broker")


class _Placing:
    def __init__(self, house: House, stage: Stage) -> None:
        from tests.chaos.fault_run.work import Workload

        self._stage = stage
        self._workload = Workload(stage, house.history)

    def place(self, order: Order) -> None:
        """Order what runs by itself."""
        self._workload.place(self._stage.tenants[order.tenant], [order])


def _picked_up(house: House) -> int:
    with house.premises.servers.database.as_superuser() as connection:
        row: Any = connection.execute("SELECT count(*) FROM actions_remediationaction WHERE attempt > 0").fetchone()
    return int(row[0])


def _slowest_pick_up(house: House) -> float:
    """Return the longest time, in seconds, from an order to its being sent, by what the database saw."""
    query = """
        SELECT coalesce(max(extract(epoch FROM sent.at - ordered.at)), 0)
        FROM (SELECT action_id, min(at) AS at FROM witness.moves WHERE after = 'approved' GROUP BY 1) ordered
        JOIN (SELECT action_id, min(at) AS at FROM witness.moves WHERE after = 'sending' GROUP BY 1) sent
        USING (action_id)
    """
    with house.premises.servers.database.as_superuser() as connection:
        row: Any = connection.execute(query).fetchone()
    return round(float(row[0]), 2)


def noisy_tenant(house: House, *, backlog: int, seconds: float) -> None:
    """One tenant has thousands waiting and is throttled; another one's single actions go at once all the same."""
    probes = max(3, int(seconds / 4))
    loud = [Order(0, 0, place, "isolate_device", "automatic") for place in range(backlog)]
    quiet = [Order(0, 1, place, "isolate_device", "automatic") for place in range(probes)]
    stage = set_stage(house.premises, Plan(0, (*loud, *quiet), ()), tenants=2)
    stage.simulator.seed(stage.tenants[0].entra_tenant_id, {"enforce_quotas": True})
    placing = _Placing(house, stage)
    placing._workload.place(stage.tenants[0], loud)
    house.fleet.start("worker-1", "worker-2", "beat-1")
    wait_for_workers(house)
    waits = []
    for order in quiet:
        time.sleep(seconds / probes)
        began = time.monotonic()
        [action] = placing._workload.place(stage.tenants[1], [order])
        while str(action.pk) not in stage.simulator.log_text() and time.monotonic() < began + 30:
            time.sleep(0.02)
        waits.append(round(time.monotonic() - began, 2))
    house.fleet.kill("beat-1")
    for name in house.fleet.names("worker"):
        house.fleet.kill(name)
    entries = stage.simulator.log_entries(str(stage.tenants[0].entra_tenant_id))
    refused = sum(entry["status"] == 429 for entry in entries)
    house.history.note(
        "figure", "beside a noisy tenant", waits=waits, slowest=max(waits), backlog=backlog,
        calls_of_the_noisy=len(entries), refused_429=refused, seconds=round(seconds),
    )  # fmt: skip
    if max(waits) > 2:
        house.history.note("run", "broken", kind="slow", words=f"the other tenant waited {max(waits)} s")
