"""Protected devices: two people stand behind whatever harms one, at the decision, at the asking and at the claim."""

from collections.abc import Callable

import pytest
from django.test import Client

from investigations.models import Device
from investigations.states import EvidenceKind, EvidenceOutcome
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.audit.recording import ActorStamp
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services
from remediation.actions.deciding import decide_evidence
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.transitions import claim
from remediation.actions.waiting import describe_wait
from remediation.catalogue import WIRED
from remediation.safeguards import protection
from tests.factories import make_alert, make_device, make_evidence, make_group, make_investigation, make_pending_action

pytestmark = pytest.mark.django_db(transaction=True)

AsActor = Callable[[User], Actor]


@pytest.fixture
def server(acme: Tenant) -> Device:
    """A device in a group where automation acts by itself."""
    return make_device(acme, "dc-1", group=make_group(acme))


@pytest.fixture
def protect(server: Device, tess: User, as_actor: AsActor) -> Callable[[], None]:
    """Protect the server, as Acme's own admin does."""

    def now() -> None:
        with acting_for(server.tenant_id):
            protection.protect(server, actor=as_actor(tess), reason="A domain controller.")

    return now


def decided(server: Device) -> RemediationAction:
    """What follows from malware on the server."""
    alert = make_alert(server.tenant, make_investigation(server.tenant))
    evidence = make_evidence(alert, server, kind=EvidenceKind.FILE, file_path=r"D:\Data\bad.exe", outcome="")
    with acting_for(server.tenant_id):
        [action] = decide_evidence(server.tenant, [evidence.pk])
        evidence.refresh_from_db()
    wanted = EvidenceOutcome.AUTOMATIC if action.state == State.APPROVED else EvidenceOutcome.PENDING
    assert evidence.outcome == wanted
    return action


def is_claimed(tenant: Tenant) -> bool:
    return claim(tenant.id, owner="test", types=WIRED) is not None


def approve(action: RemediationAction, user: User, as_actor: AsActor) -> str:
    with acting_for(action.tenant_id):
        return services.approve_action(action.pk, actor=as_actor(user), reason="Seen.").state


def test_automation_asks_two_people(server: Device, protect: Callable[[], None]) -> None:
    protect()
    action = decided(server)
    assert (action.state, action.required_approvals) == (State.PENDING_APPROVAL, 2)
    assert action.reason == "It is malicious, and the device is protected: two people decide."


def test_a_person_who_asks_needs_two_others_and_a_release_needs_none(
    acme: Tenant, server: Device, protect: Callable[[], None], ada: User, bob: User, as_actor: AsActor
) -> None:
    protect()
    assert make_pending_action(acme, server, requested_by=ada).required_approvals == 2
    with acting_for(acme.id):
        release, _is_new = services.request_action(
            tenant_id=acme.id,
            type_name="release_from_isolation",
            device=server,
            parameters={},
            reason="It must work again.",
            actor=as_actor(bob),
        )
        scan = make_pending_action(
            acme, server, type_name="run_antivirus_scan", parameters={"scan_type": "Full"}, requested_by=ada
        )
    assert release.state == State.APPROVED
    assert scan.required_approvals == 1


def test_what_was_to_run_by_itself_waits_once_the_device_is_protected(
    acme: Tenant, server: Device, protect: Callable[[], None]
) -> None:
    action = decided(server)
    assert action.state == State.APPROVED
    protect()

    assert not is_claimed(acme)
    with acting_for(acme.id):
        assert "Its device is protected by now" in describe_wait(action)
        protection.make_unprotect(acme.id, {"device": str(server.pk)}, ActorStamp(None, "Somebody"))
        assert describe_wait(action) == ""
    assert is_claimed(acme)


def test_one_approval_from_before_is_not_enough_and_two_are(
    acme: Tenant, server: Device, protect: Callable[[], None], bob: User, bea: User, as_actor: AsActor
) -> None:
    early = make_pending_action(acme, server)
    assert approve(early, bob, as_actor) == State.APPROVED
    waiting = make_pending_action(acme, server, type_name="restrict_code_execution")
    protect()

    assert not is_claimed(acme)
    assert approve(waiting, bob, as_actor) == State.PENDING_APPROVAL
    assert approve(waiting, bea, as_actor) == State.APPROVED
    assert is_claimed(acme)
    assert not is_claimed(acme)


def test_one_person_protects_on_record_and_only_who_may(
    server: Device, ren: User, bob: User, tess: User, gil: User, browse: Callable[[User], Client], as_actor: AsActor
) -> None:
    def post(user: User) -> int:
        body = {"device": str(server.pk), "reason": "A ventilator."}
        return browse(user).post("/api/v1/protected-devices/", body, content_type="application/json").status_code

    assert [post(user) for user in (ren, bob, gil, tess, tess)] == [403, 403, 400, 201, 409]
    [row] = browse(ren).get("/api/v1/protected-devices/").json()["results"]
    assert (row["device_name"], row["protected_by"], row["reason"]) == ("dc-1", tess.email, "A ventilator.")
    assert browse(gil).get("/api/v1/protected-devices/").json()["results"] == []
    with acting_for(server.tenant_id):
        event = AuditEvent.objects.get(object_id=server.pk, verb="device.protected")
        assert event.data["after"] == {"reason": "A ventilator."}
        with pytest.raises(Forbidden):
            protection.protect(server, actor=as_actor(bob), reason="Again.")
        with pytest.raises(Conflict):
            protection.protect(server, actor=as_actor(tess), reason="Again.")
        for wrong in ({}, {"device": "?"}, {"device": str(row["id"])}):
            with pytest.raises(BadRequest):
                protection.check_unprotect(server.tenant_id, wrong)


def test_the_devices_page_says_so_and_lets_its_admin_protect_it(
    server: Device, ren: User, tess: User, browse: Callable[[User], Client]
) -> None:
    page, client = f"/admin/investigations/device/{server.pk}/change/", browse(tess)
    verb = f"/admin/investigations/device/{server.pk}/protect/"
    assert verb in client.get(page).content.decode()
    assert verb not in browse(ren).get(page).content.decode()
    assert browse(ren).get(verb).status_code == 403

    assert client.post(verb, {"reason": "A hypervisor."}).status_code == 302

    shown = browse(ren).get(page).content.decode()
    assert "A hypervisor." in shown
    assert "Protected" in shown
    assert "A hypervisor." in browse(ren).get("/admin/safeguards/protecteddevice/").content.decode()
