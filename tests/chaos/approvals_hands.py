"""The helping hands of the approval machine: who is there, how they act, and what only a superuser could do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from hypothesis.stateful import RuleBasedStateMachine
from uuid_utils.compat import uuid7

from connectors.protocol import ActionRequest, Receipt, RemoteState
from investigations.models import Device
from portal.access.actors import Actor, actor_for
from portal.access.exceptions import Refusal, SecondFactorNeeded
from portal.access.models import TenantMembership, User
from portal.audit import refusals
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.binding import fingerprint
from remediation.actions.models import RemediationAction
from remediation.safeguards import changes
from tests.chaos.approvals_model import Action, Answer, Glass, World

ROLES = {
    "ada": {"analyst"},
    "bob": {"approver"},
    "bea": {"approver"},
    "tess": {"tenant_admin"},
    "tom": {"tenant_admin"},
    "bix": {"break_glass"},
    "duo": {"approver", "break_glass"},
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "isolate_device": {"isolation_type": "Full"},
    "run_antivirus_scan": {"scan_type": "Quick"},
}
DEVICES = 2
MOST_ACTIONS = 12
REASON = "An emergency, as far as this test goes."


class Sent:
    """A vendor that accepts all it is sent, and remembers it."""

    def __init__(self) -> None:
        self.ids: list[UUID] = []

    def prepare(self, request: ActionRequest) -> None:
        """Nothing has to be known of what was before."""

    def send(self, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
        """Accept."""
        before_sending()
        self.ids.append(request.action_id)
        return Receipt(str(request.action_id), RemoteState.PENDING)


class Hands(RuleBasedStateMachine):
    """What the rules of the machine stand on: one tenant, its people and devices, and the world that judges."""

    users: dict[str, User]
    superuser: psycopg.Connection
    tenant: Tenant
    devices: list[Device]
    world: World
    ids: dict[Action, UUID]
    glass_ids: dict[int, UUID]
    sent: Sent

    def _pick(self, which: int) -> Action:
        """Aim at what can still change, but for one number in twelve."""
        waiting = [action for action in self.world.actions if action.state in ("pending_approval", "approved")]
        pool = waiting if waiting and which else self.world.actions
        return pool[which % len(pool)]

    def _may_answer(self, who: str, action: Action) -> bool:
        is_first = all(given.person != who for given in action.answers)
        return action.state == "pending_approval" and not action.has_lapsed and is_first

    def _actor(self, who: str, *, fresh: bool = True) -> Actor:
        actor = actor_for(User.objects.get(pk=self.users[who].pk), by_key=False, second_factor_at=datetime.now(UTC))
        return actor if fresh else replace(actor, second_factor_at=datetime.now(UTC) - timedelta(minutes=6))

    def _change(self, kind: str, details: dict[str, Any]) -> bool:
        """Have Tess ask for a guarded change and Tom confirm it; return whether it was made."""
        may_ask, may_confirm = (self.world.holds(name, {"tenant_admin"}) for name in ("tess", "tom"))
        with self._expecting(may_ask):
            asked = changes.ask_for_change(self.tenant.id, kind, details, actor=self._actor("tess"), reason=REASON)
        if not may_ask:
            return False
        with self._expecting(may_confirm):
            changes.confirm_change(asked.pk, actor=self._actor("tom"), reason=REASON)
        if not may_confirm:
            with self._expecting(True):
                changes.withdraw_change(asked.pk, actor=self._actor("tess"), reason=REASON)
        return may_confirm

    @contextmanager
    def _expecting(self, is_allowed: bool) -> Iterator[None]:
        """Run a service in a scope and transaction of its own; it must be refused exactly when the world says so."""
        try:
            with acting_for(self.tenant.id):
                yield
        except (Refusal, SecondFactorNeeded) as refusal:
            if is_allowed:
                raise AssertionError(f"refused, and was allowed: {refusal}") from refusal
        else:
            assert is_allowed, "allowed, and should have been refused"
        finally:
            refusals._noted.set(())

    def _update(self, action: Action, **columns: Any) -> None:
        with acting_for(self.tenant.id):
            RemediationAction.objects.filter(pk=self.ids[action]).update(**columns)

    def _pairs(self) -> list[tuple[str, str]]:
        return [(name, role) for name in sorted(ROLES) for role in sorted(ROLES[name])]

    def _membership(self, name: str, role: str) -> TenantMembership:
        return TenantMembership(tenant=self.tenant, user=self.users[name], role=role)

    def _restore_everybody(self) -> None:
        User.objects.filter(is_active=False).update(is_active=True)
        with acting_for(self.tenant.id):
            TenantMembership.objects.filter(tenant=self.tenant).delete()
            TenantMembership.objects.bulk_create(self._membership(*pair) for pair in self._pairs())
        self.world.roles = {name: set(roles) for name, roles in ROLES.items()}
        self.world.disabled = set()

    def _forge_answer(self, action: Action, who: str, answer: str, glass: Glass | None) -> None:
        self.superuser.execute(
            """
            INSERT INTO actions_decision
                (id, tenant_id, action_id, user_id, answer, reason, parameters_sha256, break_glass_id)
            SELECT %s, a.tenant_id, a.id, %s, %s, 'Forged', a.parameters_sha256, %s
            FROM actions_remediationaction a WHERE a.id = %s
            """,
            [uuid7(), self.users[who].pk, answer, self.glass_ids[id(glass)] if glass else None, self.ids[action]],
        )
        is_in_time = glass is not None and glass.is_open
        action.answers.append(Answer(who, answer, action.version, glass, is_in_time=is_in_time))

    def _edit(self, action: Action, *, fingerprint_too: bool) -> None:
        """As only a superuser of the database could, past triggers and walls."""
        edited = {**PARAMETERS.get(action.type, {}), "edit": uuid7().hex}
        columns = "parameters = %s"
        values: list[Any] = [json.dumps(edited)]
        if fingerprint_too:
            machine_id = self.devices[action.device].machine_id
            columns += ", parameters_sha256 = %s"
            values.append(fingerprint(self.tenant.id, action.type, machine_id, edited))
        statement = f"UPDATE actions_remediationaction SET {columns} WHERE id = %s"
        self.superuser.execute(statement, [*values, self.ids[action]])
        action.version += fingerprint_too
        action.is_broken = not fingerprint_too


def this_hour() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('hour', now(), 'UTC')")
        hour: datetime = cursor.fetchone()[0]
    return hour.astimezone(UTC)
