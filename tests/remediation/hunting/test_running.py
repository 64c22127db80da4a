"""A hunt against the real simulator: what comes of it, what goes wrong, and what is tried again."""

import threading
from typing import Any

import pytest
from django.db import connection

from connectors.protocol import HuntingResult, NotSent, OutcomeUnknown
from portal.access.models import TenantMembership, User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import draining
from remediation.hunting import running, tasks
from remediation.hunting.models import Hunt
from remediation.hunting.services import Question, ask_everywhere
from remediation.hunting.states import HuntState
from tests.factories import make_alert, make_evidence, make_investigation
from tests.remediation.actions.conftest import Vendor
from tests.remediation.hunting.conftest import mail, make_due, make_hunt, reread, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process, pytest.mark.usefixtures("patient")]

QUERY = "EmailEvents | project NetworkMessageId, RecipientEmailAddress | take 2000"


def ask(tenant: Tenant, user: User, as_actor: Any, query: str = QUERY) -> Hunt:
    with acting_for(tenant.id):
        [answer] = ask_everywhere(Question(query, "P7D"), [tenant.id], actor=as_actor(user)).answers
    assert answer.hunt is not None
    return answer.hunt


def test_a_query_brings_its_rows_and_goes_on_record(
    connected: Tenant, vendor: Vendor, ada: User, as_actor: Any
) -> None:
    vendor.seed(connected, emails=[mail("eve@acme.example"), mail("bo@acme.example")])
    hunt = ask(connected, ada, as_actor)

    work(connected)

    hunt = reread(hunt)
    assert (hunt.state, hunt.row_count, hunt.error) == (HuntState.DONE, 2, "")
    assert [name for name, _kind in hunt.columns] == ["NetworkMessageId", "RecipientEmailAddress"]
    assert {row["RecipientEmailAddress"] for row in hunt.rows} == {"eve@acme.example", "bo@acme.example"}
    with acting_for(connected.id):
        asked, ended = AuditEvent.objects.filter(object_id=hunt.pk).order_by("seq")
    assert (asked.verb, asked.actor_label, asked.data["query"]) == ("hunt.asked", ada.email, QUERY)
    assert (ended.verb, ended.data["rows"]) == ("hunt.ended", 2)


def test_a_hundred_thousand_rows_are_counted_and_a_thousand_kept(
    connected: Tenant, vendor: Vendor, ada: User, as_actor: Any
) -> None:
    vendor.seed(connected, emails=[mail()], hunting={"rows": 100_000})
    hunt = ask(connected, ada, as_actor, "EmailEvents | project NetworkMessageId")

    work(connected)

    hunt = reread(hunt)
    assert (hunt.state, hunt.row_count, len(hunt.rows)) == (HuntState.DONE, 100_000, 1000)


def test_a_query_that_fails_says_what_microsoft_says(connected: Tenant, ada: User, as_actor: Any) -> None:
    hunt = ask(connected, ada, as_actor, "NoSuchTable | take 1")

    work(connected)

    hunt = reread(hunt)
    assert hunt.state == HuntState.FAILED
    assert "NoSuchTable" in hunt.error


def test_no_room_in_the_quota_puts_it_off_and_counts_as_no_failure(
    connected: Tenant, vendor: Vendor, ada: User, as_actor: Any
) -> None:
    vendor.seed(connected, hunting={"trouble": "cpu_quota"})
    hunt = ask(connected, ada, as_actor)

    work(connected)

    hunt = reread(hunt)
    assert (hunt.state, hunt.failures) == (HuntState.QUEUED, 0)
    assert hunt.error
    assert hunt.started_at is not None
    assert (hunt.not_before - hunt.started_at).total_seconds() > 600  # the simulator says 900
    work(connected)
    assert reread(hunt).fence == 1


def test_an_answer_that_breaks_off_is_asked_for_again_three_times_in_all(
    connected: Tenant, vendor: Vendor, ada: User, as_actor: Any
) -> None:
    vendor.seed(connected, hunting={"trouble": "time_out"})
    hunt = ask(connected, ada, as_actor)

    for attempt in (1, 2, 3):
        make_due(hunt)
        work(connected)
        assert reread(hunt).failures == attempt

    hunt = reread(hunt)
    assert hunt.state == HuntState.FAILED
    assert "three times" in hunt.error
    make_due(hunt)
    work(connected)
    assert reread(hunt).fence == 3


def test_a_worker_that_died_loses_it_and_the_third_death_ends_it(connected: Tenant, ada: User, as_actor: Any) -> None:
    hunt = ask(connected, ada, as_actor)
    for _death in range(3):
        assert running._claim(connected.id) is not None
        with acting_for(connected.id):
            Hunt.objects.update(lease_until="2020-01-01T00:00:00Z")

    work(connected)

    hunt = reread(hunt)
    assert (hunt.state, hunt.error_code) == (HuntState.FAILED, "NotRun")


def test_automations_look_ups_go_before_peoples_queries(acme: Tenant, ada: User) -> None:
    make_hunt(acme, asked_by=ada, state="queued")
    evidence = make_evidence(make_alert(acme, make_investigation(acme)))
    look_up = make_hunt(acme, evidence=evidence, source="cluster", state="queued")

    claimed = running._claim(acme.id)

    assert claimed is not None
    assert claimed.hunt_id == look_up.pk


def test_two_workers_never_have_the_same_hunt(connected: Tenant, ada: User, as_actor: Any) -> None:
    for _each in range(4):
        ask(connected, ada, as_actor)
    claimed: list[Any] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        claimed.append(running._claim(connected.id))
        connection.close()

    threads = [threading.Thread(target=take) for _each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    hunts = [each.hunt_id for each in claimed if each is not None]
    assert len(hunts) == len(set(hunts)) == 4


def test_an_answer_that_came_too_late_writes_nothing(connected: Tenant, ada: User, as_actor: Any) -> None:
    hunt = ask(connected, ada, as_actor)
    ghost = running._claim(connected.id)
    assert ghost is not None
    with acting_for(connected.id):
        Hunt.objects.update(lease_until="2020-01-01T00:00:00Z")
    work(connected)

    running._finish(ghost, HuntingResult([("A", "String")], [{"A": "late"}], 1))

    assert reread(hunt).columns[0][0] == "NetworkMessageId"


def test_what_postgresql_cannot_hold_is_kept_without_it(connected: Tenant, ada: User, as_actor: Any) -> None:
    hunt = ask(connected, ada, as_actor)
    claim = running._claim(connected.id)
    assert claim is not None

    running._finish(claim, HuntingResult([("A", "String")], [{"A": ["a\x00b", float("nan"), "\ud800"]}], 1))

    assert reread(hunt).rows == [{"A": ["a\ufffdb", None, "\ufffd"]}]


def test_nothing_is_asked_for_somebody_who_may_no_longer_hunt(
    connected: Tenant, vendor: Vendor, ada: User, as_actor: Any
) -> None:
    hunt = ask(connected, ada, as_actor)
    with acting_for(connected.id):
        TenantMembership.objects.filter(user=ada).delete()

    work(connected)

    assert reread(hunt).state == HuntState.FAILED
    assert "may no longer hunt" in reread(hunt).error


@pytest.mark.parametrize("wrong", [NotSent("Sign-in was refused.", code="AADSTS700016"), OutcomeUnknown("Reset.")])
def test_trouble_that_stays_ends_in_words(
    connected: Tenant, ada: User, as_actor: Any, monkeypatch: pytest.MonkeyPatch, wrong: Exception
) -> None:
    hunt = ask(connected, ada, as_actor)

    class Wrong:
        def hunt(self, *_: Any, **__: Any) -> HuntingResult:
            raise wrong

    monkeypatch.setattr(draining, "open_connection", lambda *_, **__: Wrong())
    for _attempt in range(3):
        make_due(hunt)
        work(connected)

    hunt = reread(hunt)
    assert hunt.state == HuntState.FAILED
    assert str(wrong) in hunt.error


def test_old_hunts_are_forgotten_and_young_ones_kept(acme: Tenant) -> None:
    old, young = make_hunt(acme), make_hunt(acme)
    with acting_for(acme.id):
        Hunt.objects.filter(pk=old.pk).update(created_at="2020-01-01T00:00:00Z")

    tasks.sweep()

    with acting_for(acme.id):
        assert list(Hunt.objects.values_list("pk", flat=True)) == [young.pk]
