"""Correcting a verdict: a false positive or negative, with all that follows from it, in one go.

Each part becomes an action with a life of its own; a part that is refused says why and the others go on. Source:
Microsoft, "Address false positives/negatives in Microsoft Defender for Endpoint".
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.choosing import find_enabled
from connectors.clouds import Cloud
from connectors.microsoft.words import DETERMINATIONS, plain_word
from investigations.models import Alert, Evidence
from investigations.states import EvidenceKind
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Refusal
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.answering import stated
from remediation.actions.binding import fingerprint
from remediation.actions.by_hand import HAND_WORK, PORTALS
from remediation.actions.effects import describe_undo
from remediation.actions.entities import entity_of
from remediation.actions.models import RemediationAction
from remediation.actions.parameters import check_parameters, describe_target
from remediation.actions.services import request_action
from remediation.actions.states import OPEN_STATES, State
from remediation.actions.taking_back import (
    Reach,
    Result,
    action_itself,
    actions_of_evidence,
    actions_of_investigation,
    instances_of,
    undo_all,
    undone_among,
)
from remediation.actions.undoing import reasons_against_undo
from remediation.catalogue import CATALOGUE

MOST_EVIDENCE: Final = 50
"""Pieces of evidence of one alert that are handed in to Microsoft."""

_INDICATORS: Final = ("allow_indicator", "block_indicator", "remove_indicator")


class Mistake(TextChoices):
    """Which way a verdict was wrong."""

    FALSE_POSITIVE = "false_positive", gettext_lazy("False positive")
    FALSE_NEGATIVE = "false_negative", gettext_lazy("False negative")


class Undo(TextChoices):
    """How much of what was done is taken back."""

    NONE = "none", gettext_lazy("Nothing")
    THIS = "this", gettext_lazy("What was done about this")
    ALL_INSTANCES = "all_instances", gettext_lazy("Every instance of the file in this tenant")
    INVESTIGATION = "investigation", gettext_lazy("Everything the investigation did")


class PartName(TextChoices):
    """What a part of a correction does."""

    CLASSIFY = "classify", gettext_lazy("Classify the alert")
    UNDO = "undo", gettext_lazy("Undo")
    INDICATOR = "indicator", gettext_lazy("Indicator")
    SUBMIT = "submit", gettext_lazy("Submit to Microsoft")


CLASSIFICATIONS: Final[Mapping[Mistake, tuple[str, ...]]] = {
    Mistake.FALSE_POSITIVE: ("falsePositive", "informationalExpectedActivity"),
    Mistake.FALSE_NEGATIVE: ("truePositive",),
}
"""What an alert can be called, by which way the verdict was wrong."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the verdict was about: an alert, a piece of evidence or an action, with what hangs on it."""

    tenant: Tenant
    name: str
    object_id: UUID
    alerts: Sequence[Alert] = ()
    evidence: Sequence[Evidence] = ()
    action: RemediationAction | None = None
    investigation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """What somebody reports. `indicator` has `indicator_type`, `value` and perhaps `days`, None for none.

    With `shown`, nothing is undone but these actions: those that somebody saw listed.
    """

    mistake: Mistake
    subject: Subject
    classification: str
    determination: str
    undo: Undo = Undo.NONE
    indicator: Mapping[str, Any] | None = None
    is_submitted: bool = False
    shown: Collection[UUID] | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """One part as it will be ordered. `against` says why it cannot be; `undoes` is what it takes back."""

    name: PartName
    what: str
    target: str
    type_name: str = ""
    parameters: Mapping[str, Any] | None = None
    undoes: RemediationAction | None = None
    against: str = ""
    effect: str = ""
    is_left_out: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one part: the action that was ordered, or why none was."""

    planned: Planned
    result: Result
    action: RemediationAction | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HandWork:
    """What Microsoft has no API for: a person does it at the address, "" where none is known."""

    what: str
    url: str = ""


def subject_of_alert(alert: Alert) -> Subject:
    """Return an alert with its evidence."""
    evidence = list(alert.evidence.order_by("id")[:MOST_EVIDENCE])
    return Subject(alert.tenant, str(alert), alert.pk, [alert], evidence, None, alert.investigation_id)


def subject_of_evidence(evidence: Evidence) -> Subject:
    """Return a piece of evidence with its alert."""
    return Subject(
        evidence.tenant, str(evidence), evidence.pk, [evidence.alert], [evidence], None, evidence.investigation_id
    )


def subject_of_action(action: RemediationAction) -> Subject:
    """Return an action with the alerts and evidence it answers; one that was asked for by hand may have none."""
    links = action.evidence_links.select_related("evidence__alert").order_by("id")[:MOST_EVIDENCE]
    evidence = [link.evidence for link in links]
    alerts = {piece.alert_id: piece.alert for piece in evidence}
    investigation_id = action.investigation_id or next((piece.investigation_id for piece in evidence), None)
    return Subject(action.tenant, str(action), action.pk, list(alerts.values()), evidence, action, investigation_id)


def plan(correction: Correction) -> list[Planned]:
    """Return the parts of a correction, those that cannot be done too. Changes nothing.

    Raises BadRequest for words that Microsoft does not have, or that do not fit the kind of mistake.
    """
    classification, determination = _words(correction)
    if correction.mistake is Mistake.FALSE_NEGATIVE and correction.undo is not Undo.NONE:
        raise BadRequest(_("A missed threat leaves nothing to undo: only a false positive does."))
    return [
        *_classify(correction.subject, classification, determination),
        *_undo(correction),
        *_indicator(correction),
        *(_submit(correction, determination) if correction.is_submitted else ()),
    ]


def carry_out(correction: Correction, *, actor: Actor, reason: str) -> list[Done]:
    """Order every part and return what came of each. Doing it again orders nothing that is under way or done.

    Raises Forbidden for who does not work on investigations, BadRequest as `plan` does and without a reason. A part
    needs the right it would need by itself.
    """
    tenant_id = correction.subject.tenant.pk
    actor.require(Capability.WORK_ON_INVESTIGATIONS, tenant_id)
    said = stated(reason)
    done = [_carry_out(part, tenant_id, actor, said) for part in plan(correction)]
    if any(part.result in (Result.ORDERED, Result.WAITS_FOR_APPROVAL) for part in done):
        _note(correction, done, actor, said)
    return done


def left_to_people(correction: Correction) -> list[HandWork]:
    """Return what a person still has to do in the tenant's Defender portal."""
    tenant = correction.subject.tenant
    connection = find_enabled(tenant.pk)
    portal = PORTALS.get(connection.cloud if connection else Cloud.GLOBAL, "")
    left = []
    if correction.mistake is Mistake.FALSE_POSITIVE:
        words = _(
            "If alerts like this keep coming: make a suppression rule in the Defender portal. Microsoft has no API."
        )
        page = next((url for url in map(_page_of, correction.subject.alerts) if url), portal)
        left.append(HandWork(words, page))
    if correction.is_submitted and any(piece.kind == EvidenceKind.FILE for piece in correction.subject.evidence):
        words = _(
            "Hand the file itself in under Submissions: Quell does not have it. Then say so on the action's page."
        )
        path = HAND_WORK["submit_file"].path
        left.append(HandWork(words, f"{portal}/{path}?tid={tenant.entra_tenant_id}" if portal else ""))
    return left


def _page_of(alert: Alert) -> str:
    """Return the alert's page, "" for one that is not in a Defender portal: alerts come in from elsewhere too."""
    url = alert.raw.get("alertWebUrl") if isinstance(alert.raw, dict) else None
    return url if isinstance(url, str) and url.startswith(tuple(f"{page}/" for page in PORTALS.values())) else ""


def _words(correction: Correction) -> tuple[str, str]:
    classification, determination = plain_word(correction.classification), plain_word(correction.determination)
    allowed = CLASSIFICATIONS[correction.mistake]
    if classification not in allowed:
        words = _("The classification must be %(wanted)s.")
        raise BadRequest(words % {"wanted": " | ".join(allowed)})
    if determination not in DETERMINATIONS[classification]:
        words = _("The determination of “%(classification)s” must be %(wanted)s.")
        wanted = " | ".join(DETERMINATIONS[classification])
        raise BadRequest(words % {"classification": classification, "wanted": wanted})
    return classification, determination


def _classify(subject: Subject, classification: str, determination: str) -> list[Planned]:
    if not subject.alerts:
        words = _("No alert of Microsoft's stands behind this, so there is none to classify.")
        return [Planned(PartName.CLASSIFY, str(PartName.CLASSIFY.label), subject.name, against=words)]
    return [
        _asked(
            PartName.CLASSIFY,
            "classify_alert",
            {"alert_id": alert.alert_id, "classification": classification, "determination": determination},
            target=f"{alert.title} · {classification}, {determination}",
        )
        for alert in subject.alerts
    ]


def _undo(correction: Correction) -> list[Planned]:
    subject = correction.subject
    if correction.undo is Undo.NONE:
        return []
    reach = _to_undo(correction.undo, subject)
    if correction.shown is not None:
        reach = reach.narrowed_to(correction.shown)
    if not reach.actions and not reach.left_out:
        words = _("Nothing was done that could be undone.")
        return [Planned(PartName.UNDO, str(Undo(correction.undo).label), subject.name, against=words)]
    reasons, undone = reasons_against_undo(reach.actions), undone_among(reach.actions)
    return [
        *(
            _taken_back(row, effect=_("It is undone, or about to be."))
            if row.pk in undone
            else _taken_back(row, against=reasons[row.pk], effect=describe_undo(row.kind))
            for row in reach.actions
        ),
        *(_taken_back(left.action, against=left.reason, is_left_out=True) for left in reach.left_out),
    ]


def _taken_back(action: RemediationAction, **told: Any) -> Planned:
    return Planned(PartName.UNDO, str(action.kind.label), action.target, undoes=action, **told)


def _to_undo(undo: Undo, subject: Subject) -> Reach:
    tenant_id = subject.tenant.pk
    if undo is Undo.INVESTIGATION:
        found = subject.investigation_id
        return actions_of_investigation(tenant_id, found) if found else Reach([], [])
    if undo is Undo.ALL_INSTANCES:
        return instances_of(tenant_id, _files(subject))
    if subject.action is not None:
        return action_itself(subject.action)
    return actions_of_evidence(tenant_id, [piece.pk for piece in subject.evidence])


def _files(subject: Subject) -> list[str]:
    if subject.action is not None:
        return [subject.action.parameters["sha1"]] if "sha1" in subject.action.parameters else []
    return sorted({piece.sha1.lower() for piece in subject.evidence if piece.sha1})


def _indicator(correction: Correction) -> list[Planned]:
    if correction.indicator is None:
        return []
    type_name = "allow_indicator" if correction.mistake is Mistake.FALSE_POSITIVE else "block_indicator"
    return [_asked(PartName.INDICATOR, type_name, correction.indicator)]


def _submit(correction: Correction, determination: str) -> list[Planned]:
    is_clean = correction.mistake is Mistake.FALSE_POSITIVE
    threat = determination if determination in ("malware", "phishing") else "spam"
    parts: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for piece in correction.subject.evidence:
        if piece.kind == EvidenceKind.FILE and piece.sha1:
            category = "clean" if is_clean else "malware"
            parts["file", piece.sha1] = ("submit_file", {"sha1": piece.sha1, "category": category})
        elif piece.kind == EvidenceKind.URL and piece.url:
            category = "notJunk" if is_clean else ("phishing" if threat == "spam" else threat)
            parts["url", piece.url] = ("submit_url", {"url": piece.url, "category": category})
        elif piece.kind == EvidenceKind.ANALYZED_MESSAGE and piece.recipient:
            message = {"network_message_id": piece.network_message_id, "recipient": piece.recipient}
            category = "notJunk" if is_clean else threat
            parts["mail", str(message)] = ("submit_email", {"messages": [message], "category": category})
    if not parts:
        words = _("There is no file with a SHA-1, no address and no message here to submit.")
        return [Planned(PartName.SUBMIT, str(PartName.SUBMIT.label), correction.subject.name, against=words)]
    return [_asked(PartName.SUBMIT, type_name, parameters) for type_name, parameters in parts.values()]


def _asked(name: PartName, type_name: str, given: Mapping[str, Any], *, target: str = "") -> Planned:
    """Plan an action that is asked for like any other; what it would be refused for is said beforehand."""
    kind = CATALOGUE[type_name]
    try:
        checked = check_parameters(kind, given)
    except BadRequest as refusal:
        return Planned(name, str(kind.label), target, type_name, given, against=str(refusal))
    told = target or describe_target(kind, None, checked)
    return Planned(name, str(kind.label), told, type_name, checked, effect=describe_undo(kind) if kind.inverse else "")


def _carry_out(part: Planned, tenant_id: UUID, actor: Actor, reason: str) -> Done:
    if part.undoes is not None and not part.is_left_out:
        (undone,) = undo_all([part.undoes], actor=actor, reason=reason)
        return Done(part, undone.result, undone.undo, undone.reason)
    if part.against or part.parameters is None:
        return Done(part, Result.REFUSED, reason=part.against)
    if earlier := _ordered_before(tenant_id, part.type_name, part.parameters):
        return Done(part, Result.ALREADY, earlier)
    try:
        with acting_for(tenant_id):
            action, is_new = request_action(
                tenant_id=tenant_id,
                type_name=part.type_name,
                device=None,
                parameters=part.parameters,
                reason=reason,
                actor=actor,
            )
    except Refusal as refusal:
        return Done(part, Result.REFUSED, reason=str(refusal))
    if not is_new:
        return Done(part, Result.ALREADY, action)
    waits = action.state == State.PENDING_APPROVAL
    return Done(part, Result.WAITS_FOR_APPROVAL if waits else Result.ORDERED, action)


def _ordered_before(tenant_id: UUID, type_name: str, parameters: Mapping[str, Any]) -> RemediationAction | None:
    """Return the action by which this was done or is under way already, unless something else came after it."""
    digest = fingerprint(tenant_id, type_name, "", parameters)
    rows = RemediationAction.objects.filter(tenant=tenant_id, entity=entity_of(parameters))
    if type_name.startswith("submit_"):
        rows = rows.filter(parameters_sha256=digest)
    else:
        rows = rows.filter(type__in=_INDICATORS if type_name in _INDICATORS else [type_name])
    newest = rows.order_by("-id").first()
    counts = newest is not None and newest.state in {*OPEN_STATES, State.SUCCEEDED}
    return newest if counts and newest is not None and newest.parameters_sha256 == digest else None


def _note(correction: Correction, done: Sequence[Done], actor: Actor, reason: str) -> None:
    subject = correction.subject
    record(
        subject.tenant.pk,
        f"correction.{correction.mistake.value}",
        object_type="remediation action" if subject.action else "alert",
        object_id=subject.action.pk if subject.action else subject.alerts[0].pk,
        actor=actor.stamp,
        data={
            "target": subject.name,
            "before": {"classification": [alert.classification for alert in subject.alerts]},
            "after": {"classification": correction.classification, "determination": correction.determination},
            "parts": [
                {"part": part.planned.name.value, "what": part.planned.what, "result": part.result.value,
                 "action": str(part.action.pk) if part.action else None}
                for part in done
            ],
            "reason": reason,
        },
    )  # fmt: skip
