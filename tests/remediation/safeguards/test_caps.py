"""Hourly limits: exact under many workers, passed by what two people approved, asked about in good time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from connectors.protocol import NotSent
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM, ActorStamp
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, database_now
from remediation.actions import services
from remediation.actions.execution import send
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source, State
from remediation.actions.transitions import claim
from remediation.actions.waiting import describe_wait
from remediation.catalogue import WIRED
from remediation.safeguards import caps
from remediation.safeguards.models import HourlyCap, HourlyUse
from remediation.safeguards.tasks import sweep
from tests.factories import make_device, make_pending_action

pytestmark = pytest.mark.django_db(transaction=True)

AsActor = Callable[[User], Actor]


def limit(tenant: Tenant, cap: int, type_name: str = "isolate_device") -> None:
    with acting_for(tenant.id):
        HourlyCap.objects.update_or_create(tenant=tenant, action_type=type_name, defaults={"cap": cap})


def use_up(tenant: Tenant, used: int, *, hours_ago: int = 0) -> None:
    with acting_for(tenant.id):
        hour = caps.hour_of(database_now()) - timedelta(hours=hours_ago)
        HourlyUse.objects.create(tenant=tenant, action_type="isolate_device", hour=hour, used=used)


def isolations(tenant: Tenant, count: int) -> list[RemediationAction]:
    """Isolations that are to run by themselves, in the order they were proposed."""
    proposals = [
        Proposal(
            tenant_id=tenant.id,
            type="isolate_device",
            source=Source.AUTOMATED_DEVICE,
            target=f"pc-{place}",
            parameters={"isolation_type": "Full"},
            reason="It is malicious.",
            is_approved=True,
            device=make_device(tenant, f"pc-{place}"),
        )
        for place in range(count)
    ]
    with acting_for(tenant.id):
        found, _born = propose(tenant.id, proposals, actor=SYSTEM)
    return [found[proposal.sha256] for proposal in proposals]


def claim_one(tenant: Tenant) -> bool:
    return claim(tenant.id, owner="test", types=WIRED) is not None


def used(tenant: Tenant) -> list[int]:
    with acting_for(tenant.id):
        return list(HourlyUse.objects.order_by("hour").values_list("used", flat=True))


def reread(action: RemediationAction) -> RemediationAction:
    with acting_for(action.tenant_id):
        return RemediationAction.objects.get(pk=action.pk)


def test_thirty_two_workers_send_exactly_ten(acme: Tenant) -> None:
    """Reliability row P3."""
    limit(acme, 64)
    isolations(acme, 64)
    limit(acme, 10)

    def work(_number: int) -> int:
        try:
            return sum(claim_one(acme) for _try in range(3))
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(work, range(32))) == 10
    assert used(acme) == [10]


def test_the_count_itself_keeps_the_limit_where_turns_are_not_taken(acme: Tenant, monkeypatch: Any) -> None:
    """Without the lock that makes claims of one tenant take turns, each sees the same count; the row does not lie."""
    monkeypatch.setattr("remediation.actions.transitions._TAKE_TURN", "SELECT %s")
    limit(acme, 64)
    isolations(acme, 64)
    limit(acme, 10)

    def work(_number: int) -> int:
        try:
            return sum(claim_one(acme) for _try in range(3))
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 10
    assert used(acme) == [10]


def test_the_last_hour_does_not_count_and_other_types_and_tenants_go_on(acme: Tenant, globex: Tenant) -> None:
    limit(acme, 2)
    use_up(acme, 2, hours_ago=1)
    use_up(globex, 20)
    [first, second] = isolations(acme, 2)
    scan = make_pending_action(acme, make_device(acme, "pc-9"), type_name="run_antivirus_scan",
                               parameters={"scan_type": "Quick"})  # fmt: skip
    with acting_for(acme.id):
        RemediationAction.objects.filter(pk=scan.pk).update(state="approved", required_approvals=0,
                                                            execute_before="2099-01-01T00:00:00Z")  # fmt: skip
    limit(acme, 1)

    assert [claim_one(acme), claim_one(acme), claim_one(acme)] == [True, True, False]
    assert (reread(first).state, reread(second).state, reread(scan).state) == ("sending", "approved", "sending")
    with acting_for(acme.id):
        assert "The limit of 1 an hour" in describe_wait(reread(second))
        HourlyUse.objects.filter(used=1).update(hour=caps.hour_of(database_now()) - timedelta(hours=2))
        assert describe_wait(reread(second)) == ""
    assert claim_one(acme)


def test_what_two_people_approved_passes_and_counts(acme: Tenant, bob: User, bea: User, as_actor: AsActor) -> None:
    limit(acme, 1)
    use_up(acme, 1)
    action = make_pending_action(acme, make_device(acme))
    assert action.required_approvals == 2
    with acting_for(acme.id):
        assert services.approve_action(action.pk, actor=as_actor(bob), reason="Yes.").state == State.PENDING_APPROVAL
        assert services.approve_action(action.pk, actor=as_actor(bea), reason="Yes.").state == State.APPROVED

    assert claim_one(acme)
    assert used(acme) == [2]


def test_who_proposes_past_the_limit_is_asked_for_two_people(acme: Tenant) -> None:
    limit(acme, 3)
    use_up(acme, 1)
    born = isolations(acme, 3)

    assert [(action.state, action.required_approvals) for action in born] == [
        (State.APPROVED, 0),
        (State.APPROVED, 0),
        (State.PENDING_APPROVAL, 2),
    ]
    assert born[2].reason == "It is malicious. The limit per hour for this action is reached: two people decide."
    release = make_pending_action(acme, make_device(acme, "pc-8"), type_name="release_from_isolation")
    assert release.required_approvals == 1


def test_what_never_left_the_house_is_given_back(acme: Tenant) -> None:
    limit(acme, 1)
    isolations(acme, 1)

    class Closed:
        def prepare(self, request: Any) -> None:
            return None

        def send(self, request: Any, *, before_sending: Any) -> Any:
            raise NotSent("No line.", retry_after=0)

    for _attempt in range(3):
        claimed = claim(acme.id, owner="test", types=WIRED)
        assert claimed is not None
        send(claimed, Closed())  # type: ignore[arg-type]
    assert used(acme) == [0]


@pytest.mark.parametrize(
    "details",
    [
        {"action_type": "no_such", "cap": 5},
        {"action_type": "release_from_isolation", "cap": 5},
        {"action_type": "isolate_device", "cap": -1},
        {"action_type": "isolate_device", "cap": True},
        {"action_type": "isolate_device", "cap": "5"},
        {"action_type": "isolate_device"},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(acme: Tenant, details: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        caps.check_hourly_cap(acme.id, details)


def test_a_new_limit_is_on_record_and_on_its_page(
    acme: Tenant, ren: User, tess: User, browse: Callable[[User], Client]
) -> None:
    with acting_for(acme.id):
        details = caps.check_hourly_cap(acme.id, {"action_type": "isolate_device", "cap": 7, "more": "dropped"})
        assert "At most 7 × “Isolate device” will be sent in an hour (today 20)." in caps.describe_hourly_cap(
            acme.id, details
        )
        caps.make_hourly_cap(acme.id, details, ActorStamp(tess.pk, tess.email))
        assert caps.caps_of(acme.id, ["isolate_device", "offboard_device", "run_antivirus_scan"]) == {
            "isolate_device": 7,
            "offboard_device": 5,
        }
    with acting_for(acme.id):
        assert AuditEvent.objects.get(verb="hourly_limit.changed").data["before"] == {"cap": 20}
    page = browse(ren).get("/admin/safeguards/hourlycap/").content.decode()
    assert "Isolate device" in page
    assert "/ask/" not in page
    assert "/ask/" in browse(tess).get("/admin/safeguards/hourlycap/").content.decode()
    [row] = browse(ren).get("/api/v1/hourly-limits/").json()["results"]
    assert (row["action_type"], row["cap"]) == ("isolate_device", 7)


def test_the_sweep_forgets_old_counts(acme: Tenant) -> None:
    use_up(acme, 3, hours_ago=49)
    use_up(acme, 4, hours_ago=1)
    sweep()
    assert used(acme) == [4]
