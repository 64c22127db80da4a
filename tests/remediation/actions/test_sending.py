"""Sending many at a time: what is read and kept before, who waits for whom, and how a turn ends."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from connectors import circuit
from connectors.models import Connection, Health
from connectors.protocol import (
    ActionRequest,
    ConnectorError,
    LookUp,
    NotSent,
    OutcomeUnknown,
    Quota,
    Receipt,
    Refused,
    RemoteState,
)
from investigations.models import Device
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import draining, tasks
from remediation.actions.execution import send, send_all
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.settling import settle_batch
from remediation.actions.states import Source, State
from remediation.actions.transitions import Claim, claim, claim_batch
from remediation.catalogue import CATALOGUE, WIRED, Area
from remediation.safeguards.models import HourlyCap
from tests.factories import make_device

pytestmark = pytest.mark.django_db(transaction=True)

PARAMETERS: dict[str, dict[str, Any]] = {
    "isolate_device": {"isolation_type": "Full"},
    "run_antivirus_scan": {"scan_type": "Quick"},
    "get_file_information": {"sha1": "a" * 40},
    "turn_off_forwarding": {"mailbox": "finance@acme.example"},
    "quarantine_attachment": {"messages": [{"network_message_id": "1", "recipient": "finance@acme.example"}]},
}


class Vendor:
    """A vendor that accepts all it is sent, or does what a test tells it to; and remembers."""

    def __init__(self, answer: Callable[[ActionRequest], Receipt] | None = None) -> None:
        self.sent: list[ActionRequest] = []
        self.prepared = 0
        self.cancelled = 0
        self.receipts: Mapping[str, Receipt] = {}
        self._answer = answer or (lambda request: Receipt("remote", RemoteState.PENDING, "Pending."))

    def prepare(self, request: ActionRequest) -> Mapping[str, Any] | None:
        self.prepared += 1
        return {"former": "smtp:x@example.org"} if request.type == "turn_off_forwarding" else None

    def send(self, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
        before_sending()
        self.sent.append(request)
        return self._answer(request)

    def quota_of(self, action_type: str) -> Quota:
        return Quota(f"test {action_type} {id(self)}", 100)

    def cancel(self, request: ActionRequest) -> None:
        self.cancelled += 1
        if self.cancelled == 1:
            raise OutcomeUnknown("It broke off.")
        raise Refused("It has gone too far.")

    def look_up(self, requests: Sequence[ActionRequest]) -> LookUp:
        return LookUp({request.action_id: Receipt("remote", RemoteState.PENDING) for request in requests})


def queue(
    tenant: Tenant, type_name: str, count: int = 1, *, by: User | None = None, on: Device | None = None
) -> list[RemediationAction]:
    """Actions that need nobody's approval, each on a device of its own where no other is given."""
    is_on_device = CATALOGUE[type_name].area is Area.DEVICE
    proposals = [
        Proposal(
            tenant_id=tenant.id,
            type=type_name,
            source=Source.AUTOMATED_DEVICE,
            target=f"{type_name} {place}",
            parameters=PARAMETERS.get(type_name, {}),
            reason="A test.",
            is_approved=True,
            device=on or (make_device(tenant, f"pc-{place}") if is_on_device else None),
            requested_by_id=by.pk if by else None,
        )
        for place in range(count)
    ]
    with acting_for(tenant.id):
        actions, _born = propose(tenant.id, proposals, actor=SYSTEM)
    return list(actions.values())


def reread(action: RemediationAction) -> RemediationAction:
    with acting_for(action.tenant_id):
        return RemediationAction.objects.get(pk=action.pk)


def change(action: RemediationAction, **values: Any) -> None:
    with acting_for(action.tenant_id):
        RemediationAction.objects.filter(pk=action.pk).update(**values)


def claimed(action: RemediationAction) -> Claim:
    found = claim(action.tenant_id, owner="test", types=WIRED)
    assert found is not None
    return found


def states(tenant: Tenant) -> list[str]:
    with acting_for(tenant.id):
        return sorted(RemediationAction.objects.values_list("state", flat=True))


@pytest.fixture
def serve(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Callable[[Vendor], None]:
    """Let a vendor stand for Acme's connection."""
    with acting_for(acme.id):
        Connection.objects.create(tenant=acme)

    def use(vendor: Vendor) -> None:
        way = draining.WayOut(acme.id, vendor, str(acme.entra_tenant_id))  # type: ignore[arg-type]
        monkeypatch.setattr(draining, "way_out_of", lambda tenant_id: way)

    return use


def test_what_was_before_is_kept_before_the_first_send_and_never_read_again(acme: Tenant) -> None:
    [action] = queue(acme, "turn_off_forwarding")
    kept: list[Any] = []

    def not_now(request: ActionRequest) -> Receipt:
        kept.append(reread(action).findings)
        raise NotSent("Not now.", retry_after=0)

    vendor = Vendor(not_now)
    send(claimed(action), vendor)  # type: ignore[arg-type]
    send(claimed(action), vendor)  # type: ignore[arg-type]

    assert kept == [{"former": "smtp:x@example.org"}] * 2
    assert [request.findings for request in vendor.sent] == kept
    assert vendor.prepared == 1


def test_a_claim_lost_while_preparing_sends_nothing(acme: Tenant) -> None:
    [action] = queue(acme, "turn_off_forwarding")
    vendor, lost = Vendor(), replace(claimed(action), fence=0)
    send(lost, vendor)  # type: ignore[arg-type]
    assert vendor.sent == []
    assert (reread(action).state, reread(action).findings) == (State.SENDING, None)


def test_what_ended_at_once_is_not_looked_up_and_what_it_read_is_kept(acme: Tenant) -> None:
    [action] = queue(acme, "get_file_information")
    data = {"sha1": "a" * 40, "globalPrevalence": 7}
    send(claimed(action), Vendor(lambda request: Receipt("a", RemoteState.SUCCEEDED, "Known.", data)))  # type: ignore[arg-type]
    done = reread(action)
    assert (done.state, done.findings, done.detail) == (State.SUCCEEDED, data, "Known.")
    with acting_for(acme.id):
        verbs = list(AuditEvent.objects.filter(object_id=action.pk).order_by("seq").values_list("verb", flat=True))
    assert verbs == ["action.created", "action.sending", "action.accepted", "action.succeeded"]


@pytest.mark.parametrize(
    ("person", "type_name", "goes"),
    [
        ("ada", "get_file_information", True),
        ("ren", "get_file_information", False),
        ("ada", "release_from_isolation", False),
        ("bob", "release_from_isolation", True),
    ],
)
def test_what_is_free_goes_by_who_may_ask_and_a_release_by_who_may_decide(
    person: str, type_name: str, goes: bool, acme: Tenant, request: pytest.FixtureRequest
) -> None:
    queue(acme, type_name, by=request.getfixturevalue(person))
    assert (claim(acme.id, owner="test", types=WIRED) is not None) is goes


def test_what_a_person_does_is_accepted_without_a_call_and_ends_after_three_days(
    acme: Tenant, serve: Callable[[Vendor], None]
) -> None:
    vendor = Vendor()
    serve(vendor)
    [action] = queue(acme, "quarantine_attachment")
    tasks.drain(str(acme.id))
    waiting = reread(action)
    assert (waiting.state, waiting.next_check_at, vendor.sent) == (State.ACCEPTED, None, [])
    assert "Defender portal" in waiting.detail

    tasks.sweep()
    assert reread(action).state == State.ACCEPTED
    change(action, accepted_at="2020-01-01T00:00:00Z")
    tasks.sweep()
    assert reread(action).state == State.TIMED_OUT


def test_stopping_is_asked_again_after_a_doubt_and_a_no_is_put_down(acme: Tenant) -> None:
    [action] = queue(acme, "run_antivirus_scan")
    vendor = Vendor()
    send(claimed(action), vendor)  # type: ignore[arg-type]
    for _look in range(3):
        change(action, next_check_at="2020-01-01T00:00:00Z", **_asked(vendor))
        settle_batch(acme.id, vendor)  # type: ignore[arg-type]
    assert vendor.cancelled == 2
    assert reread(action).state == State.ACCEPTED
    assert "gone too far" in reread(action).detail


def _asked(vendor: Vendor) -> dict[str, Any]:
    return {"cancel_asked_at": "2020-01-01T00:00:00Z"} if vendor.cancelled == 0 else {}


def test_batches_together_keep_the_limit(acme: Tenant) -> None:
    with acting_for(acme.id):
        HourlyCap.objects.create(tenant=acme, action_type="isolate_device", cap=40)
    queue(acme, "isolate_device", 20)
    with acting_for(acme.id):
        HourlyCap.objects.update(cap=7)

    def take(_number: int) -> list[Claim]:
        try:
            return claim_batch(acme.id, owner="racer", types=WIRED, most=5)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(take, range(8)))
    assert sorted(len(batch) for batch in batches) == [0] * 6 + [2, 5]


def test_a_batch_takes_the_older_one_alone_of_a_conflict_group_on_a_device(acme: Tenant, bob: User) -> None:
    laptop = make_device(acme, "laptop")
    [isolation] = queue(acme, "isolate_device", on=laptop)
    queue(acme, "release_from_isolation", by=bob, on=laptop)
    [scan] = queue(acme, "run_antivirus_scan", on=laptop)
    taken = claim_batch(acme.id, owner="test", types=WIRED, most=50)
    assert [item.action_id for item in taken] == [isolation.pk, scan.pk]


def test_what_is_answered_is_recorded_while_a_slow_one_still_hangs(acme: Tenant) -> None:
    slow, *others = queue(acme, "run_antivirus_scan", 10)
    may_end = threading.Event()

    def answer(request: ActionRequest) -> Receipt:
        if request.action_id == slow.pk:
            may_end.wait(20)
        return Receipt("remote", RemoteState.PENDING)

    claims = claim_batch(acme.id, owner="test", types=WIRED, most=10)
    begun = time.monotonic()
    answers = send_all(claims, Vendor(answer))  # type: ignore[arg-type]
    recorded = next(answers)
    took = time.monotonic() - begun
    assert {outcome.claimed.action_id for outcome in recorded} == {action.pk for action in others}
    assert {reread(action).state for action in others} == {State.ACCEPTED}
    assert took < 5.0  # RECORD_SECONDS, and the writing of nine on a busy machine
    may_end.set()
    assert [outcome.claimed.action_id for batch in answers for outcome in batch] == [slow.pk]


def test_what_was_claimed_a_quarter_of_a_lease_ago_goes_back_unsent(acme: Tenant, settings: Settings) -> None:
    queue(acme, "run_antivirus_scan", 6)
    vendor, claims = Vendor(), claim_batch(acme.id, owner="test", types=WIRED, most=6)
    settings.ACTION_LEASE_SECONDS = 2.0
    time.sleep(0.6)
    for _recorded in send_all(claims, vendor):  # type: ignore[arg-type]
        pass
    assert vendor.sent == []
    assert states(acme) == [State.APPROVED] * 6


def test_an_api_that_takes_no_more_keeps_back_no_other(acme: Tenant, serve: Callable[[Vendor], None]) -> None:
    def answer(request: ActionRequest) -> Receipt:
        if request.type == "isolate_device":
            raise NotSent("Enough for now.", code="QuotaSpent", retry_after=60)
        return Receipt("remote", RemoteState.PENDING)

    vendor = Vendor(answer)
    serve(vendor)
    queue(acme, "isolate_device", 20)
    queue(acme, "run_antivirus_scan", 20)
    tasks.drain(str(acme.id))
    sent = [request.type for request in vendor.sent]
    assert sent.count("run_antivirus_scan") == 20
    assert sent.count("isolate_device") <= draining.FIRST_BATCH
    assert states(acme) == [State.ACCEPTED] * 20 + [State.APPROVED] * 20


def end_rest(tenant: Tenant) -> None:
    """Let the time be over for which the tenant is left alone."""
    troubles, rests, _until = cache.get(f"circuit:{tenant.id}")
    cache.set(f"circuit:{tenant.id}", (troubles, rests, 0.0))


def test_a_vendor_that_does_not_answer_is_left_alone_and_one_call_tries_again(
    acme: Tenant, serve: Callable[[Vendor], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "FIRST_REST_SECONDS", 60.0)
    trouble: list[ConnectorError] = [NotSent("No connection.", code="NoConnection", retry_after=0)]

    def answer(request: ActionRequest) -> Receipt:
        if trouble:
            raise trouble[0]
        return Receipt("remote", RemoteState.PENDING)

    vendor = Vendor(answer)
    serve(vendor)
    queue(acme, "run_antivirus_scan", 30)
    tasks.drain(str(acme.id))
    asked = len(vendor.sent)
    assert circuit.TROUBLES <= asked <= draining.FIRST_BATCH
    tasks.drain(str(acme.id))
    assert len(vendor.sent) == asked  # it rests
    with acting_for(acme.id):
        assert Connection.objects.get().health == Health.UNREACHABLE

    end_rest(acme)
    tasks.drain(str(acme.id))
    assert len(vendor.sent) == asked + 1  # one trial, which opens it again

    trouble.clear()
    end_rest(acme)
    tasks.drain(str(acme.id))
    assert states(acme) == [State.ACCEPTED] * 30
    with acting_for(acme.id):
        assert Connection.objects.get().health == Health.WORKING


def test_one_worker_serves_a_tenant_at_a_time_and_no_ring_is_lost(
    acme: Tenant, serve: Callable[[Vendor], None]
) -> None:
    serve(Vendor())
    queue(acme, "run_antivirus_scan")
    cache.set(f"turn:{acme.id}", 1, timeout=5)
    assert draining.take_turn(acme.id) is False
    assert states(acme) == [State.APPROVED]
    cache.delete(f"turn:{acme.id}")
    assert draining.take_turn(acme.id) is True  # somebody rang while another had it
    assert states(acme) == [State.ACCEPTED]
