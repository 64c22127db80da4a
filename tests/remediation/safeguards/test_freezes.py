"""Freezes at their four levels: nothing is claimed after the COMMIT, nothing begins to be sent, nothing is lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.utils.dateparse import parse_datetime

from connectors.models import Connection
from connectors.registry import open_connection
from investigations.models import Device
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.models import ProviderMembership, Reach, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM, ActorStamp
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup
from portal.tenancy.scope import acting_for, viewing
from remediation.actions import tasks
from remediation.actions.execution import send
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source, State
from remediation.actions.transitions import claim
from remediation.catalogue import WIRED, Route
from remediation.safeguards import freezes
from remediation.safeguards.models import Freeze, HourlyUse
from tests.conftest import make_tenant
from tests.factories import default_group, make_device

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]

AsActor = Callable[[User], Actor]
OPERATOR = ActorStamp(None, "Command line")


def approved(tenant: Tenant, device: Device, type_name: str = "run_antivirus_scan") -> RemediationAction:
    """An action that runs by itself and nobody has sent."""
    parameters = {"scan_type": "Quick"} if type_name == "run_antivirus_scan" else {"isolation_type": "Full"}
    [action] = queue(tenant, [device], type_name, parameters)
    return action


def queue(tenant: Tenant, devices: list[Device], type_name: str, parameters: dict[str, Any]) -> list[RemediationAction]:
    proposals = [
        Proposal(
            tenant_id=tenant.id,
            type=type_name,
            source=Source.AUTOMATED_DEVICE,
            target=device.name,
            parameters=parameters,
            reason="A test.",
            is_approved=True,
            device=device,
        )
        for device in devices
    ]
    with acting_for(tenant.id):
        actions, _born = propose(tenant.id, proposals, actor=SYSTEM)
    return list(actions.values())


def stop(tenant_id: UUID, **level: str) -> Freeze:
    with acting_for(tenant_id):
        return freezes.stop_sending(tenant_id, by=OPERATOR, reason="Something is wrong.", **level)


def reread(action: RemediationAction) -> RemediationAction:
    with acting_for(action.tenant_id):
        return RemediationAction.objects.get(pk=action.pk)


def is_claimed(tenant: Tenant) -> bool:
    return claim(tenant.id, owner="test", types=WIRED) is not None


def group_admin_of(tenant: Tenant) -> User:
    """A provider admin whose role does not reach all tenants."""
    group = TenantGroup.objects.create(name="North")
    with acting_for(tenant.id):
        group.tenants.add(tenant)
    user = User.objects.create_user("gus@provider.example")
    ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.GROUP, group=group)
    return user


def test_in_the_middle_of_a_thousand_not_one_claim_follows_and_nothing_is_sent_a_second_later(vendor: Any) -> None:
    """Reliability row P2: 1,000 queued over four tenants, eight workers."""
    tenants = [_queued(vendor, number) for number in range(4)]
    every = [PROVIDER_TENANT_ID, *(tenant.id for tenant in tenants)]
    is_over = threading.Event()

    def work(number: int) -> None:
        try:
            while not is_over.is_set():
                for offset in range(4):
                    tasks.drain(str(tenants[(number + offset) % 4].id))
        finally:
            connection.close()

    def claims() -> int:
        return int(RemediationAction.objects.aggregate(total=Sum("fence"))["total"])

    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(work, number) for number in range(8)]
        while not 150 < _count(every, claims) < 800:
            assert not any(worker.done() for worker in workers)
        with viewing(every):
            freezes.stop_sending(PROVIDER_TENANT_ID, by=OPERATOR, reason="Everything, now.")
            before = claims()  # the freeze waited for the claims under way and lets no other one in
        committed = datetime.now(UTC)
        threading.Event().wait(2.5)
        is_over.set()
    for worker in workers:
        worker.result()

    assert _count(every, claims) == before
    late = [
        entry
        for tenant in tenants
        for entry in vendor.received(tenant)
        if (parse_datetime(entry["at"]) or committed) > committed + timedelta(seconds=1)
    ]
    assert late == []
    with viewing(every):
        states = set(RemediationAction.objects.values_list("state", flat=True))
        assert RemediationAction.objects.filter(state=State.APPROVED).count() > 100
    assert states <= {State.APPROVED, State.ACCEPTED, State.SUCCEEDED}


def _queued(vendor: Any, number: int) -> Tenant:
    tenant = make_tenant(f"t{number}")
    group = default_group(tenant)
    devices = [
        Device(tenant=tenant, machine_id=f"{number:08x}{place:032x}", name=f"pc-{place}", group=group)
        for place in range(250)
    ]
    vendor.seed(tenant, machines=[{"id": item.machine_id, "computerDnsName": item.name} for item in devices])
    with acting_for(tenant.id):
        Device.objects.bulk_create(devices)
        Connection.objects.create(tenant=tenant, login_url=vendor.url, defender_url=vendor.url, graph_url=vendor.url)
    queue(tenant, devices, "run_antivirus_scan", {"scan_type": "Quick"})
    return tenant


def _count(tenant_ids: list[UUID], question: Callable[[], int]) -> int:
    with viewing(tenant_ids):
        return question()


def test_a_freeze_waits_for_claims_under_way_and_claims_wait_for_a_freeze(acme: Tenant) -> None:
    for place in range(2):
        approved(acme, make_device(acme, f"pc-{place}"))
    has_claimed, may_commit = threading.Event(), threading.Event()

    def claim_slowly() -> None:
        with acting_for(acme.id):
            assert is_claimed(acme)
            has_claimed.set()
            may_commit.wait(10)
        connection.close()

    def claim_another() -> bool:
        try:
            return is_claimed(acme)
        finally:
            connection.close()

    def freeze() -> None:
        stop(PROVIDER_TENANT_ID, action_type="isolate_device")
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        slow = pool.submit(claim_slowly)
        assert has_claimed.wait(10)
        freezing = pool.submit(freeze)
        with pytest.raises(TimeoutError):
            freezing.result(timeout=0.5)
        may_commit.set()
        slow.result(timeout=10)
        freezing.result(timeout=10)

        with acting_for(acme.id):
            freezes.stop_sending(acme.id, by=OPERATOR, reason="Everything.")
            other = pool.submit(claim_another)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.5)
        assert other.result(timeout=10) is False


@pytest.mark.parametrize(
    ("over_all", "level", "is_held"),
    [
        (True, {}, True),
        (False, {}, True),
        (True, {"action_type": "isolate_device"}, True),
        (False, {"action_type": "isolate_device"}, True),
        (False, {"action_type": "run_antivirus_scan"}, False),
        (True, {"connector": Route.DEFENDER.value}, True),
        (False, {"connector": Route.GRAPH.value}, False),
        (False, {"connector": Route.QUELL.value}, False),
    ],
)
def test_each_level_holds_what_it_names_and_nothing_else(
    acme: Tenant, globex: Tenant, over_all: bool, level: dict[str, str], is_held: bool
) -> None:
    isolation = approved(acme, make_device(acme), "isolate_device")
    approved(globex, make_device(globex), "isolate_device")
    row = stop(PROVIDER_TENANT_ID if over_all else acme.id, **level)

    assert is_claimed(acme) is not is_held
    assert is_claimed(globex) is not (over_all and is_held)
    if is_held:
        assert reread(isolation).state == State.APPROVED
        with acting_for(row.tenant_id):
            freezes.lift(row.tenant_id, row.pk, by=OPERATOR)
        assert is_claimed(acme)


def test_a_frozen_type_does_not_keep_the_others_waiting(acme: Tenant) -> None:
    device = make_device(acme)
    approved(acme, device, "isolate_device")
    scan = approved(acme, device)
    stop(acme.id, action_type="isolate_device")

    claimed = claim(acme.id, owner="test", types=WIRED)
    assert claimed is not None
    assert claimed.action_id == scan.pk


def test_what_was_claimed_before_the_freeze_stops_at_the_socket_and_goes_out_when_it_is_lifted(
    connected: Tenant, vendor: Any
) -> None:
    device = make_device(connected)
    vendor.seed(connected, machines=[{"id": device.machine_id, "computerDnsName": "pc-1"}])
    action = approved(connected, device, "isolate_device")
    claimed = claim(connected.id, owner="test", types=WIRED)
    assert claimed is not None
    row = stop(connected.id)

    with acting_for(connected.id):
        wanted = Connection.objects.get().as_settings()
    send(claimed, open_connection(wanted, deadline_seconds=5))

    assert vendor.received(connected) == []
    assert (reread(action).state, reread(action).error_code) == (State.APPROVED, "Frozen")
    with acting_for(connected.id):
        assert HourlyUse.objects.get().used == 0
        freezes.lift(connected.id, row.pk, by=OPERATOR)
    tasks.drain(str(connected.id))
    assert reread(action).state == State.ACCEPTED
    assert len(vendor.received(connected)) == 1


def test_who_may_freeze_what(acme: Tenant, globex: Tenant, pia: User, tess: User, as_actor: AsActor) -> None:
    gus = group_admin_of(acme)

    def try_it(user: User, tenant_id: UUID, **level: str) -> Freeze:
        with viewing([PROVIDER_TENANT_ID, acme.id, globex.id]):
            return freezes.freeze(tenant_id, actor=as_actor(user), reason="Stop.", **level)

    for user, tenant_id in ((tess, acme.id), (gus, globex.id), (gus, PROVIDER_TENANT_ID)):
        with pytest.raises(Forbidden):
            try_it(user, tenant_id)
    assert try_it(gus, acme.id).frozen_by == "gus@provider.example"
    assert try_it(pia, PROVIDER_TENANT_ID).reason == "Stop."
    with pytest.raises(Conflict):
        try_it(pia, PROVIDER_TENANT_ID)
    for wrong in ({"action_type": "no_such"}, {"connector": "Carrier pigeon"}, {"action_type": "isolate_device",
                  "connector": Route.DEFENDER.value}):  # fmt: skip
        with pytest.raises(BadRequest):
            try_it(pia, globex.id, **wrong)


def test_the_shell_freezes_lists_and_lifts_on_record(acme: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("freeze", "--reason", "An outage.", "--connector", Route.DEFENDER.value)
    call_command("freeze", "--tenant", "acme", "--reason", "A drill.")
    with pytest.raises(CommandError, match="frozen already"):
        call_command("freeze", "--tenant", "acme", "--reason", "Again.")
    call_command("freeze", "--tenant", "acme", "--list")
    listed = capsys.readouterr().out.strip().splitlines()[-2:]
    assert [("all tenants" in line, "A drill." in line) for line in listed] == [(True, False), (False, True)]

    with acting_for(acme.id):
        own = Freeze.objects.get()
    with pytest.raises(CommandError, match="no such freeze"):
        call_command("freeze", "--lift", str(own.pk))
    call_command("freeze", "--tenant", "acme", "--lift", str(own.pk))

    with viewing([acme.id, PROVIDER_TENANT_ID]):
        events = list(
            AuditEvent.objects.filter(verb__startswith="sending.").order_by("at").values_list("tenant", "verb")
        )
    assert events == [
        (PROVIDER_TENANT_ID, "sending.frozen"),
        (acme.id, "sending.frozen"),
        (acme.id, "sending.lifted"),
    ]


def test_the_api_freezes_lists_and_says_what_an_action_waits_for(
    acme: Tenant, pia: User, ren: User, browse: Callable[[User], Client]
) -> None:
    action = approved(acme, make_device(acme))
    client, reader = browse(pia), browse(ren)

    def post(**body: Any) -> Any:
        return client.post("/api/v1/freezes/", {"reason": "Under attack."} | body, content_type="application/json")

    assert post().status_code == post(tenant=str(acme.id), all_tenants=True).status_code == 400
    made = post(all_tenants=True)
    assert (made.status_code, made.json()["in_force"]) == (201, True)
    assert post(tenant=str(acme.id), action_type="isolate_device").status_code == 201
    refused = reader.post(
        "/api/v1/freezes/", {"tenant": str(acme.id), "reason": "Me too."}, content_type="application/json"
    )
    assert refused.status_code == 403
    assert len(client.get("/api/v1/freezes/?in_force=true").json()["results"]) == 2
    assert [row["action_type"] for row in reader.get("/api/v1/freezes/").json()["results"]] == ["isolate_device"]
    assert "Under attack." in reader.get(f"/api/v1/actions/{action.pk}/").json()["waits_for"]


def test_everybody_it_concerns_reads_it_on_every_page(
    acme: Tenant, globex: Tenant, ren: User, gil: User, pia: User, browse: Callable[[User], Client]
) -> None:
    action = approved(acme, make_device(acme))
    stop(acme.id)
    assert "Something is wrong." in browse(ren).get("/admin/").content.decode()
    assert "Something is wrong." not in browse(gil).get("/admin/").content.decode()
    page = browse(ren).get(f"/admin/actions/historyaction/{action.pk}/change/").content.decode()
    assert "It is sent when the freeze is lifted, unless" in page

    client = browse(pia)
    asked = client.get(f"/admin/safeguards/freeze/add/?tenant={PROVIDER_TENANT_ID}&action_type=&connector=")
    assert "1 approved action will wait" in asked.content.decode()
    made = client.post(
        f"/admin/safeguards/freeze/add/?tenant={PROVIDER_TENANT_ID}&action_type=&connector=", {"reason": "All of it."}
    )
    assert made.status_code == 302
    assert "All of it." in browse(gil).get("/admin/").content.decode()
    assert browse(gil).get("/admin/safeguards/freeze/add/").status_code == 403
