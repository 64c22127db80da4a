"""Deciding about many exceptions at once: each held to its own rules, what they cover worked out once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from portal.access.exceptions import BadRequest
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.audit.models import AuditEvent
from portal.tenancy.scope import acting_for, viewing
from remediation.actions.bulk import ItemResult
from remediation.actions.exceptions import TooMany
from remediation.actions.states import Answer
from remediation.vulnerabilities.exceptions.bulk import decide_many
from remediation.vulnerabilities.models import RecommendationException
from tests.factories import make_key
from tests.remediation.vulnerabilities.exceptions.conftest import CVE, Ask, Estate, actor
from tests.remediation.vulnerabilities.exceptions.test_admin_exceptions import PAGES, stale, words

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]


def decide_as(user: User, answer: Answer, *rows: RecommendationException | UUID) -> list[ItemResult]:
    """Decide in the scope that this person's requests have."""
    asker = actor(user)
    keys = [row if isinstance(row, UUID) else row.pk for row in rows]
    with viewing(asker.capabilities.keys()):
        return decide_many(keys, answer, actor=asker, reason="Talked it over.")


def test_each_is_held_to_its_own_rules_and_a_refusal_keeps_no_other(estate: Estate, ask: Ask, bob: User) -> None:
    one, other = ask(estate.servers), ask(estate.laptops)
    own, everywhere, nobodys = ask(estate.servers, subject=estate.cve(), by=bob), ask(), uuid7()
    with CaptureQueriesContext(connection) as asked:
        found = decide_as(bob, Answer.APPROVE, one, own, everywhere, nobodys, other, one)
    assert [item.result for item in found] == ["approved", "refused", "refused", "not_found", "approved"]
    assert [item.tenant for item in found] == [estate.tenant.pk] * 3 + [None, estate.tenant.pk]
    assert ("somebody else" in found[1].reason, "whole tenant" in found[2].reason) == (True, True)
    assert estate.left() == ("full_exception", 0)
    worked_out = [query for query in asked if "UPDATE vulnerabilities_recommendation r" in query["sql"]]
    assert len(worked_out) == 1, "what they cover is worked out once, not for each"
    again = decide_as(bob, Answer.APPROVE, one)
    assert (again[0].result, "no longer waits" in again[0].reason) == ("refused", True)


def test_many_are_turned_down_and_a_foreign_one_is_not_found(estate: Estate, ask: Ask, bob: User, gil: User) -> None:
    one, other = ask(estate.servers), ask(estate.laptops)
    assert {item.result for item in decide_as(gil, Answer.REJECT, one, other)} == {"not_found"}
    assert {item.result for item in decide_as(bob, Answer.REJECT, one, other)} == {"rejected"}
    assert {estate.state(one), estate.state(other)} == {"rejected"}
    with acting_for(estate.tenant.id):
        event = AuditEvent.objects.get(object_id=one.pk, verb="exception.rejected")
    assert (event.actor_id, event.data["reason"]) == (bob.pk, "Talked it over.")


def test_a_global_one_in_the_batch_suspends_those_by_group_and_takes_a_fresh_second_factor(
    estate: Estate, ask: Ask, tess: User
) -> None:
    by_group, everywhere = ask(estate.servers), ask()
    old = replace(actor(tess), second_factor_at=timezone.now() - timedelta(minutes=6))
    with viewing(old.capabilities.keys()):
        (refused,) = decide_many([everywhere.pk], Answer.APPROVE, actor=old, reason="Seen.")
    assert (refused.result, "second factor" in refused.reason) == ("refused", True)
    assert {item.result for item in decide_as(tess, Answer.APPROVE, by_group, everywhere)} == {"approved"}
    assert [estate.state(by_group), estate.state(everywhere)] == ["suspended", "in_effect"]


def test_a_reason_is_needed_and_there_is_a_limit(estate: Estate, ask: Ask, bob: User) -> None:
    waiting = ask(estate.servers)
    with viewing([estate.tenant.pk]):
        with pytest.raises(BadRequest):
            decide_many([waiting.pk], Answer.APPROVE, actor=actor(bob), reason=" ")
        with pytest.raises(TooMany):
            decide_many([uuid7() for _each in range(301)], Answer.APPROVE, actor=actor(bob), reason="x")
    assert estate.state(waiting) == "requested"


def test_the_api_decides_about_many_and_a_key_about_none(estate: Estate, ask: Ask, bob: User, browse: Browse) -> None:
    one, other = ask(estate.servers), ask(estate.laptops)
    body = {"ids": [str(one.pk), str(other.pk)], "answer": "approve", "reason": "Seen."}
    key = {"authorization": f"Api-Key {make_key(estate.tenant, Role.TENANT_ADMIN)}"}
    path = "/api/v1/exceptions/decide/"
    by_key = Client().post(path, body, content_type="application/json", headers=key).json()["results"]
    assert [item["result"] for item in by_key] == ["refused"] * 2
    client = browse(bob)
    once = {"Idempotency-Key": "decide-1"}
    answers = [client.post(path, body, content_type="application/json", headers=once) for _each in range(2)]
    assert [answer.json() for answer in answers] == [answers[0].json()] * 2
    assert [item["result"] for item in answers[0].json()["results"]] == ["approved"] * 2
    assert client.post(path, body | {"ids": []}, content_type="application/json").status_code == 400


def test_ticked_in_the_register_looked_at_and_granted(
    estate: Estate, ask: Ask, ada: User, bob: User, browse: Browse
) -> None:
    one, other, own = ask(estate.servers), ask(estate.laptops), ask(subject=estate.cve(), by=bob)
    client = browse(bob)
    assert 'value="approve_chosen"' in words(client.get(PAGES))
    assert "approve_chosen" not in words(browse(ada).get(PAGES))
    ticked = {"action": "approve_chosen", "_selected_action": [str(row.pk) for row in (one, other, own)]}
    asked = words(client.post(PAGES, ticked))
    assert ("3 now and 1 with it" in asked, "3 now and 2 with it" in asked) == (True, True)
    assert "Somebody else has to decide about this one" in asked
    sent = {"id": [str(row.pk) for row in (one, other, own)]}
    page = f"{PAGES}decide/approve/"
    assert "Give a reason" in words(client.post(page, sent))
    assert estate.state(one) == "requested"
    done = words(client.post(page, sent | {"reason": "Seen."}, follow=True))
    assert ("2 exceptions are granted." in done, f"{CVE} · Acme: You asked for this" in done) == (True, True)
    assert [estate.state(row) for row in (one, other, own)] == ["in_effect", "in_effect", "requested"]


def test_what_is_not_ones_own_is_not_there_and_no_more_than_a_hundred_go_at_once(
    estate: Estate, ask: Ask, bob: User, gil: User, tess: User, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, everywhere = ask(estate.servers), ask()
    sent = {"id": [str(waiting.pk)], "reason": "Mine."}
    for verb in ("approve", "reject"):
        assert browse(gil).post(f"{PAGES}decide/{verb}/", sent).status_code == 404
    assert browse(bob).post(f"{PAGES}decide/cancel/", sent).status_code == 404
    assert browse(bob).get(f"{PAGES}decide/approve/?id=nonsense").status_code == 404
    ticked = {"action": "approve_chosen", "_selected_action": [str(waiting.pk), str(everywhere.pk)]}
    fresh = stale(browse(tess)).post(PAGES, ticked)
    assert fresh["Location"].startswith("/accounts/2fa/")
    monkeypatch.setattr("remediation.vulnerabilities.admin.exception_deciding.MOST_AT_ONCE", 1)
    assert "at most 1 exceptions at once" in words(browse(bob).post(PAGES, ticked, follow=True))
    with acting_for(estate.tenant.id):
        TenantMembership.objects.filter(user=bob).update(role=Role.READER)
    browse(bob).post(f"{PAGES}decide/approve/", sent)
    assert estate.state(waiting) == "requested"
