"""The pages that ask for remediation in one tenant: the form, what it comes to, then the activity."""

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.access.display import grouped
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, actor_of
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.requesting import offer_for, request_remediation
from remediation.vulnerabilities.admin.request_forms import GroupsForm
from remediation.vulnerabilities.intune.tickets import MOST_DEVICES
from remediation.vulnerabilities.models import Exposure, Recommendation
from remediation.vulnerabilities.states import Mitigation, Priority, RemediationOption

FORM_FIELDS = {"open_ticket": "opens_ticket", "device_groups": "groups"}
"""Fields that are called differently in a refusal, which speaks of the API's body."""


def urls(pages: ReadOnlyAdmin) -> list[URLPattern]:
    """Return where remediation is requested from a recommendation, named by the recommendation's row."""
    view = pages.admin_site.admin_view(partial(request_view, pages))
    return [path("request/<uuid:recommendation_id>/", view, name="vulnerabilities_remediationactivity_request")]


def request_links(request: HttpRequest, recommendation: Recommendation) -> list[tuple[str, str]]:
    """Return the buttons for a recommendation's page, each with its address; none without the right."""
    actor = actor_of(request)
    if recommendation.disappeared_at is not None:
        return []
    links = []
    if actor.may(Capability.HANDLE_REMEDIATION, recommendation.tenant_id):
        links.append((_("Request remediation"), "request"))
    if len(actor.tenants_where(Capability.HANDLE_REMEDIATION)) > 1:
        links.append((_("Request for many customers"), "campaign_request"))
    return [
        (label, reverse(f"admin:vulnerabilities_remediationactivity_{page}", args=[recommendation.pk]))
        for label, page in links
    ]


def find_recommendation(request: HttpRequest, recommendation_id: UUID) -> Recommendation:
    """Return it, looked at by somebody who may request remediation. Raises PermissionDenied, Http404."""
    if not actor_of(request).may_anywhere(Capability.HANDLE_REMEDIATION):
        raise PermissionDenied
    found = Recommendation.objects.select_related("tenant").filter(pk=recommendation_id).first()
    if found is None:
        raise Http404
    return found


def turn_back(pages: ReadOnlyAdmin, request: HttpRequest, recommendation: Recommendation) -> HttpResponse:
    """Say that Microsoft no longer lists it, on its own page; it may have left while the form was open."""
    words = _("Microsoft no longer lists “%(name)s” for %(tenant)s, so nothing was requested.")
    said = words % {"name": recommendation.name, "tenant": recommendation.tenant}
    pages.message_user(request, said, messages.ERROR)
    return HttpResponseRedirect(reverse("admin:vulnerabilities_recommendation_change", args=[recommendation.pk]))


def request_view(pages: ReadOnlyAdmin, request: HttpRequest, recommendation_id: UUID) -> HttpResponse:
    """Show the form; once it is filled in, what it comes to; once that is confirmed, make the activity."""
    found = find_recommendation(request, recommendation_id)
    if not actor_of(request).may(Capability.HANDLE_REMEDIATION, found.tenant_id):
        raise PermissionDenied
    if found.disappeared_at is not None:
        return turn_back(pages, request, found)
    groups = _groups(found)
    form = GroupsForm(offer_for(found), groups, request.POST or None)
    context = {
        **pages.admin_site.each_context(request),
        "title": _("Request remediation"),
        "opts": pages.opts,
        "recommendation": found,
        "back_url": reverse("admin:vulnerabilities_recommendation_change", args=[found.pk]),
        "exposed_count": sum(count for _key, _name, count in groups),
        "form": form,
    }
    if "edit" in request.POST or not form.is_valid():
        return TemplateResponse(request, "vulnerabilities/request.html", context)
    if "confirmed" not in request.POST:
        context |= {"lines": _effects(found, form), "facts": facts_of(form)}
        return TemplateResponse(request, "vulnerabilities/request_confirm.html", context)
    try:
        return _request(pages, request, found, form)
    except Refusal as refusal:
        show_refusal(form, refusal)
        return TemplateResponse(request, "vulnerabilities/request.html", context)


def _request(
    pages: ReadOnlyAdmin, request: HttpRequest, recommendation: Recommendation, form: GroupsForm
) -> HttpResponse:
    with acting_for(recommendation.tenant_id):
        activity = request_remediation(recommendation.pk, form.asked, group_ids=form.group_ids, actor=actor_of(request))
    pages.message_user(request, _("Remediation was requested. Nothing was changed on any device."), messages.SUCCESS)
    return HttpResponseRedirect(reverse("admin:vulnerabilities_remediationactivity_change", args=[activity.pk]))


def show_refusal(form: Form, refusal: Refusal) -> None:
    """Say why nothing was requested, at the field it is about where that is on the form."""
    named = getattr(refusal, "field", "")
    field = FORM_FIELDS.get(named, named)
    form.add_error(field if field in form.fields else None, str(refusal))


def _groups(recommendation: Recommendation) -> list[tuple[UUID, str, int]]:
    """Return the device groups with exposed devices, and how many each has."""
    rows = Exposure.objects.filter(recommendation=recommendation).values_list("device__group_id", "device__group__name")
    return list(rows.annotate(count=Count("id")).order_by("device__group__name"))


def _effects(recommendation: Recommendation, form: GroupsForm) -> list[str]:
    """Say what confirming brings about: nothing on devices, how many are exposed, and how many go to Intune."""
    exposures = Exposure.objects.filter(recommendation=recommendation)
    if form.group_ids:
        exposures = exposures.filter(device__group_id__in=form.group_ids)
    exposed = exposures.count()
    sent = None
    if form.asked.opens_ticket:
        sent = min(exposures.exclude(device__entra_device_id="").count(), MOST_DEVICES)
    return [_("Nothing is changed on any device."), *describe_counts(exposed, sent), *describe_request(form)]


def describe_counts(exposed: int, sent: int | None) -> list[str]:
    """Say how many devices are exposed, and how many of them go to Intune; None for no ticket."""
    words = ngettext("%(exposed)s device is exposed.", "%(exposed)s devices are exposed.", exposed)
    if sent is None:
        return [words % {"exposed": grouped(exposed)}]
    words = ngettext(
        "%(exposed)s device is exposed; %(sent)s go to Intune.",
        "%(exposed)s devices are exposed; %(sent)s go to Intune.",
        exposed,
    )
    lines = [words % {"exposed": grouped(exposed), "sent": grouped(sent)}]
    if sent < exposed:
        why = _("Intune gets at most %(most)s devices of one request, and only those that are joined to Entra ID. ")
        lines.append(why % {"most": grouped(MOST_DEVICES)} + _("The activity follows all of them."))
    return lines


def describe_request(form: Any) -> list[str]:
    """Say what is particular to this request."""
    asked, lines = form.asked, []
    if asked.option == RemediationOption.ATTENTION_REQUIRED:
        lines.append(_("It has no due date, no progress and no ticket; a person completes it by hand."))
    if asked.mitigation != Mitigation.NONE:
        words = _("“%(mitigation)s” is recorded and told to the IT admins; Quell blocks nothing itself.")
        lines.append(words % {"mitigation": asked.mitigation.label})
    if asked.opens_ticket and asked.priority == Priority.MEDIUM:
        lines.append(_("Intune knows no medium priority: the ticket says “none”, and its text says medium."))
    if asked.opens_ticket:
        lines.append(_("The IT admin accepts or rejects the ticket in Intune; what they answer is shown here."))
    return lines


def facts_of(form: Any) -> list[tuple[str, object]]:
    """Return what was filled in, to be looked over."""
    asked = form.asked
    facts: list[tuple[str, object]] = [(_("Remediation requested"), asked.option.label)]
    if "mitigation" in form.fields:
        facts.append((_("Mitigation until then"), asked.mitigation.label))
    if "groups" in form.fields:
        names = dict(form.fields["groups"].choices)
        chosen = [str(names[key]) for key in form.cleaned_data["groups"]]
        facts.append((_("Device groups"), ", ".join(chosen) or _("All device groups")))
    facts += [
        (_("Priority"), asked.priority.label),
        (_("Due date (UTC)"), asked.due_on.isoformat() if asked.due_on else _("None")),
    ]
    if asked.notes:
        facts.append((_("Notes"), asked.notes))
    if "opens_ticket" in form.fields:
        facts.append((_("Ticket in Intune"), _("Yes") if asked.opens_ticket else _("No")))
    return facts
