"""The life of an action, against the simulator over its sockets: claimed once, sent once, looked up, undone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from connectors.protocol import Receipt, RemoteState
from investigations.models import Device
from portal.access.actors import Actor
from portal.access.exceptions import Conflict, Forbidden
from portal.access.models import TenantMembership, User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services, tasks
from remediation.actions.exceptions import IllegalMove
from remediation.actions.execution import send
from remediation.actions.models import RemediationAction
from remediation.actions.states import MOVES, State
from remediation.actions.transitions import claim
from remediation.catalogue import WIRED
from tests.factories import make_device, make_pending_action

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

Run = Callable[[RemediationAction, str], None]
AsActor = Callable[[User], Actor]


@pytest.fixture
def laptop(connected: Tenant, vendor: Any) -> Device:
    """A device that Acme and the simulator both know."""
    device = make_device(connected, "laptop")
    vendor.seed(connected, machines=[{"id": device.machine_id, "computerDnsName": "laptop"}])
    return device


@pytest.fixture
def approved(laptop: Device, bob: User, as_actor: AsActor) -> RemediationAction:
    """An isolation of the laptop that Bob approved and nobody has sent."""
    return approve(make_pending_action(laptop.tenant, laptop), bob, as_actor)


def approve(action: RemediationAction, user: User, as_actor: AsActor) -> RemediationAction:
    with acting_for(action.tenant_id):
        return services.approve_action(action.pk, actor=as_actor(user), reason="Confirmed with the owner.")


def reread(action: RemediationAction) -> RemediationAction:
    with acting_for(action.tenant_id):
        return RemediationAction.objects.select_related("device", "tenant").get(pk=action.pk)


def claims(tenant_id: UUID) -> int:
    try:
        return int(claim(tenant_id, owner="racer", types=WIRED) is not None)
    finally:
        connection.close()


def test_an_approved_action_is_sent_once_and_every_step_is_on_record(
    approved: RemediationAction, connected: Tenant, vendor: Any, run: Run
) -> None:
    run(approved, State.SUCCEEDED)
    tasks.drain(str(connected.id))

    [sent] = vendor.received(connected)
    assert sent["external_id"] == str(approved.pk)
    assert vendor.truth(connected)["machines"][0]["id"] == reread(approved).device.machine_id
    with acting_for(connected.id):
        events = AuditEvent.objects.filter(object_id=approved.pk).order_by("seq")
        verbs = list(events.values_list("verb", flat=True))
        numbers = list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True))
    assert verbs == [
        "action.created",
        "action.approve_given",
        "action.approved",
        "action.sending",
        "action.accepted",
        "action.succeeded",
    ]
    assert numbers == list(range(1, len(numbers) + 1))


def test_eight_simultaneous_claims_take_an_action_once(approved: RemediationAction) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(claims, [approved.tenant_id] * 8))
    assert sum(taken) == 1
    assert reread(approved).fence == 1


def test_two_conflicting_actions_on_one_device_go_one_after_the_other(
    approved: RemediationAction, laptop: Device, bob: User, as_actor: AsActor, run: Run
) -> None:
    with acting_for(laptop.tenant_id):
        release, _is_new = services.request_action(
            tenant_id=laptop.tenant_id,
            type_name="release_from_isolation",
            device=laptop,
            parameters={},
            reason="Changed my mind.",
            actor=as_actor(bob),
        )
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(claims, [laptop.tenant_id] * 8))
    assert sum(taken) == 1
    assert {reread(approved).state, reread(release).state} == {State.SENDING, State.APPROVED}
    run(release, State.SUCCEEDED)  # the abandoned claim ends by its lease, is not found, and is sent again
    assert reread(approved).state == State.SUCCEEDED


def test_the_database_itself_refuses_a_second_one_and_an_illegal_move(
    approved: RemediationAction, laptop: Device
) -> None:
    def write(statement: str) -> None:
        with acting_for(laptop.tenant_id), connection.cursor() as cursor:
            cursor.execute(f"UPDATE actions_remediationaction SET {statement} WHERE id = %s", [approved.pk])

    for statement, words in (
        ("state = 'succeeded'", "cannot move"),
        ("parameters = '{}'", "cannot be changed"),
        ("fence = -1", "cannot be changed"),
    ):
        with pytest.raises(DatabaseError, match=words):
            write(statement)


def test_the_databases_moves_are_those_of_the_code(connected: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'action_guard'")
        source = cursor.fetchone()[0]
    written = {f"{before}>{after}" for before in State for after in State if f"'{before}>{after}'" in source}
    assert written == {f"{before}>{after}" for before, found in MOVES.items() for after in found}


@pytest.mark.parametrize("fault", ["reset_after_accepting", "answer_late", "truncate"])
def test_a_doubt_after_acceptance_ends_well_and_is_sent_once(
    fault: str, approved: RemediationAction, connected: Tenant, vendor: Any, run: Run
) -> None:
    vendor.fault(fault, path="isolate", count=1, seconds=3)
    run(approved, State.SUCCEEDED)
    assert len(vendor.received(connected)) == 1


def test_what_was_never_accepted_is_sent_again_only_after_two_looks(
    approved: RemediationAction, connected: Tenant, vendor: Any, run: Run
) -> None:
    vendor.fault("server_error", path="isolate", count=1)
    tasks.drain(str(connected.id))
    assert reread(approved).state == State.UNKNOWN
    tasks.settle(str(connected.id))
    assert reread(approved).absent_count == 0  # the quiet period is not over

    run(approved, State.SUCCEEDED)

    assert [entry["accepted"] for entry in vendor.received(connected)] == [False, True]
    assert reread(approved).attempt == 2


def test_a_harmful_repeat_is_left_to_a_person(
    laptop: Device, bob: User, bea: User, as_actor: AsActor, vendor: Any, run: Run
) -> None:
    action = make_pending_action(laptop.tenant, laptop, type_name="offboard_device")
    approve(approve(action, bob, as_actor), bea, as_actor)
    vendor.fault("server_error", path="offboard", count=1)

    run(action, State.NEEDS_ATTENTION)

    assert not any(entry["accepted"] for entry in vendor.received(laptop.tenant))
    with acting_for(laptop.tenant_id):
        services.resolve_action(action.pk, State.FAILED, actor=as_actor(bob), reason="Not at Microsoft.")
    assert reread(action).state == State.FAILED


def test_throttling_puts_it_off_and_sends_once(
    approved: RemediationAction, connected: Tenant, vendor: Any, run: Run
) -> None:
    vendor.fault("throttle", path="isolate", count=1, retry_after="1")
    tasks.drain(str(connected.id))
    assert reread(approved).state == State.APPROVED
    tasks.drain(str(connected.id))
    assert len(vendor.received(connected)) == 1  # not before its time

    run(approved, State.SUCCEEDED)
    assert [entry["accepted"] for entry in vendor.received(connected)] == [False, True]


def test_a_plain_no_fails_with_the_vendors_words(approved: RemediationAction, connected: Tenant, vendor: Any) -> None:
    vendor.admin.put(f"/_simulator/tenants/{connected.entra_tenant_id}", json={"withheld_roles": ["Machine.Isolate"]})
    tasks.drain(str(connected.id))
    refused = reread(approved)
    assert refused.state == State.FAILED
    assert refused.error_code
    assert refused.detail


def test_an_answer_to_a_lost_claim_changes_nothing(
    approved: RemediationAction, connected: Tenant, vendor: Any, settings: Settings
) -> None:
    settings.ACTION_LEASE_SECONDS = 0.01

    class Slow:
        def prepare(self, request: Any) -> None:
            return None

        def send(self, request: Any, *, before_sending: Any) -> Any:
            with acting_for(connected.id):
                RemediationAction.objects.update(lease_until="2020-01-01T00:00:00Z")
            tasks.sweep()
            return Receipt("x", RemoteState.SUCCEEDED)

    claimed = claim(connected.id, owner="slow", types=WIRED)
    assert claimed is not None
    send(claimed, Slow())  # type: ignore[arg-type]
    assert reread(approved).state == State.UNKNOWN
    assert reread(approved).remote_id == ""


def test_an_approver_who_lost_the_right_no_longer_counts(approved: RemediationAction, bob: User) -> None:
    with acting_for(approved.tenant_id):
        TenantMembership.objects.filter(user=bob).delete()
    assert claims(approved.tenant_id) == 0
    assert reread(approved).state == State.APPROVED


def test_who_asked_cannot_approve_and_nobody_counts_twice(
    laptop: Device, bob: User, bea: User, as_actor: AsActor
) -> None:
    own = make_pending_action(laptop.tenant, laptop, requested_by=bob)
    with pytest.raises(Forbidden):
        approve(own, bob, as_actor)
    two = make_pending_action(laptop.tenant, laptop, type_name="offboard_device")
    approve(two, bob, as_actor)
    with pytest.raises(Conflict):
        approve(two, bob, as_actor)
    assert reread(two).state == State.PENDING_APPROVAL
    assert approve(two, bea, as_actor).state == State.APPROVED


def test_a_rejection_wins_and_nothing_is_sent(
    laptop: Device, bob: User, bea: User, as_actor: AsActor, vendor: Any
) -> None:
    action = make_pending_action(laptop.tenant, laptop, type_name="offboard_device")
    approve(action, bob, as_actor)
    with acting_for(laptop.tenant_id):
        services.reject_action(action.pk, actor=as_actor(bea), reason="A hospital ward.")
    with pytest.raises(IllegalMove):
        approve(action, bea, as_actor)
    tasks.drain(str(laptop.tenant_id))
    assert vendor.received(laptop.tenant) == []


def test_time_ends_what_nobody_decided_and_what_was_not_sent(
    approved: RemediationAction, laptop: Device, vendor: Any
) -> None:
    undecided = make_pending_action(laptop.tenant, laptop, type_name="restrict_code_execution")
    with acting_for(laptop.tenant_id):
        RemediationAction.objects.update(approve_before="2020-01-01T00:00:00Z", execute_before="2020-01-01T00:00:00Z")
    tasks.drain(str(laptop.tenant_id))
    tasks.sweep()
    assert reread(approved).state == reread(undecided).state == State.EXPIRED
    assert vendor.received(laptop.tenant) == []


def test_undo_runs_the_inverse_once_and_says_so(
    approved: RemediationAction, bob: User, as_actor: AsActor, run: Run, vendor: Any
) -> None:
    with acting_for(approved.tenant_id), pytest.raises(Conflict):
        services.undo_action(approved.pk, actor=as_actor(bob), reason="Too early.")
    run(approved, State.SUCCEEDED)
    with acting_for(approved.tenant_id):
        undo = services.undo_action(approved.pk, actor=as_actor(bob), reason="False alarm.")
        assert services.undo_action(approved.pk, actor=as_actor(bob), reason="Again.").pk == undo.pk
    run(undo, State.SUCCEEDED)
    with acting_for(approved.tenant_id):
        assert services.undo_action(approved.pk, actor=as_actor(bob), reason="Again.").pk == undo.pk
        assert vars(RemediationAction.objects.with_undo().get(pk=approved.pk))["is_undone"]
    assert [entry["path"].rsplit("/")[-1] for entry in vendor.received(reread(approved).tenant)] == [
        "isolate",
        "unisolate",
    ]


def test_a_transport_refuses_to_send_inside_a_transaction(approved: RemediationAction, connected: Tenant) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        tasks.drain(str(connected.id))


def test_undoing_a_block_leaves_what_somebody_else_put_in_its_place(
    connected: Tenant, bob: User, as_actor: AsActor, run: Run, vendor: Any
) -> None:
    about = {"indicator_type": "FileSha1", "value": "5e0f7a1b9c3d4826e7f81209ab34cd56ef781290"}
    blocked = make_pending_action(
        connected, make_device(connected, "laptop"), type_name="block_indicator", parameters=about
    )
    with acting_for(connected.pk):
        services.approve_action(blocked.pk, actor=as_actor(bob), reason="Bad.")
    run(blocked, State.SUCCEEDED)
    theirs = {"indicatorValue": about["value"], "indicatorType": "FileSha1", "action": "Allowed", "title": "Our tool"}
    vendor.seed(connected, indicators=[theirs])
    with acting_for(connected.pk):
        undo = services.undo_action(blocked.pk, actor=as_actor(bob), reason="False alarm.")
    run(undo, State.FAILED)
    assert "not what Quell put there" in reread(undo).detail
