"""Who received the messages of a mail cluster: looked up by a hunt, kept with the evidence, which is decided anew.

Graph names a cluster's messages without their recipients, and an action on mail needs both.
"""

from collections import Counter
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from connectors.protocol import HuntingResult
from connectors.storable import as_storable
from investigations.models import Evidence
from investigations.states import EvidenceOutcome, InvestigationState
from investigations.turns import take_turn
from portal.access.actors import Actor
from portal.access.exceptions import Conflict
from portal.access.roles import Capability
from portal.audit.recording import SYSTEM, record
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.bells import ring_after_commit
from remediation.actions.deciding import decide_evidence
from remediation.actions.decision import MOST_MESSAGES
from remediation.actions.outcomes import settle_investigations
from remediation.hunting import kql
from remediation.hunting.models import Hunt
from remediation.hunting.services import note_asked
from remediation.hunting.states import OPEN_STATES, HuntSource, HuntState
from remediation.hunting.timespans import DEFAULT

__all__ = ["MOST_MESSAGES", "keep_recipients", "look_up_again", "note_failure", "start_look_ups"]

ASKED_AT_ONCE: Final = 500
"""Messages named in one query; a larger cluster takes several, one after the other."""

STARTED_AT_ONCE: Final = 50

TRIED_AGAIN_AFTER: Final = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""How long after each failure a look-up is tried again; after the last of them it is given up."""

NOWHERE_AGAIN_AFTER: Final = (timedelta(minutes=15), timedelta(minutes=60))
"""When messages that were in no mailbox are looked up again: an alert may be faster than the table of mail."""


def start_look_ups(tenant_id: UUID) -> None:
    """Begin a hunt for each piece of the tenant's evidence that waits for its recipients and has none under way."""
    with acting_for(tenant_id):
        under_way = Hunt.objects.filter(state__in=OPEN_STATES, evidence__isnull=False).values("evidence")
        waiting = (
            Evidence.objects.filter(outcome=EvidenceOutcome.WAITING_FOR_RECIPIENTS)
            .filter(Q(recipients_due_at=None) | Q(recipients_due_at__lte=Now()))
            .exclude(investigation__state=InvestigationState.TERMINATED_BY_USER)
            .exclude(pk__in=under_way)
            .order_by("id")[:STARTED_AT_ONCE]
        )
        hunts = Hunt.objects.bulk_create([_look_up(row) for row in waiting], ignore_conflicts=True)
        for hunt in Hunt.objects.filter(pk__in=[hunt.pk for hunt in hunts]):
            note_asked(hunt, SYSTEM)
            ring_after_commit("hunt", tenant_id)


def keep_recipients(hunt: Hunt, evidence_id: UUID, found: HuntingResult) -> None:
    """Keep with the evidence who received the messages that were asked about, and decide about it anew."""
    evidence = _lock(hunt.tenant_id, evidence_id)
    recipients: dict[str, list[str]] = {
        **(evidence.recipients or {}),
        **{message_id: [] for message_id in (hunt.criteria or {})["messages"]},
    }
    for row in found.rows:
        message_id = str(row.get("NetworkMessageId") or "").lower()
        recipient = as_storable(str(row.get("RecipientEmailAddress") or "").strip().lower())
        if "@" in recipient and message_id in recipients and recipient not in recipients[message_id]:
            recipients[message_id].append(recipient)
    evidence.recipients = recipients
    evidence.recipients_error, evidence.recipients_due_at = "", _nowhere_again_at(evidence)
    _decide_anew(evidence)


def note_failure(tenant_id: UUID, evidence_id: UUID, words: str) -> None:
    """Say at the evidence why its recipients are not known and when they are looked up again, and decide anew."""
    evidence = _lock(tenant_id, evidence_id)
    evidence.recipients_error = words
    evidence.recipients_due_at = _again_at(evidence_id)
    _decide_anew(evidence)


def look_up_again(hunt: Hunt, *, actor: Actor) -> None:
    """Have the recipients looked up now that this hunt could not find. Raises Forbidden, and Conflict for other hunts.

    It has to be called in the tenant's scope.
    """
    actor.require(Capability.REQUEST_ACTION, hunt.tenant_id)
    if hunt.evidence_id is None or hunt.state != HuntState.FAILED:
        raise Conflict(_("This did not fail to look up recipients, so there is nothing to look up again."))
    evidence = _lock(hunt.tenant_id, hunt.evidence_id)
    before = {"error": evidence.recipients_error, "due": evidence.recipients_due_at}
    evidence.recipients_error, evidence.recipients_due_at = "", database_now()
    _decide_anew(evidence)
    record(
        hunt.tenant_id,
        "evidence.look_up_asked",
        object_type="hunt",
        object_id=hunt.pk,
        actor=actor.stamp,
        data={"target": evidence.label, "before": before, "after": {"error": "", "due": evidence.recipients_due_at}},
    )


def _lock(tenant_id: UUID, evidence_id: UUID) -> Evidence:
    """Return the evidence a look-up is about, locked, while no intake decides about it."""
    take_turn(tenant_id)
    return Evidence.objects.select_for_update(no_key=True).get(pk=evidence_id)


def _look_up(evidence: Evidence) -> Hunt:
    asked = (_never_asked(evidence) or _nowhere(evidence))[:ASKED_AT_ONCE]
    return Hunt(
        tenant_id=evidence.tenant_id,
        batch=uuid7(),
        source=HuntSource.CLUSTER,
        query=kql.recipients_query(asked),
        timespan=DEFAULT,
        criteria={"messages": asked},
        evidence_id=evidence.pk,
    )


def _never_asked(evidence: Evidence) -> list[str]:
    return sorted({key.lower() for key in evidence.network_message_ids} - (evidence.recipients or {}).keys())


def _nowhere(evidence: Evidence) -> list[str]:
    """Return the messages that were looked up and found in no mailbox."""
    known = evidence.recipients or {}
    return sorted({key.lower() for key in evidence.network_message_ids if known.get(key.lower()) == []})


def _nowhere_again_at(evidence: Evidence) -> datetime | None:
    """Return when to look up again what was found nowhere, once all was asked; None where there is none, or no more."""
    nowhere = _nowhere(evidence)
    if not nowhere or _never_asked(evidence):
        return None
    looks = Hunt.objects.filter(evidence=evidence.pk, state=HuntState.DONE).values_list("criteria", flat=True)
    counts = Counter(message_id for criteria in looks for message_id in (criteria or {})["messages"])
    looked = max(counts[message_id] for message_id in nowhere)
    return database_now() + NOWHERE_AGAIN_AFTER[looked - 1] if looked <= len(NOWHERE_AGAIN_AFTER) else None


def _again_at(evidence_id: UUID) -> datetime | None:
    """Return when to look up once more, None after the last time; what was found in between begins the count anew."""
    newest = Hunt.objects.filter(evidence=evidence_id).order_by("-id").values_list("state", flat=True)
    failures = len(list(takewhile(HuntState.FAILED.__eq__, newest[: len(TRIED_AGAIN_AFTER) + 1])))
    return database_now() + TRIED_AGAIN_AFTER[failures - 1] if failures <= len(TRIED_AGAIN_AFTER) else None


def _decide_anew(evidence: Evidence) -> None:
    evidence.save(update_fields=["recipients", "recipients_error", "recipients_due_at"])
    decide_evidence(evidence.tenant, [evidence.pk])
    settle_investigations([evidence.investigation_id])
