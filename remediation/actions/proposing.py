"""How actions are born: many at once, each target and parameters at most once while open."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from investigations.models import Device
from portal.audit.recording import ActorStamp
from portal.tenancy.scope import database_now
from remediation.actions.bells import ring_after_commit
from remediation.actions.binding import fingerprint
from remediation.actions.braking import Demand, look_up_brakes
from remediation.actions.entities import entity_of
from remediation.actions.models import RemediationAction
from remediation.actions.states import OPEN_STATES, Source, State
from remediation.actions.transitions import note_step
from remediation.catalogue import CATALOGUE

APPROVE_WITHIN = timedelta(days=7)
"""A pending action that nobody decides is rejected after a week (Microsoft: automation levels)."""

SEND_APPROVED_WITHIN = timedelta(hours=4)
SEND_AUTOMATIC_WITHIN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action that is not a row yet. `is_approved` is for what needs nobody's approval, unless a brake is on.

    `entity` is for what evidence knows better than the parameters tell (`remediation.actions.entities`).
    """

    tenant_id: UUID
    type: str
    source: Source
    target: str
    parameters: dict[str, Any]
    reason: str
    is_approved: bool
    device: Device | None = None
    investigation_id: UUID | None = None
    requested_by_id: UUID | None = None
    undoes_id: UUID | None = None
    entity: str = ""
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        machine_id = self.device.machine_id if self.device else ""
        object.__setattr__(self, "sha256", fingerprint(self.tenant_id, self.type, machine_id, self.parameters))
        object.__setattr__(self, "entity", self.entity or entity_of(self.parameters, machine_id))


def propose(
    tenant_id: UUID, proposals: Sequence[Proposal], *, actor: ActorStamp
) -> tuple[dict[str, RemediationAction], set[str]]:
    """Create the actions that are not open already; return all by fingerprint, and the fingerprints that are new.

    Two who propose the same at once get the same action. Where the hour's limit is reached or the device is protected,
    two people are asked, also about what would have run by itself. Approved ones ring the workers after COMMIT.
    """
    wanted = {proposal.sha256: proposal for proposal in proposals}
    opened = RemediationAction.objects.filter(parameters_sha256__in=wanted, state__in=OPEN_STATES)
    known = {action.parameters_sha256: action for action in opened}
    now = database_now()
    new = [proposal for digest, proposal in wanted.items() if digest not in known]
    fresh = _rows(tenant_id, new, now) if new else []
    if fresh:
        RemediationAction.objects.bulk_create(fresh, ignore_conflicts=True)
        known |= {action.parameters_sha256: action for action in opened.all()}
    born = {row.parameters_sha256 for row in fresh if known[row.parameters_sha256].pk == row.pk}
    for digest in sorted(born):
        note_step(known[digest], before=None, actor=actor, reason=known[digest].reason)
    if any(known[digest].state == State.APPROVED for digest in born):
        ring_after_commit("drain", tenant_id)
    return known, born


def _rows(tenant_id: UUID, new: Sequence[Proposal], now: datetime) -> list[RemediationAction]:
    devices = [proposal.device for proposal in new if proposal.device is not None]
    brakes = look_up_brakes(tenant_id, {proposal.type for proposal in new}, devices)
    return [
        _row(proposal, now, brakes.judge(proposal.type, proposal.device, is_approved=proposal.is_approved))
        for proposal in new
    ]


def _row(proposal: Proposal, now: datetime, demand: Demand) -> RemediationAction:
    kind, is_approved = CATALOGUE[proposal.type], demand.approvals == 0
    within = SEND_APPROVED_WITHIN if proposal.requested_by_id else SEND_AUTOMATIC_WITHIN
    return RemediationAction(
        id=uuid7(),
        tenant_id=proposal.tenant_id,
        type=proposal.type,
        state=State.APPROVED if is_approved else State.PENDING_APPROVAL,
        source=proposal.source,
        investigation_id=proposal.investigation_id,
        device=proposal.device,
        target=proposal.target,
        parameters=proposal.parameters,
        parameters_sha256=proposal.sha256,
        conflict_group=kind.conflict_group,
        reason=f"{proposal.reason} {demand.addition}".rstrip(),
        requested_by_id=proposal.requested_by_id,
        required_approvals=demand.approvals,
        undoes_id=proposal.undoes_id,
        entity=proposal.entity,
        approve_before=None if is_approved else now + APPROVE_WITHIN,
        not_before=now,
        execute_before=now + within if is_approved else None,
    )
