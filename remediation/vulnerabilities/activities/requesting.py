"""Asking for remediation, in one tenant or in many at once. Nothing here changes a device.

Rules: Microsoft, "Request remediation" (facts 5.2) and "Block vulnerable applications" (facts 5.5).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from investigations.models import DeviceGroup
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden, Refusal
from portal.access.roles import Capability
from portal.api.fields import NOT_YOURS
from portal.audit.recording import record
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from remediation.vulnerabilities.activities.options import SOFTWARE, mitigations_for, options_for
from remediation.vulnerabilities.activities.repeats import repeats
from remediation.vulnerabilities.activities.storing import store_activities
from remediation.vulnerabilities.intune.tickets import tenants_connected
from remediation.vulnerabilities.models import Exposure, Recommendation, RemediationActivity
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import Mitigation, Priority, RemediationOption

MOST_TENANTS: Final = 1000
LONGEST_NOTES: Final = 4000
NOT_REQUESTED: Final = "activity.not_requested"
"""The event in the history of a tenant that got no activity from a campaign; its object is the campaign."""
MOST_DAYS: Final = 365
"""A due date lies at most so many days ahead."""


@dataclass(frozen=True, slots=True)
class RemediationRequest:
    """What is asked for. `due_on` is a day, UTC, None with attention required; `opens_ticket`: one in Intune."""

    option: RemediationOption
    priority: Priority
    due_on: date | None
    notes: str = ""
    mitigation: Mitigation = Mitigation.NONE
    opens_ticket: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be asked for on one recommendation: `ticket` only where the tenant's Intune connection is on."""

    options: Sequence[RemediationOption]
    mitigations: Sequence[Mitigation]
    ticket: bool


@dataclass(frozen=True, slots=True)
class TenantAnswer:
    """What became of a campaign in one tenant: its activity, or why there is none; `is_found` unless it is nobody's."""

    tenant_id: UUID
    activity: RemediationActivity | None
    reason: str
    is_found: bool = True


class UnfitRequest(BadRequest):
    """One thing that was asked for does not fit. `field` is its name in the API's body."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.errors = [{"field": field, "message": message}]


def offer_for(recommendation: Recommendation) -> Offer:
    """Return what can be asked for on this recommendation now; no option once Microsoft no longer lists it."""
    options = options_for(recommendation)
    is_connected = bool(tenants_connected([recommendation.tenant_id]))
    return Offer(options, mitigations_for(recommendation), bool(options) and is_connected)


def request_remediation(
    recommendation_id: UUID, request: RemediationRequest, *, group_ids: Collection[UUID], actor: Actor
) -> RemediationActivity:
    """Make one activity for the exposed devices of these device groups (none: of all).

    Raises BadRequest for what makes no sense as asked, groups of another tenant among it, Conflict for a recommendation
    that is no longer listed or of which no device is exposed in these groups, or where just this is requested already
    and open, and Forbidden.
    """
    _check(request)
    found = Recommendation.objects.filter(pk=recommendation_id).first()
    if found is None:
        raise UnfitRequest("recommendation", str(NOT_YOURS))
    actor.require(Capability.HANDLE_REMEDIATION, found.tenant_id)
    groups = DeviceGroup.objects.filter(tenant_id=found.tenant_id, pk__in=set(group_ids)).order_by("rank")
    if len(groups) != len(set(group_ids)):
        raise UnfitRequest("device_groups", str(NOT_YOURS))
    obstacle = _obstacle(found, request, bool(tenants_connected([found.tenant_id])))
    exposed = Exposure.objects.filter(recommendation=found)
    if groups:
        exposed = exposed.filter(device__group__in=groups)
    if obstacle is None and not exposed.exists():
        obstacle = Conflict(_nobody_exposed(found, len(groups)))
    if obstacle is not None:
        raise obstacle
    activity = _new_activity(found, request, actor=actor, campaign=uuid7(), tenants_asked=1)
    activity.group_ids, activity.group_names = [group.pk for group in groups], [group.name for group in groups]
    if repeated := repeats([activity], actor):
        raise Conflict(repeated[activity.tenant_id])
    store_activities([activity], actor=actor)
    return activity


def request_campaign(
    recommendation_id: str, tenant_ids: Collection[UUID], request: RemediationRequest, *, actor: Actor
) -> list[TenantAnswer]:
    """Make one activity in each of these tenants, by Microsoft's recommendation id, under one campaign.

    What stands against one tenant is told for it; the others go on. Raises BadRequest for what no tenant could do.
    """
    _check(request)
    wanted = sorted(set(tenant_ids))
    if not 1 <= len(wanted) <= MOST_TENANTS:
        raise UnfitRequest("tenants", _("Choose from 1 to %(most)d tenants.") % {"most": MOST_TENANTS})
    seen = set(Tenant.objects.filter(pk__in=wanted).exclude(pk=PROVIDER_TENANT_ID).values_list("pk", flat=True))
    mine = [key for key in wanted if key in seen and actor.may(Capability.HANDLE_REMEDIATION, key)]
    found = {row.tenant_id: row for row in _recommendations(recommendation_id, mine)}
    obstacles = _obstacles(found, request)
    campaign = uuid7()
    fresh = [
        _new_activity(row, request, actor=actor, campaign=campaign, tenants_asked=len(wanted))
        for key, row in found.items()
        if key not in obstacles
    ]
    repeated = repeats(fresh, actor)
    obstacles |= repeated
    activities = [row for row in fresh if row.tenant_id not in repeated]
    store_activities(activities, actor=actor)
    made = {row.tenant_id: row for row in activities}
    answers = [
        TenantAnswer(
            key, made.get(key), "" if key in made else _why_not(key, obstacles, actor, key in seen), key in seen
        )
        for key in wanted
    ]
    if made:
        _note_refused(answers, campaign, recommendation_id, actor)
    return answers


def _note_refused(answers: Iterable[TenantAnswer], campaign: UUID, recommendation_id: str, actor: Actor) -> None:
    """Put on record in each tenant that got nothing why that is so; the campaign's page tells it from there."""
    for answer in answers:
        if answer.is_found and answer.activity is None:
            record(
                answer.tenant_id,
                NOT_REQUESTED,
                object_type="remediation campaign",
                object_id=campaign,
                actor=actor.stamp,
                data={"recommendation_id": recommendation_id, "reason": answer.reason},
            )


def _recommendations(recommendation_id: str, tenant_ids: Collection[UUID]) -> list[Recommendation]:
    rows = Recommendation.objects.filter(recommendation_id=recommendation_id, tenant_id__in=tenant_ids)
    return list(rows.defer("raw").order_by("tenant_id"))


def _check(request: RemediationRequest) -> None:
    """Refuse what no recommendation could make sense of."""
    is_attention = request.option == RemediationOption.ATTENTION_REQUIRED
    if is_attention and request.due_on is not None:
        raise UnfitRequest("due_on", _("“Attention required” has no due date; leave it out."))
    if is_attention and request.opens_ticket:
        raise UnfitRequest("open_ticket", _("“Attention required” opens no ticket in Intune; leave it out."))
    if not is_attention:
        _check_due(request.due_on)
    if request.mitigation != Mitigation.NONE and request.option not in SOFTWARE:
        raise UnfitRequest("mitigation", _("Only software that is to be updated or uninstalled can be blocked."))
    fitting_notes(request.notes)


def fitting_notes(notes: str, *, field: str = "notes") -> str:
    """Return notes without white space around them. Raises UnfitRequest for what is too long, or no text."""
    if len(notes) > LONGEST_NOTES or "\x00" in notes:
        raise UnfitRequest(field, _("Notes are at most %(most)d characters of text.") % {"most": LONGEST_NOTES})
    return notes.strip()


def _check_due(due_on: date | None) -> None:
    first = today()
    if due_on is None:
        raise UnfitRequest("due_on", _("Say by when it is due; only “Attention required” has no due date."))
    if not first <= due_on <= first + timedelta(days=MOST_DAYS):
        raise UnfitRequest(
            "due_on",
            _("The due date is %(due)s; choose a day from %(first)s (today, UTC) to a year from now.")
            % {"due": due_on.isoformat(), "first": first.isoformat()},
        )


def _obstacle(recommendation: Recommendation, request: RemediationRequest, is_connected: bool) -> Refusal | None:
    """Return what stands against the request on this recommendation, None where nothing does."""
    if recommendation.disappeared_at is not None:
        return Conflict(
            _("Microsoft no longer lists the recommendation “%(name)s” for this tenant, so nothing was requested.")
            % {"name": recommendation.name}
        )
    if request.option not in options_for(recommendation):
        return UnfitRequest(
            "option",
            _("“%(option)s” does not fit the recommendation “%(name)s”; choose one of: %(options)s.")
            % {
                "option": request.option.label,
                "name": recommendation.name,
                "options": ", ".join(str(option.label) for option in options_for(recommendation)),
            },
        )
    if request.mitigation not in mitigations_for(recommendation):
        return UnfitRequest(
            "mitigation",
            _(
                "“%(name)s” is about Microsoft's own software or an operating system, which cannot be blocked; request"
                " it without mitigation."
            )
            % {"name": recommendation.name},
        )
    if request.opens_ticket and not is_connected:
        return UnfitRequest(
            "open_ticket",
            _("The Microsoft Intune connection of this tenant is off; request it there without a ticket."),
        )
    return None


def _obstacles(found: dict[UUID, Recommendation], request: RemediationRequest) -> dict[UUID, str]:
    """Return what stands against the request, for each tenant where something does."""
    connected = tenants_connected(found) if request.opens_ticket else frozenset()
    exposed = _exposed(found.values())
    obstacles: dict[UUID, str] = {}
    for key, row in found.items():
        obstacle = _obstacle(row, request, key in connected)
        if obstacle is not None:
            obstacles[key] = str(obstacle)
        elif row.pk not in exposed:
            obstacles[key] = _nobody_exposed(row, 0)
    return obstacles


def _exposed(recommendations: Iterable[Recommendation]) -> set[UUID]:
    """Return which of these have a device exposed, without counting them."""
    rows = Recommendation.objects.filter(pk__in=[row.pk for row in recommendations])
    return set(rows.filter(Exists(Exposure.objects.filter(recommendation=OuterRef("pk")))).values_list("pk", flat=True))


def _nobody_exposed(recommendation: Recommendation, groups: int) -> str:
    if recommendation.exposures_read_at is None:
        return _("The devices exposed to “%(name)s” have not been read yet; request it again after the next sync.") % {
            "name": recommendation.name
        }
    if groups:
        return _("No device of these groups is exposed to “%(name)s”; choose others.") % {"name": recommendation.name}
    return _("No device is exposed to “%(name)s” any more, so there is nothing to request.") % {
        "name": recommendation.name
    }


def _why_not(tenant_id: UUID, obstacles: dict[UUID, str], actor: Actor, is_seen: bool) -> str:
    if not is_seen:
        return str(NOT_YOURS)
    try:
        actor.require(Capability.HANDLE_REMEDIATION, tenant_id)
    except Forbidden as refusal:
        return str(refusal)
    return obstacles.get(tenant_id) or _("This tenant has no such recommendation.")


def _new_activity(
    recommendation: Recommendation, request: RemediationRequest, *, actor: Actor, campaign: UUID, tenants_asked: int
) -> RemediationActivity:
    return RemediationActivity(
        tenant_id=recommendation.tenant_id,
        recommendation=recommendation,
        campaign=campaign,
        tenants_asked=tenants_asked,
        title=recommendation.name,
        related_component=recommendation.related_component or recommendation.product_name,
        option=request.option,
        mitigation=request.mitigation,
        priority=request.priority,
        due_on=request.due_on,
        notes=fitting_notes(request.notes),
        requested_by_id=actor.id,
        requested_by_label=actor.label,
        wants_ticket=request.opens_ticket,
    )
