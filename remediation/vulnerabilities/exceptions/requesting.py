"""Asking for an exception: what it may be for, whom it may apply to, why, and for how long."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from connectors.outbound.telling import tell
from investigations.models import DeviceGroup
from portal.access.actors import Actor
from portal.access.exceptions import Conflict
from portal.access.roles import Capability
from portal.api.fields import NOT_YOURS
from remediation.vulnerabilities.activities.requesting import UnfitRequest
from remediation.vulnerabilities.exceptions import telling
from remediation.vulnerabilities.exceptions.transitions import hold, note
from remediation.vulnerabilities.models import Recommendation, RecommendationException
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.recommendations.payloads import is_cve
from remediation.vulnerabilities.states import (
    OPEN_EXCEPTION_STATES,
    ExceptionKind,
    ExceptionState,
    Justification,
)

LENGTHS: Final = (30, 60, 90)
"""The terms on offer, in days. Source: Microsoft's page shows them; no text of its says so (facts 5.4)."""
LONGEST_DAYS: Final = 365
LONGEST_CONTEXT: Final = 2000

JUSTIFICATIONS: Final = (
    Justification.THIRD_PARTY_CONTROL,
    Justification.ALTERNATE_MITIGATION,
    Justification.RISK_ACCEPTED,
    Justification.PLANNED_REMEDIATION,
    Justification.CVE_WITHOUT_PATCH,
)
"""Microsoft's current set; the last is for exceptions of CVEs alone. The older ones come with an import alone."""


def justifications_for(kind: ExceptionKind) -> list[Justification]:
    """Return what an exception of this kind may be justified by."""
    left_out = {Justification.CVE_WITHOUT_PATCH} if kind == ExceptionKind.RECOMMENDATION else set()
    return [justification for justification in JUSTIFICATIONS if justification not in left_out]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an exception is for: a recommendation of a tenant, or else a CVE in it."""

    tenant_id: UUID
    recommendation: Recommendation | None = None
    cve_id: str = ""

    @property
    def kind(self) -> ExceptionKind:
        """Which of the two it is."""
        return ExceptionKind.CVE if self.recommendation is None else ExceptionKind.RECOMMENDATION

    def __str__(self) -> str:
        return self.cve_id if self.recommendation is None else str(self.recommendation)

    def recommendations(self) -> QuerySet[Recommendation]:
        """Return the recommendation, or those that name the CVE, as far as Microsoft still lists them."""
        listed = Recommendation.objects.filter(tenant_id=self.tenant_id, disappeared_at=None)
        if self.recommendation is not None:
            return listed.filter(pk=self.recommendation.pk)
        return listed.filter(cve_ids__contains=[self.cve_id])

    def open_exceptions(self) -> QuerySet[RecommendationException]:
        """Return the exceptions for it that wait, are in effect or are suspended."""
        return RecommendationException.objects.filter(
            tenant_id=self.tenant_id,
            recommendation=self.recommendation,
            cve_id=self.cve_id,
            state__in=OPEN_EXCEPTION_STATES,
        )


@dataclass(frozen=True, slots=True)
class Reach:
    """To whom an exception applies: the whole tenant with groups made later, or these device groups."""

    is_global: bool
    group_ids: frozenset[UUID] = frozenset()


def subject_of_cve(tenant_id: UUID, cve_id: str) -> Subject:
    """Return a CVE of a tenant as something to be excepted. Raises BadRequest for what is no CVE's id."""
    cleaned = cve_id.strip().upper()
    if not is_cve(cleaned):
        words = _("“%(text)s” is no CVE: write it like CVE-2026-12345.")
        raise UnfitRequest("cve_id", words % {"text": cve_id})
    return Subject(tenant_id, cve_id=cleaned)


def last_day(days: int | None, on: date | None) -> date:
    """Return the last day (UTC) of a term given as a number of days or as a date. Raises BadRequest."""
    first = today()
    if days is not None and on is None:
        if days not in LENGTHS:
            raise UnfitRequest("days", _("The terms on offer are 30, 60 and 90 days; give a last day for any other."))
        last = first + timedelta(days=days)
    elif on is not None and days is None:
        last = on
    else:
        raise UnfitRequest("expires_on", _("Give a number of days or a last day, one of the two."))
    if not first <= last <= first + timedelta(days=LONGEST_DAYS):
        words = _("The last day is today or later, and at most %(most)d days off.")
        raise UnfitRequest("expires_on", words % {"most": LONGEST_DAYS})
    return last


def free_groups(subject: Subject) -> list[DeviceGroup]:
    """Return the tenant's device groups that no open exception for the same thing names."""
    taken = {key for keys in subject.open_exceptions().values_list("group_ids", flat=True) for key in keys}
    groups = DeviceGroup.objects.filter(~Q(pk__in=taken), tenant_id=subject.tenant_id)
    return list(groups.order_by("is_default", "rank"))


def request_exception(
    subject: Subject,
    reach: Reach,
    *,
    justification: Justification,
    context: str,
    expires_on: date,
    actor: Actor,
) -> RecommendationException:
    """Ask for an exception and tell the IT admins; it has no effect before a second person grants it.

    `expires_on` is what `last_day` returned. Raises what `place_request` raises.
    """
    exception = place_request(
        subject,
        reach,
        justification=justification,
        context=context,
        expires_on=expires_on,
        actor=actor,
        accepted=justifications_for(subject.kind),
    )
    tell(
        exception.tenant_id,
        telling.requested(exception, by=actor.label),
        key=f"exception-requested:{exception.pk}",
    )
    return exception


def place_request(
    subject: Subject,
    reach: Reach,
    *,
    justification: Justification,
    context: str,
    expires_on: date,
    actor: Actor,
    accepted: Collection[Justification],
    source: Mapping[str, Any] | None = None,
) -> RecommendationException:
    """Ask for an exception without a word to the IT admins: who places many tells of them once.

    `accepted` are the justifications that will do. `source` goes on record where it was read from a file. Raises
    Forbidden without the right, BadRequest for what makes no sense, Conflict for a recommendation that is gone and for
    what is excepted already; then nothing was written.
    """
    actor.require(Capability.HANDLE_REMEDIATION, subject.tenant_id)
    if justification not in accepted:
        words = _("“%(words)s” does not justify an exception of this kind.")
        raise UnfitRequest("justification", words % {"words": justification.label})
    if not 1 <= len(context.strip()) <= LONGEST_CONTEXT:
        words = _("Say why in at most %(most)d characters; it goes on record.")
        raise UnfitRequest("context", words % {"most": LONGEST_CONTEXT})
    hold(subject.tenant_id)
    if not subject.recommendations().exists():
        raise Conflict(_gone(subject))
    groups = checked_groups(subject, reach)
    exception = RecommendationException.objects.create(
        tenant_id=subject.tenant_id,
        kind=subject.kind,
        recommendation=subject.recommendation,
        cve_id=subject.cve_id,
        is_global=reach.is_global,
        group_ids=[group.pk for group in groups],
        group_names=[group.name for group in groups],
        justification=justification,
        context=context.strip(),
        expires_on=expires_on,
        requested_by_id=actor.id,
    )
    _note_requested(exception, actor, source)
    return exception


def checked_groups(subject: Subject, reach: Reach) -> list[DeviceGroup]:
    """Return the device groups an exception would name, none for the whole tenant.

    Raises BadRequest for a choice that is none and for other tenants' groups, Conflict where the same is open already.
    """
    if reach.is_global == bool(reach.group_ids):
        raise UnfitRequest("groups", _("Choose device groups, or the whole tenant, one of the two."))
    if reach.is_global:
        if subject.open_exceptions().filter(is_global=True).exists():
            raise Conflict(_("There is one for the whole tenant already. Open it to see how far it is."))
        return []
    groups = DeviceGroup.objects.filter(pk__in=reach.group_ids, tenant_id=subject.tenant_id)
    chosen = list(groups.order_by("is_default", "rank"))
    if len(chosen) < len(reach.group_ids):
        raise UnfitRequest("groups", str(NOT_YOURS))
    free = {group.pk for group in free_groups(subject)}
    if taken := [group.name for group in chosen if group.pk not in free]:
        raise Conflict(
            _("Excepted already, or asked for: %(groups)s. Leave them out; the others can be asked for.")
            % {"groups": ", ".join(taken)}
        )
    return chosen


def _gone(subject: Subject) -> str:
    if subject.recommendation is not None:
        return _("Microsoft no longer lists this recommendation, so there is nothing to except.")
    return _("No recommendation of this tenant names %(cve)s. Check how it is written.") % {"cve": subject.cve_id}


def _note_requested(exception: RecommendationException, actor: Actor, source: Mapping[str, Any] | None) -> None:
    after: dict[str, Any] = {
        "state": str(ExceptionState.REQUESTED),
        "groups": exception.group_names,
        "justification": str(exception.justification),
        "expires_on": exception.expires_on.isoformat(),
    }
    note(
        exception,
        "requested",
        before=None,
        after=after if source is None else after | {"imported_from": dict(source)},
        actor=actor.stamp,
        reason=exception.context,
    )
