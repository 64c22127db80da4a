"""The verbs of investigations: begin and stop one by hand, note what was decided, and take the state that follows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from investigations.models import Device, Evidence, Investigation, InvestigationDevice
from investigations.states import OPEN_STATES, WAITING_OUTCOMES, EvidenceOutcome, InvestigationState, Verdict
from investigations.turns import take_turn
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import SYSTEM, ActorStamp, record
from portal.tenancy.scope import current_scope


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """How many of an investigation's actions are where; `failed` holds those that timed out as well."""

    pending: int = 0
    open: int = 0
    succeeded: int = 0
    rejected: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """How many of an investigation's pieces of evidence still wait, and how many are threats not called handled.

    Where no action ended well or was rejected, the latter means that nothing was done about a threat.
    """

    waiting: int = 0
    threats_without_action: int = 0


def next_state(actions: OutcomeFacts, evidence: EvidenceFacts) -> InvestigationState:
    """Return the state that follows. Rejecting counts as handling (Microsoft: automated investigation states)."""
    if actions.pending:
        return InvestigationState.PENDING_APPROVAL
    if actions.open or evidence.waiting:
        return InvestigationState.RUNNING
    return _end_state(actions, evidence)


def _end_state(actions: OutcomeFacts, evidence: EvidenceFacts) -> InvestigationState:
    if actions.expired:
        return InvestigationState.TERMINATED_BY_SYSTEM
    if actions.failed:
        return InvestigationState.PARTIALLY_REMEDIATED
    if actions.succeeded or actions.rejected:
        return InvestigationState.SUCCESSFULLY_REMEDIATED
    if evidence.threats_without_action:
        return InvestigationState.UNSUPPORTED_ALERT_TYPE
    return InvestigationState.BENIGN


def note_outcomes(actions: Mapping[UUID, OutcomeFacts]) -> None:
    """Give each investigation the state its actions and evidence call for, in a handful of queries for all of them.

    One that has ended keeps its end, unless something about it waits or runs again, as after a newer verdict; one that
    a person stopped stays stopped. The locks leave room for new evidence: an intake that adds some may be waiting for
    the action whose outcome this is.
    """
    rows = list(Investigation.objects.select_for_update(no_key=True).filter(pk__in=actions).order_by("id"))
    evidence = _evidence_facts(rows)
    moving: dict[InvestigationState, list[Investigation]] = {}
    for row in rows:
        to = _following(row, actions[row.pk], evidence.get(row.pk))
        if to != row.state:
            moving.setdefault(to, []).append(row)
    for to, group in moving.items():
        _move(group, to, actor=SYSTEM, reason="")


def _following(
    investigation: Investigation, actions: OutcomeFacts, evidence: EvidenceFacts | None
) -> InvestigationState:
    now = InvestigationState(investigation.state)
    if now == InvestigationState.TERMINATED_BY_USER:
        return now
    if investigation.started_by_id and evidence is None:
        return now  # begun by hand and nothing found yet: it is for a person to stop it
    state = next_state(actions, evidence or EvidenceFacts())
    return state if state in OPEN_STATES or now in OPEN_STATES else now


def _evidence_facts(investigations: Sequence[Investigation]) -> dict[UUID, EvidenceFacts]:
    """Count the evidence of these investigations; one without any is not in the answer."""
    threats = Q(verdict__in=[Verdict.MALICIOUS, Verdict.SUSPICIOUS]) & ~Q(outcome=EvidenceOutcome.NOT_NEEDED)
    counts = (
        Evidence.objects.filter(investigation__in=investigations)
        .values("investigation_id")
        .annotate(
            waiting=Count("id", filter=Q(outcome__in=["", *WAITING_OUTCOMES])),
            threats=Count("id", filter=threats),
        )
    )
    return {row["investigation_id"]: EvidenceFacts(row["waiting"], row["threats"]) for row in counts}


_NOTE_DECISIONS: Final = """
    UPDATE investigations_evidence e SET outcome = d.outcome, reason = d.reason, decided_at = statement_timestamp()
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS d (id, outcome, reason)
    WHERE e.id = d.id AND e.tenant_id = ANY (%s)
"""


def note_decisions(decisions: Mapping[UUID, tuple[str, str]]) -> None:
    """Write what was decided about each piece of evidence, and why, in one statement; never outside the scope."""
    if not decisions:
        return
    outcomes = [str(outcome) for outcome, _reason in decisions.values()]
    reasons = [str(reason) for _outcome, reason in decisions.values()]
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_DECISIONS, [list(decisions), outcomes, reasons, sorted(current_scope().tenant_ids)])


def start_investigation(device: Device, *, actor: Actor, reason: str) -> Investigation:
    """Begin an investigation of a device by hand; new alerts on it join. Raises Conflict when one is under way."""
    actor.require(Capability.WORK_ON_INVESTIGATIONS, device.tenant_id)
    if not reason.strip():
        raise BadRequest(_("Give a reason; it goes on record."))
    take_turn(device.tenant_id)
    reached = InvestigationDevice.objects.filter(device=device, investigation__state__in=OPEN_STATES)
    if reached.exists():
        raise Conflict(_("An investigation of this device is already under way; new alerts join it."))
    investigation = Investigation.objects.create(
        tenant_id=device.tenant_id,
        title=_("Investigation of %(device)s by hand") % {"device": device},
        device=device,
        started_by_id=actor.id,
        state=InvestigationState.RUNNING,
    )
    InvestigationDevice.objects.create(tenant_id=device.tenant_id, investigation=investigation, device=device)
    _note(investigation, "investigation.started", actor.stamp, before="", reason=reason)
    return investigation


def stop_investigation(investigation: Investigation, *, actor: Actor, reason: str) -> None:
    """End an open investigation by hand. Raises Conflict when it has ended."""
    actor.require(Capability.WORK_ON_INVESTIGATIONS, investigation.tenant_id)
    locked = Investigation.objects.select_for_update(no_key=True).get(pk=investigation.pk)
    if locked.state not in OPEN_STATES:
        raise Conflict(_("This investigation has ended already."))
    _move([locked], InvestigationState.TERMINATED_BY_USER, actor=actor.stamp, reason=reason)


def include_devices(investigation_id: UUID, device_ids: Collection[UUID]) -> list[UUID]:
    """Let an investigation reach these devices after all; return the evidence on them, which is now to be decided."""
    investigation = Investigation.objects.get(pk=investigation_id)
    take_turn(investigation.tenant_id)
    InvestigationDevice.objects.bulk_create(
        [
            InvestigationDevice(
                tenant_id=investigation.tenant_id, investigation=investigation, device_id=device_id, is_widened=True
            )
            for device_id in sorted(device_ids)
        ],
        ignore_conflicts=True,
    )
    return list(_evidence_on(investigation_id, device_ids).values_list("pk", flat=True))


def leave_out_devices(investigation_id: UUID, device_ids: Sequence[UUID], *, reason: str) -> None:
    """Note that the investigation was not widened to these devices: nothing is done about the evidence on them."""
    _evidence_on(investigation_id, device_ids).update(
        outcome=EvidenceOutcome.NO_ACTION,
        reason=_("The investigation was not widened to this device: %(reason)s.") % {"reason": reason},
        decided_at=Now(),
    )


def _evidence_on(investigation_id: UUID, device_ids: Collection[UUID]) -> QuerySet[Evidence]:
    return Evidence.objects.filter(investigation_id=investigation_id, device_id__in=device_ids)


def _move(rows: Sequence[Investigation], to: InvestigationState, *, actor: ActorStamp, reason: str) -> None:
    Investigation.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=to, changed_at=Now(), ended_at=None if to in OPEN_STATES else Now()
    )
    for row in rows:
        before, row.state = str(row.state), to
        _note(row, f"investigation.{'changed' if to in OPEN_STATES else 'ended'}", actor, before, reason)


def _note(investigation: Investigation, verb: str, actor: ActorStamp, before: str, reason: str) -> None:
    record(
        investigation.tenant_id,
        verb,
        object_type="investigation",
        object_id=investigation.pk,
        actor=actor,
        data={"before": before, "after": str(investigation.state), "reason": reason},
    )
