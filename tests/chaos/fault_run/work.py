"""The people and the automation of a run: they ask for actions as planned, approve, reject, or never answer.

Whatever the database does to them, each keeps trying until it knows: an answer that never came is noted as info.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from django.db import InterfaceError, OperationalError, connection

from investigations.models import Device
from portal.access.actors import Actor, actor_for
from portal.access.exceptions import Conflict
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services
from remediation.actions.exceptions import IllegalMove
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source
from tests.chaos.fault_run.history import History
from tests.chaos.fault_run.plan import TWO_APPROVE, Order
from tests.chaos.fault_run.stage import Stage, machine_id, message_id, recipient

DATABASE_TROUBLE: Final = (OperationalError, InterfaceError)
TICK_SECONDS: Final = 0.5
REASON: Final = "The fault run asks for it."
TRY_SECONDS: Final = 120.0

_PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "isolate_device": {"isolation_type": "Full"},
    "run_antivirus_scan": {"scan_type": "Quick"},
    "stop_and_quarantine_file": {"sha1": "a" * 40},
    "delete_file": {"path": "C:\\Temp\\bad.exe"},
}


class Workload:
    """Everything that is asked for in one run."""

    def __init__(self, stage: Stage, history: History) -> None:
        self._stage = stage
        self._history = history

    def run(self, orders: Iterable[Order], started: float, ends_at: float) -> None:
        """Place every order at its time (by the monotonic clock) and return when all are answered.

        What is late when the time is up is left out: a slow machine has less to do.
        """
        by_tick: dict[tuple[int, int], list[Order]] = defaultdict(list)
        for order in orders:
            by_tick[int(order.at / TICK_SECONDS), order.tenant].append(order)
        with ThreadPoolExecutor(max_workers=4) as pool:
            for (tick, tenant), together in sorted(by_tick.items()):
                time.sleep(max(0.0, started + tick * TICK_SECONDS - time.monotonic()))
                pool.submit(self._place_and_close, self._stage.tenants[tenant], together, ends_at)

    def _place_and_close(self, tenant: Tenant, orders: list[Order], ends_at: float) -> None:
        try:
            if time.monotonic() < ends_at:
                self.place(tenant, orders)
        finally:
            connection.close()

    def place(self, tenant: Tenant, orders: list[Order]) -> list[RemediationAction]:
        """Ask for these actions in one transaction, then have people answer about those that need it."""
        ids = self._until_known("propose", lambda: self._propose(tenant, orders))
        by_digest = {action.parameters_sha256: action for action in ids}
        placed = [by_digest[self._proposal(tenant, order, None).sha256] for order in orders]
        for order, action in zip(orders, placed, strict=True):
            if order.way in ("approved", "rejected"):
                self._answer(tenant, order, action)
        return placed

    def _propose(self, tenant: Tenant, orders: list[Order]) -> dict[str, Any]:
        with acting_for(tenant.id):
            devices = {
                device.machine_id: device
                for device in Device.objects.filter(machine_id__in=[machine_id(order) for order in orders])
            }
            wanted = [self._proposal(tenant, order, devices.get(machine_id(order))) for order in orders]
            actions, _born = propose(tenant.id, wanted, actor=SYSTEM)
        return {"actions": list(actions.values())}

    def _proposal(self, tenant: Tenant, order: Order, device: Device | None) -> Proposal:
        is_automatic = order.way == "automatic"
        parameters = _PARAMETERS.get(order.type, {})
        if order.is_mail:
            parameters = {"messages": [{"network_message_id": message_id(order), "recipient": recipient(order)}]}
            device = None
        elif device is None:
            device = Device(tenant=tenant, machine_id=machine_id(order))
        return Proposal(
            tenant_id=tenant.id,
            type=order.type,
            source=Source.AUTOMATED_EMAIL if order.is_mail else Source.AUTOMATED_DEVICE,
            target=f"{order.tenant}/{order.place}",
            parameters=parameters,
            reason=REASON,
            is_approved=is_automatic,
            device=device,
            requested_by_id=None if is_automatic else self._stage.people["ada"].pk,
        )

    def _answer(self, tenant: Tenant, order: Order, action: RemediationAction) -> None:
        verb = services.approve_action if order.way == "approved" else services.reject_action
        names = ("bob", "bea")[: 2 if order.type in TWO_APPROVE and order.way == "approved" else 1]
        for name in names:
            self._until_known("answer", lambda name=name: self._decide(verb, tenant, action, name))  # type: ignore[misc]

    def _decide(self, verb: Callable[..., Any], tenant: Tenant, action: RemediationAction, name: str) -> dict[str, Any]:
        with acting_for(tenant.id):
            verb(action.pk, actor=self._actor(name), reason=REASON)
        return {"action": str(action.pk), "by": name}

    def _actor(self, name: str) -> Actor:
        return actor_for(self._stage.people[name], by_key=False, second_factor_at=datetime.now(UTC))

    def _until_known(self, what: str, operation: Callable[[], dict[str, Any]]) -> list[RemediationAction]:
        """Repeat an operation until the database has answered; saying the same twice is refused, and is an answer."""
        ends_at = time.monotonic() + TRY_SECONDS
        while time.monotonic() < ends_at:
            with self._history.noting("work", what, DATABASE_TROUBLE) as result:
                try:
                    found = operation()
                except (Conflict, IllegalMove) as refusal:
                    found = {"refused": str(refusal)}
                actions: list[RemediationAction] = found.pop("actions", [])
                result.update(found, ids=[str(action.pk) for action in actions])
            if "error" not in result:
                return actions
            connection.close()
            time.sleep(0.3)
        raise TimeoutError(f"{what} was never answered")
