"""Approvals that do not count, each with its clear refusal, its event in the history, and nothing sent."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from allauth.socialaccount.models import SocialAccount
from django.db import IntegrityError, connection
from django.test import Client

from portal.access.actors import Actor
from portal.access.exceptions import SecondFactorNeeded
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.embedded.servers import join_postgres
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services
from remediation.actions.binding import fingerprint
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.transitions import claim
from remediation.catalogue import WIRED
from remediation.safeguards.models import Freeze
from tests.factories import make_device, make_key, make_pending_action

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

pytestmark = pytest.mark.django_db(transaction=True)

AsActor = Callable[[User], Actor]
Browse = Callable[[User], Client]


@pytest.fixture
def isolation(acme: Tenant) -> RemediationAction:
    """Isolation of a laptop, proposed by automation; it takes one approval."""
    return make_pending_action(acme, make_device(acme))


@pytest.fixture
def offboarding(acme: Tenant) -> RemediationAction:
    """Offboarding of a laptop; it takes two approvals."""
    return make_pending_action(acme, make_device(acme), type_name="offboard_device")


def post(client: Client, action: RemediationAction, verb: str = "approve") -> "Answer":
    return client.post(f"/api/v1/actions/{action.pk}/{verb}/", {"reason": "Seen it."}, "application/json")


def edit(action: RemediationAction, *, parameters: dict[str, Any], sha256: str | None = None) -> None:
    """Change what an action does as only the server's superuser can, past its triggers and walls."""
    url = join_postgres().url("postgres", str(connection.settings_dict["NAME"]))
    with psycopg.connect(url) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(
            "UPDATE actions_remediationaction SET parameters = %s, parameters_sha256 = %s WHERE id = %s",
            [json.dumps(parameters), sha256 or action.parameters_sha256, action.pk],
        )


def refusals(action: RemediationAction) -> list[tuple[UUID | None, str]]:
    with acting_for(action.tenant_id):
        events = AuditEvent.objects.filter(object_id=action.pk, verb="action.approval_refused").order_by("seq")
        return [(event.actor_id, event.data["reason"]) for event in events]


def state_of(action: RemediationAction) -> str:
    with acting_for(action.tenant_id):
        return str(RemediationAction.objects.values_list("state", flat=True).get(pk=action.pk))


def is_claimed(action: RemediationAction) -> bool:
    return claim(action.tenant_id, owner="test", types=WIRED) is not None


def assert_refused(answer: "Answer", status: int, words: str, action: RemediationAction, *people: User) -> None:
    """The answer says so, the history too, and nothing is sent."""
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.json()
    found = refusals(action)
    assert [who for who, _reason in found] == [person.pk for person in people]
    assert words in found[-1][1]
    assert not is_claimed(action)


def test_one_person_over_two_logins_is_one_approval(offboarding: RemediationAction, bob: User, browse: Browse) -> None:
    first, second = browse(bob), browse(bob)
    assert first.session.session_key != second.session.session_key
    assert post(first, offboarding).json()["given_approvals"] == 1
    assert_refused(post(second, offboarding), 409, "takes another person", offboarding, bob)
    assert state_of(offboarding) == State.PENDING_APPROVAL


def test_one_account_at_an_identity_provider_is_linked_to_one_person(bob: User, bea: User) -> None:
    """So two approvers are never one person who signs in under two names."""
    SocialAccount.objects.create(user=bob, provider="acme", uid="the same subject")
    with pytest.raises(IntegrityError):
        SocialAccount.objects.create(user=bea, provider="acme", uid="the same subject")


def test_who_asked_does_not_approve(acme: Tenant, bob: User, browse: Browse) -> None:
    own = make_pending_action(acme, make_device(acme), requested_by=bob)
    assert_refused(post(browse(bob), own), 403, "asked for this action yourself", own, bob)


def test_what_was_edited_is_not_approved(isolation: RemediationAction, bob: User, browse: Browse) -> None:
    edit(isolation, parameters={"isolation_type": "Selective"})
    assert_refused(post(browse(bob), isolation), 409, "was changed after it was asked for", isolation, bob)
    assert post(browse(bob), isolation, "reject").status_code == 200


def test_an_edit_voids_the_approvals_given_before(
    offboarding: RemediationAction, bob: User, bea: User, browse: Browse
) -> None:
    post(browse(bob), offboarding)
    edited = {"note": "and wipe it"}
    with acting_for(offboarding.tenant_id):
        machine_id = offboarding.device.machine_id
    digest = fingerprint(offboarding.tenant_id, offboarding.type, machine_id, edited)
    edit(offboarding, parameters=edited, sha256=digest)
    answer = post(browse(bea), offboarding)
    assert (answer.json()["given_approvals"], answer.json()["state"]) == (1, "pending_approval")
    assert not is_claimed(offboarding)


def test_an_edit_between_approval_and_claim_stops_it(isolation: RemediationAction, bob: User, browse: Browse) -> None:
    post(browse(bob), isolation)
    edit(isolation, parameters={"isolation_type": "Selective"}, sha256="0" * 64)
    assert not is_claimed(isolation)


def test_what_expired_is_not_approved(isolation: RemediationAction, bob: User, browse: Browse) -> None:
    with acting_for(isolation.tenant_id):
        RemediationAction.objects.update(approve_before=datetime.now(UTC))
    assert_refused(post(browse(bob), isolation), 409, "has expired", isolation, bob)


def test_what_is_frozen_may_be_approved_and_waits(isolation: RemediationAction, bob: User, browse: Browse) -> None:
    with acting_for(isolation.tenant_id):
        Freeze.objects.create(tenant=isolation.tenant, reason="Maintenance.", frozen_by="pia@provider.example")
    client = browse(bob)
    page = client.get("/admin/actions/pendingaction/decide/approve/", {"id": str(isolation.pk)}).content.decode()
    assert "Sending is frozen" in page
    client.post("/admin/actions/pendingaction/decide/approve/", {"id": str(isolation.pk), "reason": "Seen it."})
    shown = client.get(f"/admin/actions/historyaction/{isolation.pk}/change/").content.decode()
    assert "what is approved waits" in shown
    assert (state_of(isolation), refusals(isolation)) == (State.APPROVED, [])
    assert not is_claimed(isolation)
    with acting_for(isolation.tenant_id):
        Freeze.objects.update(lifted_at=datetime.now(UTC))
    assert is_claimed(isolation)


def test_what_is_foreign_is_not_there(isolation: RemediationAction, gil: User, browse: Browse) -> None:
    foreign, unknown = post(browse(gil), isolation), post(browse(gil), RemediationAction(id=UUID(int=7)))
    assert (foreign.status_code, foreign.json()) == (404, unknown.json())
    assert refusals(isolation) == []


@pytest.mark.parametrize("verb", ["reject", "cancel", "approve"])
def test_what_is_decided_is_not_approved(
    isolation: RemediationAction, bob: User, bea: User, as_actor: AsActor, browse: Browse, verb: str
) -> None:
    with acting_for(isolation.tenant_id):
        getattr(services, f"{verb}_action")(isolation.pk, actor=as_actor(bea), reason="First.")
    answer = post(browse(bob), isolation)
    assert answer.status_code == 409
    [(who, words)] = refusals(isolation)
    assert (who, "no longer waits for approval" in words) == (bob.pk, True)
    assert is_claimed(isolation) == (verb == "approve")


def test_who_may_not_decide_and_a_key_are_refused_on_record(
    acme: Tenant, isolation: RemediationAction, ada: User, browse: Browse
) -> None:
    assert_refused(post(browse(ada), isolation), 403, "response (manage)", isolation, ada)
    key = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.APPROVER)}"})
    answer = post(key, isolation)
    assert (answer.status_code, "an API key cannot" in answer.json()["detail"]) == (403, True)
    assert len(refusals(isolation)) == 2


def test_a_forgotten_reason_is_no_refusal_on_record(isolation: RemediationAction, bob: User, browse: Browse) -> None:
    client = browse(bob)
    answer = client.post(f"/api/v1/actions/{isolation.pk}/approve/", {"reason": " "}, "application/json")
    assert (answer.status_code, refusals(isolation)) == (400, [])


def stale(actor: Actor) -> Actor:
    return replace(actor, second_factor_at=datetime.now(UTC) - timedelta(seconds=301))


def test_approving_what_is_destructive_takes_a_second_factor_just_shown(
    acme: Tenant, isolation: RemediationAction, bob: User, as_actor: AsActor, browse: Browse
) -> None:
    scan = make_pending_action(
        acme, make_device(acme), type_name="run_antivirus_scan", parameters={"scan_type": "Full"}
    )
    with acting_for(acme.id):
        for without in (stale(as_actor(bob)), replace(as_actor(bob), second_factor_at=None)):
            with pytest.raises(SecondFactorNeeded):
                services.approve_action(isolation.pk, actor=without, reason="x")
        assert services.approve_action(scan.pk, actor=stale(as_actor(bob)), reason="x").state == State.APPROVED
    assert state_of(isolation) == State.PENDING_APPROVAL
    client = browse(bob)
    session = client.session
    session["account_authentication_methods"][0]["at"] -= 301
    session.save()
    answer = post(client, isolation)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/second-factor-needed")
    asked = client.get("/admin/actions/pendingaction/decide/approve/", {"id": str(isolation.pk)})
    assert (asked.status_code, asked["Location"].startswith("/accounts/2fa/")) == (302, True)
    sent = client.post("/admin/actions/pendingaction/decide/approve/", {"id": str(isolation.pk), "reason": "x"})
    assert (sent.status_code, sent["Location"].startswith("/accounts/2fa/")) == (302, True)
    assert state_of(isolation) == State.PENDING_APPROVAL


def test_stopping_takes_none(
    acme: Tenant, isolation: RemediationAction, offboarding: RemediationAction, bob: User, as_actor: AsActor
) -> None:
    with acting_for(acme.id):
        done = services.approve_action(isolation.pk, actor=as_actor(bob), reason="x")
        services.cancel_action(done.pk, actor=stale(as_actor(bob)), reason="x")
        services.reject_action(offboarding.pk, actor=stale(as_actor(bob)), reason="x")
        release, _is_new = services.request_action(
            tenant_id=acme.id,
            type_name="release_from_isolation",
            device=isolation.device,
            parameters={},
            reason="x",
            actor=stale(as_actor(bob)),
        )
    assert (state_of(done), state_of(offboarding), state_of(release)) == ("cancelled", "rejected", "approved")


def test_sending_a_destructive_one_again_takes_one(isolation: RemediationAction, bob: User, as_actor: AsActor) -> None:
    with acting_for(isolation.tenant_id):
        services.approve_action(isolation.pk, actor=as_actor(bob), reason="x")
    assert is_claimed(isolation)
    with acting_for(isolation.tenant_id):
        for state in (State.UNKNOWN, State.NEEDS_ATTENTION):
            RemediationAction.objects.filter(pk=isolation.pk).update(**{"state": state})
        with pytest.raises(SecondFactorNeeded):
            services.resolve_action(isolation.pk, State.APPROVED, actor=stale(as_actor(bob)), reason="x")
        services.resolve_action(isolation.pk, State.FAILED, actor=stale(as_actor(bob)), reason="x")


def test_who_lost_the_role_between_approval_and_claim_does_not_count_and_the_page_says_so(
    isolation: RemediationAction, bob: User, bea: User, browse: Browse
) -> None:
    post(browse(bob), isolation)
    with acting_for(isolation.tenant_id):
        TenantMembership.objects.filter(user=bob).update(role=Role.ANALYST)
    assert not is_claimed(isolation)
    shown = browse(bea).get(f"/admin/actions/historyaction/{isolation.pk}/change/").content.decode()
    assert "no longer has all the approvals it needs" in shown
    with acting_for(isolation.tenant_id):
        TenantMembership.objects.filter(user=bob).update(role=Role.APPROVER)
    assert is_claimed(isolation)
