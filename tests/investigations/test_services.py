"""An investigation's state follows its actions and evidence, begins and stops by hand, and each step is on record."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from investigations.models import Evidence, Investigation
from investigations.services import (
    EvidenceFacts,
    OutcomeFacts,
    next_state,
    note_decisions,
    note_outcomes,
    start_investigation,
    stop_investigation,
)
from investigations.states import EvidenceOutcome, InvestigationState, Verdict
from portal.access.actors import Actor
from portal.access.exceptions import Conflict, Forbidden
from portal.access.models import User
from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from tests.factories import make_alert, make_device, make_evidence, make_investigation
from tests.investigations.records import alert, device, store

As = Callable[[User], Actor]
S = InvestigationState
ENDED = OutcomeFacts(succeeded=1, rejected=1)


@pytest.mark.parametrize(
    ("actions", "evidence", "state"),
    [
        (OutcomeFacts(pending=1, open=1, failed=1), EvidenceFacts(waiting=1), S.PENDING_APPROVAL),
        (OutcomeFacts(open=1, expired=1), EvidenceFacts(), S.RUNNING),
        (ENDED, EvidenceFacts(waiting=1), S.RUNNING),
        (OutcomeFacts(expired=1, failed=1, succeeded=1), EvidenceFacts(), S.TERMINATED_BY_SYSTEM),
        (OutcomeFacts(failed=1, succeeded=1), EvidenceFacts(), S.PARTIALLY_REMEDIATED),
        (ENDED, EvidenceFacts(threats_without_action=1), S.SUCCESSFULLY_REMEDIATED),
        (OutcomeFacts(rejected=1), EvidenceFacts(), S.SUCCESSFULLY_REMEDIATED),
        (OutcomeFacts(), EvidenceFacts(threats_without_action=1), S.UNSUPPORTED_ALERT_TYPE),
        (OutcomeFacts(cancelled=1), EvidenceFacts(), S.BENIGN),
    ],
)
def test_the_state_follows_actions_and_evidence(
    actions: OutcomeFacts, evidence: EvidenceFacts, state: InvestigationState
) -> None:
    assert next_state(actions, evidence) == state


def note(row: Investigation, actions: OutcomeFacts) -> Investigation:
    with acting_for(row.tenant_id):
        note_outcomes({row.pk: actions})
        row.refresh_from_db()
    return row


def events(tenant: Tenant) -> list[tuple[str, str, str]]:
    with acting_for(tenant.id):
        told = AuditEvent.objects.exclude(verb="audit.chain_started").order_by("seq")
        return [(event.verb, event.data["before"], event.data["after"]) for event in told]


def test_each_change_is_on_record_once_and_the_end_has_a_time(acme: Tenant) -> None:
    row = make_investigation(acme)

    for actions in (OutcomeFacts(pending=1), OutcomeFacts(pending=1), OutcomeFacts(rejected=1)):
        note(row, actions)

    assert row.ended_at is not None
    assert events(acme) == [
        ("investigation.changed", "Queued", "PendingApproval"),
        ("investigation.ended", "PendingApproval", "SuccessfullyRemediated"),
    ]


def test_an_ended_one_opens_again_when_a_newer_verdict_asks_and_a_stopped_one_does_not(acme: Tenant) -> None:
    benign, stopped = (make_investigation(acme, state=state) for state in (S.BENIGN, S.TERMINATED_BY_USER))

    assert (note(benign, OutcomeFacts(pending=1)).state, benign.ended_at) == (S.PENDING_APPROVAL, None)
    assert note(stopped, OutcomeFacts(pending=1)).state == S.TERMINATED_BY_USER


def test_a_threat_nobody_acts_on_is_never_called_benign(acme: Tenant) -> None:
    row = make_investigation(acme)
    piece = make_evidence(make_alert(acme, row), outcome=EvidenceOutcome.PENDING)
    assert note(row, OutcomeFacts(cancelled=1)).state == S.UNSUPPORTED_ALERT_TYPE

    other = make_investigation(acme)
    make_evidence(make_alert(acme, other), verdict=Verdict.NO_THREATS_FOUND, outcome=EvidenceOutcome.NOT_NEEDED)
    assert note(other, OutcomeFacts()).state == S.BENIGN
    assert piece.verdict == Verdict.MALICIOUS


def test_decisions_are_written_to_the_evidence_they_are_about(acme: Tenant, globex: Tenant) -> None:
    pieces = [make_evidence(make_alert(acme, make_investigation(acme)), outcome="", reason="") for _ in range(3)]
    foreign = make_evidence(make_alert(globex, make_investigation(globex)))
    wanted = {pieces[0].pk: ("automatic", "A 'quoted', {strange} reason"), pieces[1].pk: ("pending", "B")}

    with acting_for(acme.id):
        note_decisions({**wanted, foreign.pk: ("automatic", "C"), uuid7(): ("pending", "D")})
        note_decisions({})
        written = {row.pk: (row.outcome, row.reason) for row in Evidence.objects.filter(decided_at__isnull=False)}
    with acting_for(globex.id):
        assert Evidence.objects.get().reason == "Because."
    assert written == wanted


def test_one_begun_by_hand_takes_in_new_alerts_on_its_device(acme: Tenant, ada: User, as_actor: As) -> None:
    store(acme, alert(acme, 1, device(1)))
    with acting_for(acme.id):
        seen = Investigation.objects.get()
        with pytest.raises(Conflict):
            start_investigation(seen.device, actor=as_actor(ada), reason="Odd")
        Investigation.objects.update(state=S.BENIGN)
        begun = start_investigation(seen.device, actor=as_actor(ada), reason="Odd")

    stored = store(acme, alert(acme, 2, device(1)))

    assert stored.touched_investigations == {begun.pk}
    assert begun.started_by_id == ada.pk


def test_only_who_works_on_investigations_begins_and_stops_them(
    acme: Tenant, ada: User, ren: User, as_actor: As
) -> None:
    made, row = make_device(acme), make_investigation(acme)
    with acting_for(acme.id):
        with pytest.raises(Forbidden):
            start_investigation(made, actor=as_actor(ren), reason="Odd")
        with pytest.raises(Forbidden):
            stop_investigation(row, actor=as_actor(ren), reason="Enough")
        assert Investigation.objects.get().state == S.QUEUED
        stop_investigation(row, actor=as_actor(ada), reason="Enough")
        with pytest.raises(Conflict):
            stop_investigation(row, actor=as_actor(ada), reason="Again")

    assert events(acme) == [("investigation.ended", "Queued", "TerminatedByUser")]


@pytest.mark.django_db(transaction=True)
def test_noting_an_outcome_does_not_wait_for_an_intake_that_adds_evidence(acme: Tenant) -> None:
    """The intake may be waiting for the very action whose outcome is noted: both waiting would be a deadlock."""
    row = make_investigation(acme)
    noted = threading.Event()

    def settle() -> None:
        try:
            note(Investigation(pk=row.pk, tenant_id=acme.id), OutcomeFacts(pending=1))
            noted.set()
        finally:
            connection.close()

    other = threading.Thread(target=settle)
    with acting_for(acme.id):
        make_evidence(make_alert(acme, row))
        other.start()
        was_free = noted.wait(3)
    other.join(10)

    assert was_free
