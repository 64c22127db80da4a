"""Puts the decision to evidence: gathers the facts, calls the one pure function, proposes what it says."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from investigations.joining import Widening
from investigations.models import Evidence, Investigation
from investigations.services import note_decisions
from investigations.states import (
    MAIL_KINDS,
    AutomationLevel,
    EvidenceKind,
    EvidenceOutcome,
    InvestigationState,
    RemediationStatus,
    Verdict,
)
from portal.audit.recording import SYSTEM
from portal.tenancy.models import Tenant
from remediation.actions.decision import Decision, Facts, decide
from remediation.actions.entities import entity_of_mail
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.parameters import as_messages, as_url_entry, in_plain_sight
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import UNSENT_STATES, Source, State
from remediation.actions.transitions import move
from remediation.catalogue import WIRED
from remediation.safeguards.protection import protected_among

Pairs = Mapping[str, set[tuple[str, str]]]

MESSAGES_OF_ACTION: Final = 100
"""What one action on mail takes; a larger cluster becomes several actions."""


def decide_evidence(tenant: Tenant, evidence_ids: Sequence[UUID]) -> list[RemediationAction]:
    """Decide these pieces of evidence and propose what follows; return the actions that are new.

    Evidence whose action has already been sent or answered by a person keeps what was decided, and so does all evidence
    of an investigation that a person stopped.
    """
    wanted = Evidence.objects.filter(pk__in=evidence_ids).exclude(
        investigation__state=InvestigationState.TERMINATED_BY_USER
    )
    rows = list(wanted.select_related("device__group").order_by("id"))
    links = _links_of(rows)
    rows = [row for row in rows if all(action.state in UNSENT_STATES for action in links.get(row.pk, []))]
    messages = _message_pairs(rows)
    protected = protected_among({row.device_id for row in rows if row.device_id})
    decisions = {row.pk: decide(_facts(row, tenant, messages, protected)) for row in rows}
    proposals = {
        row.pk: _proposals(tenant, row, decisions[row.pk], messages) if decisions[row.pk].action_type else []
        for row in rows
    }
    _cancel_unsupported(rows, decisions, proposals, links)
    note_decisions({key: (decision.outcome, decision.reason) for key, decision in decisions.items()})
    return _propose(tenant, proposals)


def propose_widening(tenant: Tenant, widenings: Iterable[Widening]) -> list[RemediationAction]:
    """Ask people whether an investigation may spread to ten or more devices; return the actions that are new."""
    asked = list(widenings)
    titles = dict(
        Investigation.objects.filter(pk__in=[item.investigation_id for item in asked]).values_list("pk", "title")
    )
    proposals = [
        Proposal(
            tenant_id=tenant.id,
            type="widen_investigation",
            source=Source.AUTOMATED_DEVICE,
            target=_("%(title)s: %(count)d devices")
            % {"title": titles[item.investigation_id], "count": len(item.device_ids)},
            parameters={
                "investigation": str(item.investigation_id),
                "devices": sorted(str(device_id) for device_id in item.device_ids),
            },
            reason=_("The same file is on 10 or more other devices: a person decides whether to act on them."),
            is_approved=False,
            investigation_id=item.investigation_id,
        )
        for item in asked
    ]
    actions, born = propose(tenant.id, proposals, actor=SYSTEM)
    return [actions[digest] for digest in sorted(born)]


def _links_of(rows: Sequence[Evidence]) -> dict[UUID, list[RemediationAction]]:
    links: dict[UUID, list[RemediationAction]] = {}
    found = ActionEvidence.objects.filter(evidence__in=rows).select_related("action")
    for link in found:
        if link.action.state != State.CANCELLED:
            links.setdefault(link.evidence_id, []).append(link.action)
    return links


def _message_pairs(rows: Sequence[Evidence]) -> Pairs:
    """Who received the messages of the clusters among these rows, as far as was looked up or other evidence says.

    By the messages' ids in small letters; a message that was looked up and found in no mailbox has nobody.
    """
    wanted = {message_id for row in rows for message_id in row.network_message_ids}
    pairs: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        for message_id, recipients in (row.recipients or {}).items():
            pairs.setdefault(message_id, set()).update((message_id, recipient) for recipient in recipients)
    known = Evidence.objects.filter(kind=EvidenceKind.ANALYZED_MESSAGE, network_message_id__in=wanted)
    for message_id, recipient in known.values_list("network_message_id", "recipient") if wanted else ():
        pairs.setdefault(message_id.lower(), set()).add((message_id.lower(), recipient.lower()))
    return pairs


def _pairs_of(row: Evidence, messages: Pairs) -> set[tuple[str, str]]:
    """Return message and recipient of all that this evidence is about."""
    pairs = {(row.network_message_id.lower(), row.recipient.lower())} if row.network_message_id else set()
    return pairs.union(*(messages.get(message_id.lower(), set()) for message_id in row.network_message_ids))


def _knows_recipients(row: Evidence, messages: Pairs) -> bool:
    """Return whether everybody who received the messages is known: each looked up, or as many as Microsoft counts.

    What was looked up and found nowhere is not known as long as it is looked up again.

    One message goes to many mailboxes, so other evidence that names one of them does not tell who the others are.
    """
    wanted = {message_id.lower() for message_id in row.network_message_ids}
    if wanted <= (row.recipients or {}).keys() and row.recipients_due_at is None:
        return True
    counted = row.raw.get("emailCount")
    return (
        isinstance(counted, int)
        and all(messages.get(message_id) for message_id in wanted)
        and len(_pairs_of(row, messages)) >= counted
    )


def _messages_in_all(row: Evidence, messages: Pairs) -> int:
    """Return how many messages in mailboxes there should be: as Microsoft counts, and one for each found nowhere."""
    counted = row.raw.get("emailCount")
    nowhere = sum(not messages.get(message_id.lower()) for message_id in row.network_message_ids)
    return max(counted if isinstance(counted, int) else 0, len(_pairs_of(row, messages)) + nowhere)


def _facts(row: Evidence, tenant: Tenant, messages: Pairs, protected: Collection[UUID]) -> Facts:
    return Facts(
        kind=EvidenceKind(row.kind),
        verdict=Verdict(row.verdict),
        remediation_status=RemediationStatus(row.remediation_status or RemediationStatus.NONE),
        automation_level=AutomationLevel(row.device.group.automation_level) if row.device else None,
        file_path=row.file_path,
        has_sha1=bool(row.sha1),
        has_device=row.device is not None,
        recipients_known=_knows_recipients(row, messages),
        recipients_error=row.recipients_error,
        looked_up_again_at=row.recipients_due_at,
        message_count=len(_pairs_of(row, messages)),
        message_total=_messages_in_all(row, messages),
        has_url=bool(as_url_entry(row.url)),
        has_mailbox="@" in row.mailbox,
        wired=WIRED,
        device_isolation_is_automatic=tenant.device_isolation_is_automatic,
        is_protected=row.device_id in protected,
    )


def _cancel_unsupported(
    rows: Sequence[Evidence],
    decisions: Mapping[UUID, Decision],
    proposals: Mapping[UUID, Sequence[Proposal]],
    links: Mapping[UUID, list[RemediationAction]],
) -> None:
    """Take back unsent actions of ours that a newer verdict no longer supports and no other evidence does."""
    doubted: dict[UUID, RemediationAction] = {}
    for row in rows:
        decision = decisions[row.pk]
        wanted = {proposal.sha256 for proposal in proposals[row.pk]}
        for action in links.get(row.pk, []):
            was_automatic = action.required_approvals == 0
            fits = action.parameters_sha256 in wanted and not (
                was_automatic and decision.outcome == EvidenceOutcome.PENDING
            )
            if action.requested_by_id is None and not fits:
                doubted[action.pk] = action
    elsewhere = set(
        ActionEvidence.objects.filter(
            action__in=doubted, evidence__outcome__in=[EvidenceOutcome.AUTOMATIC, EvidenceOutcome.PENDING]
        )
        .exclude(evidence__in=rows)
        .values_list("action_id", flat=True)
    )
    unsupported = RemediationAction.objects.select_for_update().unsent().filter(pk__in=doubted.keys() - elsewhere)
    words = _("A newer verdict no longer supports it.")
    for action in unsupported.order_by("id"):
        move(action, State.CANCELLED, actor=SYSTEM, reason=words, changes={"detail": words})


def _propose(tenant: Tenant, proposals: Mapping[UUID, Sequence[Proposal]]) -> list[RemediationAction]:
    linked = [(evidence_id, proposal) for evidence_id, found in proposals.items() for proposal in found]
    # The same file may lie in two folders of one device and be decided differently: then a person is asked.
    by_caution = sorted((proposal for _id, proposal in linked), key=lambda each: each.is_approved, reverse=True)
    actions, born = propose(tenant.id, by_caution, actor=SYSTEM)
    ActionEvidence.objects.bulk_create(
        [
            ActionEvidence(tenant_id=tenant.id, action=actions[proposal.sha256], evidence_id=evidence_id)
            for evidence_id, proposal in linked
        ],
        ignore_conflicts=True,
    )
    return [actions[digest] for digest in sorted(born)]


def _proposals(tenant: Tenant, row: Evidence, decision: Decision, messages: Pairs) -> list[Proposal]:
    """Return what is to be done about a piece of evidence: one action, or several where it is about many messages."""
    is_mail = row.kind in MAIL_KINDS
    sets = _parameter_sets(row, decision.action_type, messages)
    return [
        Proposal(
            tenant_id=tenant.id,
            type=decision.action_type,
            source=Source.AUTOMATED_EMAIL if is_mail else Source.AUTOMATED_DEVICE,
            target=_target(row) if len(sets) == 1 else f"{_target(row)} ({number}/{len(sets)})",
            parameters=parameters,
            reason=decision.reason,
            is_approved=decision.outcome == EvidenceOutcome.AUTOMATIC,
            device=None if is_mail else row.device,
            investigation_id=row.investigation_id,
            entity=entity_of_mail(row.raw) if is_mail else "",
        )
        for number, parameters in enumerate(sets, start=1)
    ]


def _target(row: Evidence) -> str:
    """Whose it is, then what it is: by that people tell the same file or message in different places apart."""
    if row.kind == EvidenceKind.DEVICE:
        return in_plain_sight(str(row.device))
    place = row.recipient if row.kind in MAIL_KINDS else str(row.device)
    return in_plain_sight(f"{place} · {row.label}" if place else row.label)


def _parameter_sets(row: Evidence, action_type: str, messages: Pairs) -> list[dict[str, Any]]:
    match action_type:
        case "isolate_device":
            return [{"isolation_type": "Full"}]
        case "stop_and_quarantine_file":
            return [{"sha1": row.sha1}]
        case "block_url":
            return [{"url": as_url_entry(row.url)}]
        case "turn_off_forwarding":
            return [{"mailbox": row.mailbox.strip().lower()}]
    pairs = sorted(_pairs_of(row, messages))
    return [
        {"messages": as_messages(set(pairs[at : at + MESSAGES_OF_ACTION]))}
        for at in range(0, len(pairs), MESSAGES_OF_ACTION)
    ]
