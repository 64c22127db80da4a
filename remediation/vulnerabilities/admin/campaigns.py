"""The pages of campaigns: one request for the same recommendation in many tenants, and how all of them stand."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.access.display import NOTHING, grouped, link_to, show_age
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, Section, actor_of
from portal.audit.models import AuditEvent
from remediation.vulnerabilities.activities.requesting import NOT_REQUESTED, TenantAnswer, offer_for, request_campaign
from remediation.vulnerabilities.admin import activity_columns as columns
from remediation.vulnerabilities.admin.request_forms import CampaignForm
from remediation.vulnerabilities.admin.requesting import (
    describe_request,
    facts_of,
    find_recommendation,
    show_refusal,
    turn_back,
)
from remediation.vulnerabilities.intune.tickets import MOST_DEVICES, tenants_connected
from remediation.vulnerabilities.models import Recommendation, RemediationActivity
from remediation.vulnerabilities.states import ActivityState, Completion

MOST_NAMED = 10
"""Tenants that a message or a sentence names; of more it says how many."""


def urls(pages: ReadOnlyAdmin) -> list[URLPattern]:
    """Return where a campaign is requested, named by one tenant's recommendation, and where it is followed."""
    ask, follow = (pages.admin_site.admin_view(partial(view, pages)) for view in (request_view, campaign_view))
    name = "vulnerabilities_remediationactivity_campaign"
    return [
        path("request-many/<uuid:recommendation_id>/", ask, name=f"{name}_request"),
        path("campaign/<uuid:campaign>/", follow, name=name),
    ]


def request_view(pages: ReadOnlyAdmin, request: HttpRequest, recommendation_id: UUID) -> HttpResponse:
    """Show the form; once it is filled in, what it comes to; once that is confirmed, make an activity per tenant."""
    found = find_recommendation(request, recommendation_id)
    if found.disappeared_at is not None:
        return turn_back(pages, request, found)
    places = _places(request, found)
    if not places:
        raise PermissionDenied
    form = _form(request, found, places)
    context = {
        **pages.admin_site.each_context(request),
        "title": _("Request remediation for many customers"),
        "opts": pages.opts,
        "recommendation": found,
        "back_url": reverse("admin:vulnerabilities_recommendation_change", args=[found.pk]),
        "exposed_count": sum(place.exposed_count for place in places),
        "form": form,
        "is_campaign": True,
    }
    if "edit" in request.POST or not form.is_valid():
        return TemplateResponse(request, "vulnerabilities/request.html", context)
    if "confirmed" not in request.POST:
        chosen = [place for place in places if place.tenant_id in form.tenant_ids]
        off = _without_ticket(form, chosen)
        context |= {"lines": _effects(form, chosen, off), "facts": facts_of(form), "places": _told(chosen, off)}
        return TemplateResponse(request, "vulnerabilities/request_confirm.html", context)
    try:
        return _request(pages, request, places, form)
    except Refusal as refusal:
        show_refusal(form, refusal)
        return TemplateResponse(request, "vulnerabilities/request.html", context)


def _places(request: HttpRequest, found: Recommendation) -> list[Recommendation]:
    """Return the same recommendation in every tenant where the person may ask for remediation."""
    mine = actor_of(request).tenants_where(Capability.HANDLE_REMEDIATION)
    rows = Recommendation.objects.filter(
        recommendation_id=found.recommendation_id, tenant_id__in=mine, disappeared_at=None
    )
    return list(rows.select_related("tenant").defer("raw").order_by("tenant__name"))


def _form(request: HttpRequest, found: Recommendation, places: Sequence[Recommendation]) -> CampaignForm:
    connected = tenants_connected([place.tenant_id for place in places])
    form = CampaignForm(replace(offer_for(found), ticket=bool(connected)), request.POST or None)
    words = _("%(tenant)s: %(count)s exposed")
    form.offer(
        [
            (
                str(place.tenant_id),
                words % {"tenant": place.tenant.name, "count": grouped(place.exposed_count)},
            )
            for place in places
        ]
    )
    return form


def _without_ticket(form: CampaignForm, chosen: Sequence[Recommendation]) -> list[Recommendation]:
    """Return where nothing is requested, since a ticket is asked for and the Intune connection is off."""
    if not form.asked.opens_ticket:
        return []
    connected = tenants_connected([place.tenant_id for place in chosen])
    return [place for place in chosen if place.tenant_id not in connected]


def _told(chosen: Sequence[Recommendation], off: Sequence[Recommendation]) -> list[str]:
    """Say for each tenant how many devices are exposed, or that nothing is requested there."""
    exposed, nothing = _("%(tenant)s: %(count)s exposed"), _("%(tenant)s: nothing is requested, Intune is off")
    return [
        (nothing if place in off else exposed) % {"tenant": place.tenant.name, "count": grouped(place.exposed_count)}
        for place in chosen
    ]


def _effects(form: CampaignForm, asked: Sequence[Recommendation], off: Sequence[Recommendation]) -> list[str]:
    """Say what confirming brings about in all of the tenants together."""
    chosen = [place for place in asked if place not in off]
    exposed = sum(place.exposed_count for place in chosen)
    tenants = ngettext("%(count)s customer gets an activity.", "%(count)s customers get an activity.", len(chosen))
    lines = [_("Nothing is changed on any device."), tenants % {"count": grouped(len(chosen))}]
    if not form.asked.opens_ticket:
        words = ngettext("%(exposed)s device is exposed.", "%(exposed)s devices are exposed.", exposed)
        return [*lines, words % {"exposed": grouped(exposed)}, *describe_request(form)]
    sent = sum(min(place.exposed_count, MOST_DEVICES) for place in chosen)
    words = _("%(exposed)s devices are exposed there; at most %(sent)s go to Intune, %(most)s for a customer.")
    numbers = {"exposed": exposed, "sent": sent, "most": MOST_DEVICES}
    lines.append(words % {name: grouped(number) for name, number in numbers.items()})
    if off:
        words = _(
            "The Intune connection is off for %(tenants)s, so nothing is requested there. Request it there without a "
            "ticket afterwards, or change something now."
        )
        lines.append(words % {"tenants": _named([place.tenant.name for place in off])})
    return [*lines, *describe_request(form)]


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    if len(names) <= MOST_NAMED:
        return shown
    return _("%(names)s and %(count)d more") % {"names": shown, "count": len(names) - MOST_NAMED}


def _request(
    pages: ReadOnlyAdmin, request: HttpRequest, places: Sequence[Recommendation], form: CampaignForm
) -> HttpResponse:
    answers = request_campaign(places[0].recommendation_id, form.tenant_ids, form.asked, actor=actor_of(request))
    made = [answer.activity for answer in answers if answer.activity is not None]
    _tell_refused(pages, request, answers, {place.tenant_id: place.tenant.name for place in places})
    if not made:
        return HttpResponseRedirect(request.get_full_path())
    words = ngettext(
        "Remediation was requested for %(count)d customer. Nothing was changed on any device.",
        "Remediation was requested for %(count)d customers. Nothing was changed on any device.",
        len(made),
    )
    pages.message_user(request, words % {"count": len(made)}, messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:vulnerabilities_remediationactivity_campaign", args=[made[0].campaign]))


def _tell_refused(
    pages: ReadOnlyAdmin, request: HttpRequest, answers: Sequence[TenantAnswer], names: Mapping[UUID, str]
) -> None:
    """Say for every tenant without an activity why there is none, tenants with the same reason together."""
    refused: dict[str, list[str]] = defaultdict(list)
    for answer in answers:
        if answer.activity is None:
            refused[answer.reason].append(names[answer.tenant_id])
    for reason, tenants in refused.items():
        words = _("Not requested for %(tenants)s: %(reason)s") % {"tenants": _named(tenants), "reason": reason}
        pages.message_user(request, words, messages.ERROR)


def campaign_view(pages: ReadOnlyAdmin, request: HttpRequest, campaign: UUID) -> HttpResponse:
    """Show how each tenant of a campaign stands, and all of them together."""
    if not pages.has_view_permission(request):
        raise PermissionDenied
    activities = list(pages.get_queryset(request).filter(campaign=campaign).order_by("tenant__name", "pk"))
    if not activities:
        raise Http404
    first = activities[0]
    refused = list(
        AuditEvent.objects.filter(object_id=campaign, verb=NOT_REQUESTED)
        .select_related("tenant")
        .order_by("tenant__name")
    )
    context = {
        **pages.admin_site.each_context(request),
        "title": first.title,
        "subtitle": _("Campaign"),
        "opts": pages.opts,
        "sections": [Section(_("What was requested"), _asked(first)), Section(_("All customers"), _totals(activities))],
        "progress": _progress(activities) if first.is_measured else "",
        "rows": [_row(activity) for activity in activities],
        "refused": [(event.tenant, event.data["reason"]) for event in refused],
        "missing": _missing(request, first, len(activities) + len(refused)),
    }
    return TemplateResponse(request, "vulnerabilities/campaign.html", context)


def _missing(request: HttpRequest, first: RemediationActivity, shown: int) -> int:
    """Return how many more tenants were asked for; only who asked is told, others may see none of them."""
    return max(0, first.tenants_asked - shown) if first.requested_by_id == actor_of(request).id else 0


def _asked(first: RemediationActivity) -> list[tuple[Any, Any]]:
    return [
        (
            _("Related recommendation"),
            link_to("vulnerabilities_recommendation", first.recommendation_id, first.recommendation),
        ),
        (_("Remediation type"), columns.show_type(first)),
        (_("Related component"), first.related_component or NOTHING),
        (_("Priority"), columns.show_priority(first)),
        (_("Due (UTC)"), first.due_on.isoformat() if first.due_on else NOTHING),
        (_("Requested by"), first.requested_by_label or NOTHING),
        (_("Requested"), show_age(first.requested_at)),
    ]


def _totals(activities: Sequence[RemediationActivity]) -> list[tuple[Any, Any]]:
    completed = [each for each in activities if each.state == ActivityState.COMPLETED]
    by_system = sum(each.completion == Completion.SYSTEM for each in completed)
    words = _("%(completed)d of %(all)d (%(system)d by System confirmation)")
    facts: list[tuple[Any, Any]] = [
        (_("Completed"), words % {"completed": len(completed), "all": len(activities), "system": by_system})
    ]
    if not activities[0].is_measured:
        return facts
    for label, name in (
        (_("Devices at start"), "devices_at_start"),
        (_("Fixed"), "devices_fixed"),
        (_("Still exposed"), "devices_exposed"),
        (_("Gone"), "devices_gone"),
    ):
        facts.append((label, grouped(sum(getattr(each, name) for each in activities))))
    return facts


def _progress(activities: Sequence[RemediationActivity]) -> str:
    start = sum(each.devices_at_start for each in activities)
    done = start - sum(each.devices_exposed for each in activities)
    words = ngettext("%(done)s of %(start)s device is done", "%(done)s of %(start)s devices are done", start)
    return columns.bar(done, start, words % {"done": grouped(done), "start": grouped(start)})


def _row(activity: RemediationActivity) -> dict[str, Any]:
    return {
        "activity": activity,
        "url": reverse("admin:vulnerabilities_remediationactivity_change", args=[activity.pk]),
        "state": columns.show_state(activity),
        "due": columns.show_due(activity),
        "progress": columns.show_progress(activity),
        "ticket": columns.show_ticket(activity),
        "completed_by": columns.show_completed_by(activity),
    }
