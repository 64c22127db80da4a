"""A machine that does anything people can do about approvals, in any order, against the real services and PostgreSQL.

After every claim it asks a world of its own (`approvals_model`), which knows only what happened, whether the action was
allowed to go at that instant; and where nothing was claimed, whether something should have been.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
from django.db import connection
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from uuid_utils.compat import uuid7

from portal.access.models import TenantMembership, User
from portal.audit.recording import SYSTEM
from portal.embedded.servers import join_postgres
from portal.tenancy.scope import acting_for
from remediation.actions import services
from remediation.actions.execution import send, tidy
from remediation.actions.states import State
from remediation.actions.transitions import claim, lock, move
from remediation.catalogue import WIRED
from remediation.safeguards import break_glass, freezes, protection
from remediation.safeguards.models import BreakGlass, Freeze
from tests.chaos.approvals_hands import DEVICES, MOST_ACTIONS, PARAMETERS, REASON, ROLES, Hands, Sent, this_hour
from tests.chaos.approvals_model import (
    DEFAULTS,
    DESTRUCTIVE,
    MAY_DECIDE,
    MAY_REQUEST,
    OPEN,
    Action,
    Answer,
    Glass,
    World,
)
from tests.conftest import make_tenant
from tests.factories import make_device

person = st.sampled_from(sorted(ROLES))
decider = st.sampled_from(["bob", "bea", "tess", "duo"])
type_name = st.sampled_from(sorted(DEFAULTS))
device = st.integers(0, DEVICES - 1)
number = st.integers(0, MOST_ACTIONS - 1)
policies = st.sampled_from([("rule", 1), ("rule", 2), ("rule", 3), ("cap", 0), ("cap", 1), ("cap", 50)])
forgeries = st.sampled_from(["", "", "approve", "approve", "reject"])
is_fresh = st.sampled_from([True, True, True, False])

has_actions = precondition(lambda self: bool(self.world.actions))


STATES = """
SELECT a.id, a.state, (SELECT e.data ->> 'after' FROM audit_auditevent e
    WHERE e.tenant_id = a.tenant_id AND e.object_id = a.id AND e.data ? 'after' ORDER BY e.seq DESC LIMIT 1)
FROM actions_remediationaction a WHERE a.tenant_id = %s
"""
USED = "SELECT action_type, hour, used FROM safeguards_hourlyuse WHERE tenant_id = %s AND used > 0"


class ApprovalMachine(Hands):
    """One tenant per example, with the people of `ROLES` and two devices."""

    steps = 0
    claims = 0

    @initialize()
    def begin(self) -> None:
        self.world = World({name: set(roles) for name, roles in ROLES.items()})
        self.ids = {}
        self.glass_ids = {}
        self.sent = Sent()
        User.objects.filter(is_active=False).update(is_active=True)
        self.tenant = make_tenant(f"chaos-{uuid7().hex}")
        self.devices = [make_device(self.tenant, f"pc-{at}") for at in range(DEVICES)]
        with acting_for(self.tenant.id):
            TenantMembership.objects.bulk_create(self._membership(*pair) for pair in self._pairs())
        for who, what, where in (
            ("ada", "isolate_device", 0),
            ("bob", "isolate_device", 1),
            ("ada", "offboard_device", 0),
        ):
            self._request(who, what, where)

    # --- What people do ---

    @precondition(lambda self: len(self.world.actions) < MOST_ACTIONS)
    @rule(who=person, what=type_name, where=device)
    def request(self, who: str, what: str, where: int) -> None:
        self._request(who, what, where)

    def _request(self, who: str, what: str, where: int) -> None:
        may = self.world.holds(who, MAY_REQUEST if DEFAULTS[what] else MAY_DECIDE)
        with self._expecting(may):
            found, is_new = services.request_action(
                tenant_id=self.tenant.id,
                type_name=what,
                device=self.devices[where],
                parameters=PARAMETERS.get(what, {}),
                reason=REASON,
                actor=self._actor(who),
            )
        if not may:
            return
        known = [
            action
            for action in self.world.actions
            if (action.type, action.device, action.version) == (what, where, 0) and action.state in OPEN
        ]
        assert is_new == (not known)
        if is_new:
            asked = found.required_approvals
            action = Action(what, where, who, asked, len(self.world.actions), found.state)
            least = self.world.rules.get(what, DEFAULTS[what])
            assert asked >= (max(least, 2) if self.world.is_shielded(action) else least)
            assert (action.state == "approved") == (asked == 0)
            self.world.actions.append(action)
            self.ids[action] = found.pk

    @has_actions
    @rule(who=person, which=number, fresh=is_fresh, at_once=st.booleans())
    def approve(self, who: str, which: int, fresh: bool, at_once: bool) -> None:
        self._approve(who, self._pick(which), fresh)
        if at_once:
            self._claim_one()

    @has_actions
    @rule(who=decider, other=decider, which=number, at_once=st.booleans())
    def approve_by_two(self, who: str, other: str, which: int, at_once: bool) -> None:
        for each in (who, other):
            self._approve(each, self._pick(which), True)
        if at_once:
            self._claim_one()

    def _approve(self, who: str, action: Action, fresh: bool) -> None:
        may = (
            self._may_answer(who, action)
            and who != action.requester
            and self.world.holds(who, MAY_DECIDE)
            and (fresh or action.type not in DESTRUCTIVE)
            and not action.is_broken
        )
        with self._expecting(may):
            services.approve_action(self.ids[action], actor=self._actor(who, fresh=fresh), reason=REASON)
        if may:
            action.answers.append(Answer(who, "approve", action.version))
            if self.world.is_approved(action):
                action.state = "approved"

    @has_actions
    @rule(who=st.sampled_from(["bix", "duo", "bob"]), which=number, fresh=is_fresh, at_once=st.booleans())
    def approve_alone(self, who: str, which: int, fresh: bool, at_once: bool) -> None:
        action, glass = self._pick(which), self.world.open_glass(who)
        may = (
            self._may_answer(who, action)
            and self.world.holds(who, {"break_glass"})
            and glass is not None
            and fresh
            and not action.is_broken
            and not self.world.is_shielded(action)
        )
        with self._expecting(may):
            services.approve_in_emergency(self.ids[action], actor=self._actor(who, fresh=fresh), reason=REASON)
        if may:
            action.answers.append(Answer(who, "approve", action.version, glass))
            action.state = "approved"
        if at_once:
            self._claim_one()

    @has_actions
    @rule(who=person, which=number, rejecting=st.booleans())
    def stop(self, who: str, which: int, rejecting: bool) -> None:
        (self._reject if rejecting else self._cancel)(who, self._pick(which))

    def _reject(self, who: str, action: Action) -> None:
        may = self._may_answer(who, action) and who != action.requester and self.world.holds(who, MAY_DECIDE)
        with self._expecting(may):
            services.reject_action(self.ids[action], actor=self._actor(who, fresh=False), reason=REASON)
        if may:
            action.answers.append(Answer(who, "reject", action.version))
            action.state = "rejected"

    def _cancel(self, who: str, action: Action) -> None:
        is_theirs = who == action.requester or self.world.holds(who, MAY_DECIDE)
        may = is_theirs and action.state in ("pending_approval", "approved")
        with self._expecting(may):
            services.cancel_action(self.ids[action], actor=self._actor(who, fresh=False), reason=REASON)
        if may:
            action.state = "cancelled"

    # --- What happens to people, actions and safeguards ---

    @rule(
        who=person, what=st.sampled_from(["revoke", "disable", "restore", "restore", "restore"]), at_once=st.booleans()
    )
    def change_people(self, who: str, what: str, at_once: bool) -> None:
        if what == "restore":
            self._restore_everybody()
        elif what == "disable":
            User.objects.filter(pk=self.users[who].pk).update(is_active=False)
            self.world.disabled.add(who)
        else:
            with acting_for(self.tenant.id):
                TenantMembership.objects.filter(user=self.users[who]).delete()
            self.world.roles[who] = set()
        if at_once:
            self._claim_one()

    @has_actions
    @rule(which=number, how=st.sampled_from(["edit", "edit and sign", "lapse"]))
    def spoil(self, which: int, how: str) -> None:
        action = self._pick(which)
        if action.state not in ("pending_approval", "approved"):
            return
        if how == "lapse":
            self._lapse(action)
        else:
            self._edit(action, fingerprint_too=how == "edit and sign")

    @has_actions
    @rule(who=person, which=number, answer=forgeries, alone=st.booleans(), at_once=st.booleans())
    def forge(self, who: str, which: int, answer: str, alone: bool, at_once: bool) -> None:
        """Write an answer, or the state itself, as only a superuser of the database could."""
        action = self._pick(which)
        if action.state not in ("pending_approval", "approved"):
            return
        if answer and all(given.person != who for given in action.answers):
            self._forge_answer(action, who, answer, self.world.glasses[-1] if alone and self.world.glasses else None)
        elif not answer and action.state == "pending_approval":
            statement = "UPDATE actions_remediationaction SET state = 'approved', execute_before = %s WHERE id = %s"
            self.superuser.execute(statement, [datetime.now(UTC) + timedelta(hours=1), self.ids[action]])
            action.state, action.is_forged, action.has_lapsed = "approved", True, False
        if at_once:
            self._claim_one()

    def _lapse(self, action: Action) -> None:
        column = "approve_before" if action.state == "pending_approval" else "execute_before"
        self._update(action, **{column: Now() - timedelta(seconds=1)})
        action.has_lapsed = True

    @rule()
    def sweep(self) -> None:
        tidy(self.tenant.id)
        for action in self.world.actions:
            if action.has_lapsed and action.state in ("pending_approval", "approved"):
                action.state = "expired"

    @rule(what=st.sampled_from(["", *sorted(DEFAULTS)]))
    def freeze_or_lift(self, what: str) -> None:
        if self.world.freezes:
            with acting_for(self.tenant.id):
                standing = list(Freeze.objects.filter(lifted_at=None))
            for row in standing:
                freezes.lift(self.tenant.id, row.pk, by=SYSTEM)
            self.world.freezes.clear()
        else:
            freezes.stop_sending(self.tenant.id, by=SYSTEM, reason=REASON, action_type=what)
            self.world.freezes.add(what)

    @rule(what=st.sampled_from(["isolate_device", "offboard_device", "run_antivirus_scan"]), number=policies)
    def set_policy(self, what: str, number: tuple[str, int]) -> None:
        kind, count = number
        if kind == "rule":
            if self._change("set_approval_rule", {"action_type": what, "approvers": count}):
                self.world.rules[what] = count
        elif self._change("set_hourly_cap", {"action_type": what, "cap": count}):
            self.world.caps[what] = count

    @rule(where=device)
    def protect_or_not(self, where: int) -> None:
        if where in self.world.protected:
            if self._change("unprotect_device", {"device": str(self.devices[where].pk)}):
                self.world.protected.discard(where)
            return
        may = self.world.holds("tess", {"tenant_admin"})
        with self._expecting(may):
            protection.protect(self.devices[where], actor=self._actor("tess"), reason=REASON)
        if may:
            self.world.protected.add(where)

    @rule(who=st.sampled_from(["bix", "duo", "bob"]), fresh=is_fresh)
    def open_glass(self, who: str, fresh: bool) -> None:
        waiting = [glass for glass in self.world.glasses if not glass.is_reviewed]
        blocked = any(glass.person == who or glass.is_overdue for glass in waiting)
        may = self.world.holds(who, {"break_glass"}) and fresh and not blocked
        with self._expecting(may):
            opened = break_glass.open_break_glass(self.tenant.id, actor=self._actor(who, fresh=fresh), reason=REASON)
        if may:
            self.world.glasses.append(Glass(who))
            self.glass_ids[id(self.world.glasses[-1])] = opened.pk

    @precondition(lambda self: any(not glass.is_reviewed for glass in self.world.glasses))
    @rule(what=st.sampled_from(["end", "end and forget", "review", "review"]), who=st.sampled_from(["tess", "bob"]))
    def close_glass(self, what: str, who: str) -> None:
        if what == "review":
            self._review(who)
        elif any(glass.is_open for glass in self.world.glasses):
            self._end_glasses(is_overdue=what == "end and forget")

    def _end_glasses(self, *, is_overdue: bool) -> None:
        with acting_for(self.tenant.id):
            BreakGlass.objects.filter(ends_at__gt=Now()).update(ends_at=Now())
            if is_overdue:
                BreakGlass.objects.filter(reviewed_at=None).update(review_before=Now() - timedelta(seconds=1))
        for glass in self.world.glasses:
            glass.is_open = False
            glass.is_overdue = glass.is_overdue or (is_overdue and not glass.is_reviewed)

    def _review(self, who: str) -> None:
        may = self.world.holds(who, {"tenant_admin"})
        with acting_for(self.tenant.id):
            row = BreakGlass.objects.filter(reviewed_at=None).order_by("id").first()
        assert row is not None
        with self._expecting(may):
            break_glass.review_break_glass(row.pk, actor=self._actor(who, fresh=False), words=REASON)
        if may:
            found = next(glass for glass in self.world.glasses if not glass.is_reviewed)
            found.is_reviewed, found.is_open = True, False

    # --- Sending ---

    @has_actions
    @rule(times=st.integers(1, 3))
    def work(self, times: int) -> None:
        """Claim and send as a worker does; then the world is asked whether that was right."""
        for _time in range(times):
            if not self._claim_one():
                return

    def _claim_one(self) -> bool:
        before = this_hour()
        claimed = claim(self.tenant.id, owner="chaos", types=WIRED)
        if claimed is None:
            if this_hour() == before:
                assert [vars(action) for action in self.world.actions if self.world.may_go(action, before)] == []
            return False
        type(self).claims += 1
        action = next(action for action, key in self.ids.items() if key == claimed.action_id)
        hour = claimed.sent_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        assert self.world.may_go(action, hour), f"claimed without leave: {action} in {self.world}"
        if action.type in DESTRUCTIVE or action.type in self.world.caps:
            self.world.used[action.type, hour] = self.world.used.get((action.type, hour), 0) + 1
        send(claimed, self.sent)  # type: ignore[arg-type]  # a connector as far as sending goes
        action.state = "failed" if action.is_broken else "accepted"
        assert (claimed.action_id in self.sent.ids) == (not action.is_broken)
        return True

    @precondition(lambda self: any(action.state == "accepted" for action in self.world.actions))
    @rule()
    def finish(self) -> None:
        for action in self.world.actions:
            if action.state == "accepted":
                with acting_for(self.tenant.id):
                    move(lock(self.ids[action]), State.SUCCEEDED, actor=SYSTEM)
                action.state = "succeeded"

    # --- What always holds ---

    @invariant()
    def every_state_is_on_record_and_no_hour_counts_more_than_was_sent(self) -> None:
        type(self).steps += 1
        if not self.ids:
            return
        with acting_for(self.tenant.id), connection.cursor() as cursor:
            cursor.execute(STATES, [self.tenant.id])
            states = {key: (state, recorded) for key, state, recorded in cursor.fetchall()}
            cursor.execute(USED, [self.tenant.id])
            used = {(name, hour): count for name, hour, count in cursor.fetchall()}
        for action, key in self.ids.items():
            state, recorded = states[key]
            assert state == action.state
            action.is_forged = action.is_forged and recorded != state
            assert recorded == state or action.is_forged
        assert used == self.world.used


@contextmanager
def set_stage() -> Iterator[None]:
    """Make the people, and open the superuser's connection that edits go by."""
    users = {name: User(email=f"{name}@chaos.example") for name in ROLES}
    User.objects.bulk_create(users.values())
    url = join_postgres().url("postgres", str(connection.settings_dict["NAME"]))
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        ApprovalMachine.users, ApprovalMachine.superuser = users, superuser
        ApprovalMachine.steps = ApprovalMachine.claims = 0
        yield
