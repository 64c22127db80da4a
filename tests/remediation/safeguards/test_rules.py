"""Approval rules: default or the tenant's own, held by what is proposed, waits or is not sent yet."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import services
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.transitions import claim
from remediation.catalogue import CATALOGUE, WIRED
from remediation.safeguards.models import ApprovalRule
from remediation.safeguards.rules import check_rule, make_rule, required_approvals, rules_of
from tests.conftest import make_tenant
from tests.factories import make_device, make_pending_action

pytestmark = pytest.mark.django_db

AsActor = Callable[[User], Actor]


def set_rule(tenant: Tenant, approvers: int, type_name: str = "isolate_device") -> None:
    with acting_for(tenant.id):
        ApprovalRule.objects.update_or_create(tenant=tenant, action_type=type_name, defaults={"approvers": approvers})


def approve(action: RemediationAction, user: User, as_actor: AsActor) -> State:
    with acting_for(action.tenant_id):
        return State(services.approve_action(action.pk, actor=as_actor(user), reason="Seen.").state)


def test_a_rule_is_the_catalogues_until_the_tenant_says_otherwise(acme: Tenant, globex: Tenant) -> None:
    set_rule(acme, 3)
    with acting_for(acme.id):
        assert required_approvals(acme.id, ["isolate_device", "offboard_device"]) == {
            "isolate_device": 3,
            "offboard_device": 2,
        }
        shown = {rule.kind.name: (rule.approvers, rule.is_default) for rule in rules_of([acme.id])[acme.id]}
    assert shown["isolate_device"] == (3, False)
    assert shown["offboard_device"] == (2, True)
    assert shown["release_from_isolation"] == (0, True)
    assert len(shown) == len(CATALOGUE)
    with acting_for(globex.id):
        assert required_approvals(globex.id, ["isolate_device"]) == {"isolate_device": 1}


@pytest.mark.parametrize(
    "details",
    [
        {"action_type": "isolate_device", "approvers": 0},
        {"action_type": "isolate_device", "approvers": 6},
        {"action_type": "isolate_device", "approvers": "2"},
        {"action_type": "isolate_device", "approvers": True},
        {"action_type": "isolate_device"},
        {"action_type": "release_from_isolation", "approvers": 1},
        {"action_type": "no_such_thing", "approvers": 1},
        {},
    ],
)
def test_a_rule_is_from_one_to_five_for_what_needs_approval(acme: Tenant, details: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        check_rule(acme.id, details)


def test_a_raised_rule_holds_for_what_waits(acme: Tenant, bob: User, bea: User, as_actor: AsActor) -> None:
    waiting = make_pending_action(acme, make_device(acme))
    set_rule(acme, 2)
    assert approve(waiting, bob, as_actor) == State.PENDING_APPROVAL
    assert approve(waiting, bea, as_actor) == State.APPROVED


@pytest.mark.django_db(transaction=True)
def test_a_raised_rule_holds_for_what_is_approved_and_not_sent(acme: Tenant, bob: User, as_actor: AsActor) -> None:
    approved = make_pending_action(acme, make_device(acme))
    assert approve(approved, bob, as_actor) == State.APPROVED
    set_rule(acme, 2)
    assert claim(acme.id, owner="test", types=WIRED) is None
    set_rule(acme, 1)
    assert claim(acme.id, owner="test", types=WIRED) is not None


def test_a_lowered_rule_keeps_what_was_asked_before(acme: Tenant, bob: User, bea: User, as_actor: AsActor) -> None:
    asked_before = make_pending_action(acme, make_device(acme), type_name="offboard_device")
    set_rule(acme, 1, "offboard_device")
    assert approve(asked_before, bob, as_actor) == State.PENDING_APPROVAL
    asked_after = make_pending_action(acme, make_device(acme, "pc-2"), type_name="offboard_device")
    assert approve(asked_after, bob, as_actor) == State.APPROVED
    assert approve(asked_before, bea, as_actor) == State.APPROVED


def test_a_new_rule_is_on_record_with_before_and_after(acme: Tenant, tess: User, as_actor: AsActor) -> None:
    with acting_for(acme.id):
        make_rule(acme.id, {"action_type": "isolate_device", "approvers": 2}, as_actor(tess).stamp)
        make_rule(acme.id, {"action_type": "isolate_device", "approvers": 4}, as_actor(tess).stamp)
    with acting_for(acme.id):
        events = AuditEvent.objects.filter(verb="approval_rule.changed").order_by("seq")
        found = [(event.data["before"], event.data["after"], event.actor_id) for event in events]
    assert found == [
        ({"approvers": 1}, {"approvers": 2}, tess.pk),
        ({"approvers": 2}, {"approvers": 4}, tess.pk),
    ]


def test_the_page_shows_every_type_and_where_its_number_comes_from(
    acme: Tenant, tess: User, ren: User, browse: Callable[[User], Client]
) -> None:
    set_rule(acme, 3)
    page = browse(tess).get("/admin/safeguards/approvalrule/").content.decode()
    assert page.count("None: whoever may ask for it has it") == sum(kind.is_free for kind in CATALOGUE.values())
    assert page.count('scope="row"') >= len(CATALOGUE)
    assert "This tenant" in page
    assert f"/admin/safeguards/approvalrule/{acme.pk}/isolate_device/ask/" in page
    assert "/ask/" not in browse(ren).get("/admin/safeguards/approvalrule/").content.decode()


def test_asking_on_the_page_changes_nothing_and_leads_to_the_change(
    acme: Tenant, tess: User, bob: User, browse: Callable[[User], Client]
) -> None:
    url = f"/admin/safeguards/approvalrule/{acme.pk}/isolate_device/ask/"
    assert browse(bob).get(url).status_code == 403
    answer = browse(tess).post(url, {"approvers": 3, "reason": "A hospital."})
    assert answer["Location"].startswith("/admin/safeguards/guardedchange/")
    with acting_for(acme.id):
        assert not ApprovalRule.objects.exists()


def test_the_api_tells_a_tenants_rules_and_no_foreign_ones(
    acme: Tenant, globex: Tenant, ren: User, browse: Callable[[User], Client]
) -> None:
    set_rule(acme, 3)
    [row] = browse(ren).get("/api/v1/approval-rules/").json()["results"]
    assert row["tenant"] == str(acme.pk)
    shown = {rule["action_type"]: (rule["approvers"], rule["is_default"]) for rule in row["rules"]}
    assert shown["isolate_device"] == (3, False)
    assert browse(ren).get(f"/api/v1/approval-rules/{acme.pk}/").json() == row
    assert browse(ren).get(f"/api/v1/approval-rules/{globex.pk}/").status_code == 404
    assert browse(ren).get(f"/api/v1/approval-rules/?tenant={globex.pk}").json()["results"] == []


@pytest.mark.parametrize("path", ["/api/v1/approval-rules/", "/admin/safeguards/approvalrule/"])
def test_a_list_costs_the_same_for_one_tenant_and_for_many(
    acme: Tenant, pia: User, browse: Callable[[User], Client], django_assert_num_queries: Any, path: str
) -> None:
    client = browse(pia)
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    for number in range(4):
        set_rule(make_tenant(f"more-{number}"), 3)
    with django_assert_num_queries(len(few)):
        client.get(path)
