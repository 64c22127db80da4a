"""The rules of an exception's life: two people, the term, and global ones that suspend those by group."""

import random
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from portal.access.exceptions import BadRequest, Conflict, Forbidden, SecondFactorNeeded
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities import tasks
from remediation.vulnerabilities.exceptions.cancelling import cancel, cancel_group
from remediation.vulnerabilities.exceptions.deciding import approve, reject
from remediation.vulnerabilities.exceptions.ending import end_due
from remediation.vulnerabilities.exceptions.requesting import Reach, last_day, request_exception
from remediation.vulnerabilities.exceptions.transitions import IllegalMove, move
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.states import EXCEPTION_MOVES, ExceptionState, Justification
from tests.conftest import make_member
from tests.factories import default_group
from tests.remediation.vulnerabilities.exceptions.conftest import CVE, Ask, Estate, actor, decide

pytestmark = pytest.mark.django_db

State = ExceptionState
ACTIVE, PARTIAL, FULL = "active", "partial_exception", "full_exception"


def test_nothing_is_in_effect_before_a_second_person_says_so(
    estate: Estate, ask: Ask, ada: User, bob: User, tess: User
) -> None:
    exception = ask(estate.servers)
    assert (estate.state(exception), estate.left()) == (State.REQUESTED, (ACTIVE, 3))
    done = decide(estate.tenant, approve, exception.pk, bob)
    assert (done.state, done.decided_by_id, estate.left()) == (State.IN_EFFECT, bob.pk, (PARTIAL, 1))
    with acting_for(estate.tenant.id):
        told = AuditEvent.objects.filter(object_id=exception.pk).order_by("seq")
        assert [(event.verb, event.actor_id) for event in told] == [
            ("exception.requested", ada.pk),
            ("exception.in_effect", bob.pk),
        ]


def test_the_requester_never_decides_and_a_global_one_takes_a_tenant_admin(
    estate: Estate, ask: Ask, ada: User, bob: User, tess: User
) -> None:
    own = ask(by=tess)
    for verb in (approve, reject):
        with pytest.raises(Forbidden, match="somebody else"):
            decide(estate.tenant, verb, own.pk, tess)
        with pytest.raises(Forbidden, match="whole tenant"):
            decide(estate.tenant, verb, own.pk, bob)
    by_group = ask(estate.servers, by=bob)
    with pytest.raises(Forbidden):
        decide(estate.tenant, approve, by_group.pk, ada)
    assert {estate.state(own), estate.state(by_group)} == {State.REQUESTED}


def test_hiding_something_from_a_whole_tenant_takes_a_fresh_second_factor(estate: Estate, ask: Ask, tess: User) -> None:
    everywhere, by_group, unwanted = ask(), ask(estate.servers), ask(subject=estate.cve())
    stale = replace(actor(tess), second_factor_at=timezone.now() - timedelta(minutes=6))
    with acting_for(estate.tenant.id):
        with pytest.raises(SecondFactorNeeded):
            approve(everywhere.pk, actor=stale, reason="Seen.")
        approve(by_group.pk, actor=stale, reason="Seen.")
        reject(unwanted.pk, actor=stale, reason="Seen.")
    states = [estate.state(row) for row in (everywhere, by_group, unwanted)]
    assert states == [State.REQUESTED, State.IN_EFFECT, State.REJECTED]
    decide(estate.tenant, approve, everywhere.pk, tess)
    with acting_for(estate.tenant.id):
        assert cancel(everywhere.pk, actor=stale, reason="Seen.").state == State.CANCELLED


def test_the_database_itself_takes_two_people(estate: Estate, ask: Ask, ada: User) -> None:
    exception = ask(estate.servers)
    for values in ({}, {"decided_by": ada, "decided_at": timezone.now()}):
        with pytest.raises(IntegrityError, match="two_people"), transaction.atomic():
            estate.age(exception, state=State.IN_EFFECT, **values)


def test_who_asked_must_still_have_the_right(estate: Estate, ask: Ask, ada: User, bob: User) -> None:
    exception = ask(estate.servers)
    with acting_for(estate.tenant.id):
        TenantMembership.objects.filter(user=ada).update(role=Role.READER)
    with pytest.raises(Conflict, match="may no longer"):
        decide(estate.tenant, approve, exception.pk, bob)
    assert decide(estate.tenant, reject, exception.pk, bob).state == State.REJECTED


def test_a_global_one_suspends_existing_and_new_ones_by_group_until_it_ends(
    estate: Estate, ask: Ask, grant: Ask, tess: User
) -> None:
    existing = grant(estate.servers, days=60)
    everywhere = grant()
    new = grant(estate.laptops, days=60)
    assert new.state == State.SUSPENDED, "never in effect, not for a moment"
    other_thing = grant(estate.servers, subject=estate.cve())
    assert [estate.state(row) for row in (existing, new, other_thing)] == [
        State.SUSPENDED,
        State.SUSPENDED,
        State.IN_EFFECT,
    ]
    days_of_groups = existing.expires_on
    decide(estate.tenant, cancel, everywhere.pk, tess)
    assert [estate.state(row) for row in (existing, new)] == [State.IN_EFFECT] * 2
    with acting_for(estate.tenant.id):
        assert RecommendationException.objects.get(pk=existing.pk).expires_on == days_of_groups


def test_when_a_global_one_expires_only_terms_that_are_not_over_go_on(estate: Estate, grant: Ask) -> None:
    short, long, everywhere = grant(estate.servers), grant(estate.laptops), grant()
    yesterday = estate.today() - timedelta(days=1)
    for over in (short, everywhere):
        estate.age(over, expires_on=yesterday)
    end_due(estate.tenant.id)
    assert [estate.state(row) for row in (short, long, everywhere)] == [State.EXPIRED, State.IN_EFFECT, State.EXPIRED]
    assert estate.left() == (PARTIAL, 2)


def test_a_term_that_is_over_does_not_go_on_when_the_global_one_is_cancelled(
    estate: Estate, grant: Ask, tess: User
) -> None:
    short, everywhere = grant(estate.servers), grant()
    estate.age(short, expires_on=estate.today() - timedelta(days=1))
    decide(estate.tenant, cancel, everywhere.pk, tess)
    assert (estate.state(short), estate.left()) == (State.SUSPENDED, (ACTIVE, 3))
    end_due(estate.tenant.id)
    assert estate.state(short) == State.EXPIRED


def test_the_last_day_counts_and_the_day_after_it_returns_by_itself(estate: Estate, grant: Ask) -> None:
    exception = grant()
    estate.age(exception, expires_on=estate.today())
    end_due(estate.tenant.id)
    assert (estate.state(exception), estate.left()) == (State.IN_EFFECT, (FULL, 0))
    estate.age(exception, expires_on=estate.today() - timedelta(days=1))
    tasks.end_exceptions(str(estate.tenant.id))
    assert (estate.state(exception), estate.left()) == (State.EXPIRED, (ACTIVE, 3))
    end_due(estate.tenant.id)


def test_a_request_nobody_decided_expires_and_is_granted_no_more(estate: Estate, ask: Ask, tess: User) -> None:
    exception = ask()
    estate.age(exception, expires_on=estate.today() - timedelta(days=1))
    with pytest.raises(Conflict, match="last day"):
        decide(estate.tenant, approve, exception.pk, tess)
    end_due(estate.tenant.id)
    with pytest.raises(IllegalMove):
        decide(estate.tenant, approve, exception.pk, tess)
    assert (estate.state(exception), estate.left()) == (State.EXPIRED, (ACTIVE, 3))


def test_the_sweep_rings_for_what_ends_and_for_the_heads_up_and_then_no_more(estate: Estate, grant: Ask) -> None:
    def due() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tenant_id FROM tenants_with_due_vulnerability_work() WHERE lane = 'exceptions'")
            return (estate.tenant.id,) in cursor.fetchall()

    exception = grant(days=8)
    assert not due()
    estate.age(exception, expires_on=estate.today() + timedelta(days=7))
    assert due()
    end_due(estate.tenant.id)
    assert not due()
    estate.age(exception, expires_on=estate.today() - timedelta(days=1))
    assert due()
    end_due(estate.tenant.id)
    assert not due()


def test_one_group_can_be_let_go_and_the_last_one_ends_it(estate: Estate, grant: Ask, bob: User) -> None:
    exception = grant(estate.servers, estate.laptops)

    def let_go(group: object, by: User) -> RecommendationException:
        with acting_for(estate.tenant.id):
            return cancel_group(exception.pk, group.pk, actor=actor(by), reason="Patched.")  # type: ignore[attr-defined]

    kept = let_go(estate.servers, bob)
    assert (kept.state, kept.group_names) == (State.IN_EFFECT, [estate.laptops.name])
    assert estate.left() == (PARTIAL, 2)
    with pytest.raises(BadRequest):
        let_go(estate.servers, bob)
    assert let_go(estate.laptops, bob).state == State.CANCELLED
    assert estate.left() == (ACTIVE, 3)


def test_who_asked_may_withdraw_but_not_end_what_was_granted(
    estate: Estate, ask: Ask, grant: Ask, ada: User, bob: User
) -> None:
    assert decide(estate.tenant, cancel, ask(estate.servers).pk, ada).state == State.CANCELLED
    granted, everywhere = grant(estate.servers), grant()
    for exception, person in ((granted, ada), (everywhere, bob)):
        with pytest.raises(Forbidden):
            decide(estate.tenant, cancel, exception.pk, person)


def test_no_move_but_those_in_the_table(estate: Estate, ask: Ask, bob: User) -> None:
    exception = ask(estate.servers)
    for before, to in product(State, State):
        estate.age(exception, state=before, decided_by=bob, decided_at=timezone.now())
        exception.state, is_legal = before, to in EXCEPTION_MOVES.get(before, frozenset())
        with acting_for(estate.tenant.id), nullcontext() if is_legal else pytest.raises(IllegalMove):
            move(exception, to, actor=SYSTEM, reason="The table says so.")
        assert estate.state(exception) == (to if is_legal else before)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_people_do_in_whatever_order_the_rules_hold(
    estate: Estate, ask: Ask, ada: User, bob: User, tess: User, seed: int
) -> None:
    """Random walks: ask, approve, reject, cancel, let days pass; after every step all promises are looked at."""
    chance = random.Random(seed)
    groups = [estate.servers, estate.laptops]
    people = [ada, bob, tess, make_member("tom", estate.tenant, Role.TENANT_ADMIN)]

    def any_open() -> RecommendationException | None:
        with acting_for(estate.tenant.id):
            return chance.choice([*RecommendationException.objects.order_by("pk"), None])

    def pass_days() -> None:
        exception = any_open()
        if exception is not None:
            estate.age(exception, expires_on=exception.expires_on - timedelta(days=chance.choice([1, 31])))
        end_due(estate.tenant.id)

    def decide_any(verb: Callable[..., object]) -> None:
        exception = any_open()
        if exception is not None:
            decide(estate.tenant, verb, exception.pk, chance.choice(people))

    steps: list[Callable[[], object]] = [
        lambda: ask(*chance.sample(groups, chance.randint(0, 2)), by=chance.choice(people), days=30),
        lambda: decide_any(approve),
        lambda: decide_any(approve),
        lambda: decide_any(reject),
        lambda: decide_any(cancel),
        pass_days,
    ]
    for _turn in range(60):
        with suppress(Conflict, Forbidden):
            chance.choice(steps)()
        _look(estate)


def _look(estate: Estate) -> None:
    with acting_for(estate.tenant.id):
        rows = list(RecommendationException.objects.all())
    today = estate.today()
    live = [row for row in rows if row.state == State.IN_EFFECT]
    assert all(row.decided_by_id not in (None, row.requested_by_id) for row in live), "never without a second person"
    everywhere = [row for row in live if row.is_global]
    assert len(everywhere) <= 1, "one for the whole tenant at a time"
    assert not everywhere or len(live) == 1, "it suspends those by group"
    assert everywhere or not any(row.state == State.SUSPENDED for row in rows if row.expires_on >= today)
    named = [key for row in live for key in row.group_ids]
    assert len(named) == len(set(named)), "no group twice"
    covered = {estate.servers.pk, estate.laptops.pk} if everywhere else set(named)
    left = sum(device.group_id not in covered for device in estate.devices)
    status = {0: ACTIVE, 1: PARTIAL, 2: FULL}[len(covered)]
    assert estate.left() == (status, left), "what is shown is what is in effect"


def test_what_makes_no_sense_is_refused(estate: Estate, globex: Tenant, ask: Ask, ada: User, ren: User) -> None:
    theirs = default_group(globex)
    ask(estate.servers), ask()
    with pytest.raises(Conflict, match="already"):
        ask()
    for wrong, groups in ((BadRequest, [theirs]), (BadRequest, [estate.laptops, theirs]), (Conflict, [estate.servers])):
        with pytest.raises(wrong):
            ask(*groups)
    with pytest.raises(Forbidden):
        ask(estate.laptops, by=ren)
    with pytest.raises(Conflict, match="names"):
        ask(subject=estate.cve("CVE-1999-0001"))
    for justification, subject in (
        (Justification.CVE_WITHOUT_PATCH, estate.subject()),
        (Justification.BUSINESS_NEED, estate.cve(CVE)),
    ):
        with pytest.raises(BadRequest, match="justify"), acting_for(estate.tenant.id):
            request_exception(
                subject,
                Reach(True),
                justification=justification,
                context="x",
                expires_on=estate.today(),
                actor=actor(ada),
            )


@pytest.mark.parametrize(("days", "off"), [(None, None), (30, 1), (31, None), (None, -1), (None, 366)])
def test_a_term_is_one_of_those_on_offer(estate: Estate, days: int | None, off: int | None) -> None:
    today = estate.today()
    with pytest.raises(BadRequest):
        last_day(days, None if off is None else today + timedelta(days=off))
    assert last_day(None, today + timedelta(days=365)) == today + timedelta(days=365)
    assert last_day(90, None) == today + timedelta(days=90)
