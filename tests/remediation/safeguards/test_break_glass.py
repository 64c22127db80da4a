"""Break-glass: one person alone, for minutes, one action at a time, loudly, and reviewed by somebody else in a day."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden, SecondFactorNeeded
from portal.access.models import TenantMembership, User
from portal.access.roles import CAPABILITIES, Capability, Role
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from remediation.actions import services
from remediation.actions.exceptions import IllegalMove
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.states import State
from remediation.actions.transitions import claim
from remediation.catalogue import WIRED
from remediation.safeguards import break_glass
from remediation.safeguards.models import BreakGlass, Freeze, HourlyCap, ProtectedDevice
from tests.conftest import make_member
from tests.factories import make_device, make_key, make_pending_action

pytestmark = pytest.mark.django_db(transaction=True)

AsActor = Callable[[User], Actor]
REASON = "Ransomware is spreading through the ward."


@pytest.fixture(autouse=True)
def quiet_bells(forget_cache: Callable[[], None]) -> None:
    """No alarm of an earlier test keeps this one's from ringing."""


@pytest.fixture
def bix(acme: Tenant) -> User:
    """Who may break the glass in Acme."""
    return make_member("bix", acme, Role.BREAK_GLASS)


@pytest.fixture
def use(acme: Tenant, bix: User, as_actor: AsActor) -> BreakGlass:
    """Bix's emergency, open."""
    return open_one(acme, as_actor(bix))


@pytest.fixture
def own(acme: Tenant, bix: User) -> RemediationAction:
    """An isolation that Bix asked for."""
    return make_pending_action(acme, make_device(acme), requested_by=bix)


def open_one(tenant: Tenant, actor: Actor, reason: str = REASON) -> BreakGlass:
    with acting_for(tenant.id):
        return break_glass.open_break_glass(tenant.id, actor=actor, reason=reason)


def approve_alone(action: RemediationAction, actor: Actor) -> RemediationAction:
    with acting_for(action.tenant_id):
        return services.approve_in_emergency(action.pk, actor=actor, reason="No time.")


def review(use: BreakGlass, actor: Actor, words: str = "It was one, and each was right.") -> BreakGlass:
    with acting_for(use.tenant_id):
        return break_glass.review_break_glass(use.pk, actor=actor, words=words)


def is_claimed(tenant: Tenant) -> bool:
    return claim(tenant.id, owner="test", types=WIRED) is not None


def change(use: BreakGlass, **values: Any) -> None:
    with acting_for(use.tenant_id):
        BreakGlass.objects.filter(pk=use.pk).update(**values)


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def verbs_of(tenant: Tenant) -> list[str]:
    with acting_for(tenant.id):
        return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def test_alone_one_approves_even_ones_own_and_it_is_sent(
    acme: Tenant, bix: User, use: BreakGlass, own: RemediationAction, as_actor: AsActor
) -> None:
    assert approve_alone(own, as_actor(bix)).state == State.APPROVED
    assert is_claimed(acme)
    assert {"break_glass.opened", "action.emergency_approve_given", "action.approved"} <= set(verbs_of(acme))
    with acting_for(acme.id):
        assert Decision.objects.get(action=own).break_glass == use


def test_what_takes_two_takes_one_in_an_emergency(acme: Tenant, bix: User, use: BreakGlass, as_actor: AsActor) -> None:
    approve_alone(make_pending_action(acme, make_device(acme), type_name="offboard_device"), as_actor(bix))
    assert is_claimed(acme)


def test_without_an_open_use_the_role_alone_approves_nothing(
    acme: Tenant, bix: User, own: RemediationAction, as_actor: AsActor
) -> None:
    with pytest.raises(Conflict, match="Open it first"):
        approve_alone(own, as_actor(bix))
    with acting_for(acme.id), pytest.raises(Forbidden):
        services.approve_action(own.pk, actor=as_actor(bix), reason="x")


def test_it_ends_by_time_and_what_was_approved_before_still_goes(
    acme: Tenant, bix: User, use: BreakGlass, own: RemediationAction, as_actor: AsActor
) -> None:
    approve_alone(own, as_actor(bix))
    other = make_pending_action(acme, make_device(acme, "pc-2"), requested_by=bix)
    change(use, ends_at=datetime.now(UTC))
    with pytest.raises(Conflict):
        approve_alone(other, as_actor(bix))
    assert is_claimed(acme)
    assert not is_claimed(acme)


@pytest.mark.parametrize("what", ["decided after it ended", "decided before it opened", "role lost", "another's use"])
def test_the_claim_takes_only_a_decision_of_that_person_in_that_time_who_still_holds_the_role(
    acme: Tenant, bix: User, ada: User, use: BreakGlass, own: RemediationAction, as_actor: AsActor, what: str
) -> None:
    approve_alone(own, as_actor(bix))
    if what == "decided after it ended":
        change(use, opened_at=ago(minutes=20), ends_at=ago(minutes=5))
    elif what == "decided before it opened":
        change(use, opened_at=datetime.now(UTC) + timedelta(minutes=1))
    elif what == "role lost":
        with acting_for(acme.id):
            TenantMembership.objects.filter(user=bix).update(role=Role.ANALYST)
    else:
        change(use, user=ada)
    assert not is_claimed(acme)


def test_freezes_limits_and_protected_devices_hold_in_it(
    acme: Tenant, bix: User, use: BreakGlass, own: RemediationAction, as_actor: AsActor
) -> None:
    with acting_for(acme.id):
        frozen = Freeze.objects.create(tenant=acme, reason="Calm down.", frozen_by="pia")
        limit = HourlyCap.objects.create(tenant=acme, action_type="isolate_device", cap=0)
    assert approve_alone(own, as_actor(bix)).state == State.APPROVED
    assert not is_claimed(acme)
    with acting_for(acme.id):
        Freeze.objects.filter(pk=frozen.pk).update(lifted_at=datetime.now(UTC))
    assert not is_claimed(acme)
    with acting_for(acme.id):
        HourlyCap.objects.filter(pk=limit.pk).update(cap=1)
        protection = ProtectedDevice.objects.create(tenant=acme, device=own.device, reason="DC", protected_by="tess")
    assert not is_claimed(acme)
    controller = make_pending_action(acme, protection.device, type_name="restrict_code_execution")
    with pytest.raises(Conflict, match="protected"):
        approve_alone(controller, as_actor(bix))
    with acting_for(acme.id):
        ProtectedDevice.objects.all().delete()
    assert is_claimed(acme)


def test_a_cancellation_before_the_claim_wins(
    acme: Tenant, bix: User, bob: User, use: BreakGlass, own: RemediationAction, as_actor: AsActor
) -> None:
    approve_alone(own, as_actor(bix))
    with acting_for(acme.id):
        services.cancel_action(own.pk, actor=as_actor(bob), reason="It is the wrong ward.")
    assert not is_claimed(acme)


def test_a_rejected_action_cannot_be_approved_in_it(
    acme: Tenant, bix: User, bob: User, use: BreakGlass, own: RemediationAction, as_actor: AsActor
) -> None:
    with acting_for(acme.id):
        services.reject_action(own.pk, actor=as_actor(bob), reason="No.")
    with pytest.raises(IllegalMove):
        approve_alone(own, as_actor(bix))


def test_opening_and_approving_take_a_fresh_second_factor(
    acme: Tenant, bix: User, own: RemediationAction, as_actor: AsActor
) -> None:
    stale = replace(as_actor(bix), second_factor_at=ago(minutes=6))
    with pytest.raises(SecondFactorNeeded):
        open_one(acme, stale)
    open_one(acme, as_actor(bix))
    with pytest.raises(SecondFactorNeeded):
        approve_alone(own, stale)


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.BREAK_GLASS, Role.PROVIDER_ADMIN)])
def test_only_the_role_opens_it(acme: Tenant, role: Role, as_actor: AsActor) -> None:
    with pytest.raises(Forbidden):
        open_one(acme, as_actor(make_member("olaf", acme, role)))


def test_the_role_can_do_nothing_else_that_two_people_or_admins_do() -> None:
    held = CAPABILITIES[Role.BREAK_GLASS]
    assert held - CAPABILITIES[Role.ANALYST] == {Capability.BREAK_GLASS}
    assert [role for role in Role if Capability.BREAK_GLASS in CAPABILITIES[role]] == [Role.BREAK_GLASS]


@pytest.mark.parametrize("reason", ["", "Emergency!", " " * 40])
def test_the_reason_is_a_sentence(acme: Tenant, bix: User, as_actor: AsActor, reason: str) -> None:
    with pytest.raises(BadRequest):
        open_one(acme, as_actor(bix), reason)


def test_no_second_one_before_ones_own_is_reviewed(
    acme: Tenant, globex: Tenant, bix: User, tess: User, use: BreakGlass, as_actor: AsActor
) -> None:
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=bix, role=Role.BREAK_GLASS)
    change(use, ends_at=ago(minutes=1))
    actor = as_actor(bix)
    for tenant in (acme, globex):
        with viewing([acme.id, globex.id]), pytest.raises(Conflict, match="not been reviewed"):
            break_glass.open_break_glass(tenant.id, actor=actor, reason=REASON)
    review(use, as_actor(tess))
    assert open_one(acme, actor).pk != use.pk


def test_an_overdue_review_stops_everybody_in_that_tenant(
    acme: Tenant, use: BreakGlass, tess: User, as_actor: AsActor
) -> None:
    other = as_actor(make_member("bax", acme, Role.BREAK_GLASS))
    change(use, review_before=ago(seconds=1))
    with pytest.raises(Conflict, match="overdue"):
        open_one(acme, other)
    review(use, as_actor(tess))
    open_one(acme, other)


def test_somebody_else_reviews_it_who_manages_the_policy_once_with_words(
    acme: Tenant, bix: User, bob: User, tess: User, use: BreakGlass, as_actor: AsActor
) -> None:
    with acting_for(acme.id):
        TenantMembership.objects.create(tenant=acme, user=bix, role=Role.TENANT_ADMIN)
    with pytest.raises(Forbidden, match="your own"):
        review(use, as_actor(bix))
    with pytest.raises(Forbidden):
        review(use, as_actor(bob))
    with pytest.raises(BadRequest):
        review(use, as_actor(tess), "  ")
    assert review(use, as_actor(tess)).ends_at <= datetime.now(UTC)
    with pytest.raises(Conflict, match="already"):
        review(use, as_actor(tess))
    with acting_for(acme.id):
        event = AuditEvent.objects.get(verb="break_glass.reviewed")
    assert (event.actor_id, event.data["before"], event.data["after"]) == (
        tess.pk,
        {"review": None},
        {"review": "It was one, and each was right."},
    )


def test_a_banner_on_every_page_of_who_sees_the_tenant_until_it_is_reviewed(
    use: BreakGlass, ren: User, gil: User, tess: User, as_actor: AsActor, browse: Callable[[User], Client]
) -> None:
    words = "Break glass was opened for Acme by bix@acme.example"
    for page in ("/admin/", "/admin/actions/pendingaction/", "/admin/investigations/device/"):
        assert words in browse(ren).get(page).content.decode()
        assert words not in browse(gil).get(page).content.decode()
    change(use, review_before=ago(seconds=1))
    overview = browse(ren).get("/admin/").content.decode()
    assert "is overdue" in overview
    assert "count-card-bad" in overview
    review(use, as_actor(tess))
    assert 'class="banner"' not in browse(ren).get("/admin/").content.decode()


def test_by_its_pages_one_opens_approves_alone_and_another_reviews(
    acme: Tenant, bix: User, bob: User, tess: User, own: RemediationAction, browse: Callable[[User], Client]
) -> None:
    client = browse(bix)
    assert "Everybody who decides" in client.get("/admin/safeguards/breakglass/add/").content.decode()
    opened = client.post("/admin/safeguards/breakglass/add/", {"tenant": str(acme.pk), "reason": REASON})
    page = opened["Location"]
    assert "Approved in it" in client.get(page).content.decode()
    shown = client.get(f"/admin/actions/pendingaction/{own.pk}/change/").content.decode()
    assert "decide/break_glass/" in shown
    assert "decide/approve/" not in shown
    decide = "/admin/actions/pendingaction/decide/break_glass/"
    assert "You alone approve this" in client.get(decide, {"id": str(own.pk)}).content.decode()
    client.post(decide, {"id": str(own.pk), "reason": "No time."})
    assert is_claimed(acme)
    assert "/review/" not in client.get(page).content.decode()
    reviewing = page.replace("/change/", "/review/")
    assert "No time." in browse(tess).get(reviewing).content.decode()
    browse(bob).post(reviewing, {"review": "Looks fine."})
    browse(tess).post(reviewing, {"review": "It was one."})
    with acting_for(acme.id):
        assert BreakGlass.objects.get().reviewed_by == tess


def test_never_several_at_once(
    acme: Tenant, bix: User, use: BreakGlass, own: RemediationAction, browse: Callable[[User], Client]
) -> None:
    other = make_pending_action(acme, make_device(acme, "pc-2"))
    url = "/admin/actions/pendingaction/decide/break_glass/"
    assert browse(bix).post(url, {"id": [str(own.pk), str(other.pk)], "reason": "x"}).status_code == 403
    with acting_for(acme.id):
        assert set(RemediationAction.objects.values_list("state", flat=True)) == {State.PENDING_APPROVAL}


def test_the_api_opens_approves_lists_and_reviews(
    acme: Tenant, bix: User, tess: User, gil: User, own: RemediationAction, browse: Callable[[User], Client]
) -> None:
    def post(user: User, path: str, **body: str) -> Any:
        return browse(user).post(f"/api/v1/{path}/", body, "application/json")

    opened = post(bix, "break-glass", tenant=str(acme.pk), reason=REASON)
    assert opened.status_code == 201, opened.json()
    assert post(bix, f"actions/{own.pk}/break-glass", reason="No time.").json()["state"] == "approved"
    [row] = browse(tess).get("/api/v1/break-glass/?unreviewed=true").json()["results"]
    assert row["approved_actions"] == [str(own.pk)]
    path = f"break-glass/{row['id']}/review"
    assert post(bix, path, review="x").status_code == 403
    assert post(gil, path, review="x").status_code == 404
    assert post(tess, path, review="It was one.").json()["reviewed_by"]["email"] == tess.email
    assert browse(tess).get("/api/v1/break-glass/?unreviewed=true").json()["results"] == []


@pytest.mark.parametrize("path", ["/api/v1/break-glass/", "/admin/safeguards/breakglass/", "/admin/"])
def test_a_list_costs_the_same_for_one_row_and_for_many(
    acme: Tenant,
    use: BreakGlass,
    tess: User,
    browse: Callable[[User], Client],
    django_assert_num_queries: Any,
    path: str,
) -> None:
    client = browse(tess)
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    with acting_for(acme.id):
        for number in range(4):
            user = make_member(f"more-{number}", acme, Role.BREAK_GLASS)
            times = {"ends_at": use.ends_at, "review_before": use.review_before}
            BreakGlass.objects.create(tenant=acme, user=user, reason=REASON, **times)
    with django_assert_num_queries(len(few)):
        client.get(path)


def test_a_key_never_breaks_the_glass(acme: Tenant) -> None:
    key = Client(headers={"Authorization": f"Api-Key {make_key(acme, Role.BREAK_GLASS)}"})
    body = {"tenant": str(acme.pk), "reason": REASON}
    assert key.post("/api/v1/break-glass/", body, "application/json").status_code == 403


def test_a_refused_opening_is_on_record(acme: Tenant, bob: User, browse: Callable[[User], Client]) -> None:
    body = {"tenant": str(acme.pk), "reason": REASON}
    assert browse(bob).post("/api/v1/break-glass/", body, "application/json").status_code == 403
    with acting_for(acme.id):
        assert AuditEvent.objects.get(verb="break_glass.refused").actor_id == bob.pk
