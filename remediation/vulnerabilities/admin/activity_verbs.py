"""What people do to an activity by hand: mark it completed, change its notes. Each says what it brings about first."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.access.display import grouped
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, actor_of
from portal.access.verb_admin import Verb
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.completing import change_notes, complete
from remediation.vulnerabilities.admin.request_forms import NoteForm, NotesForm
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.states import ActivityState, Origin


def _is_open(activity: RemediationActivity) -> bool:
    """Whether it can be changed here: what was made in Defender is changed there."""
    return activity.state == ActivityState.ACTIVE and activity.origin == Origin.QUELL


COMPLETE = Verb(
    name="complete",
    button=gettext_lazy("Mark as completed"),
    effect="",
    done=gettext_lazy("“%(row)s” is completed."),
    run=lambda row, actor: None,
    is_offered=_is_open,
    tone="approve",
)
NOTES = Verb(
    name="notes",
    button=gettext_lazy("Change the notes"),
    effect=gettext_lazy("The former notes stay in the history. Nobody is told, and Intune keeps the notes it got."),
    done=gettext_lazy("The notes of “%(row)s” are changed."),
    run=lambda row, actor: None,
    is_offered=_is_open,
    tone="approve",
)


def urls(pages: ReadOnlyAdmin) -> list[URLPattern]:
    """Return the pages of the verbs."""
    views = {COMPLETE: complete_view, NOTES: notes_view}
    return [
        path(
            f"<uuid:object_id>/{verb.name}/",
            pages.admin_site.admin_view(partial(view, pages)),
            name=f"vulnerabilities_remediationactivity_{verb.name}",
        )
        for verb, view in views.items()
    ]


def url_of(verb: Verb, activity: RemediationActivity) -> str:
    """Return where a verb is confirmed."""
    return reverse(f"admin:vulnerabilities_remediationactivity_{verb.name}", args=[activity.pk])


def offered(request: HttpRequest, activity: RemediationActivity) -> list[tuple[Verb, str]]:
    """Return what the person can do to the activity now, each with its page."""
    if not actor_of(request).may(Capability.HANDLE_REMEDIATION, activity.tenant_id):
        return []
    return [(verb, url_of(verb, activity)) for verb in (COMPLETE, NOTES) if verb.is_offered(activity)]


def complete_view(pages: ReadOnlyAdmin, request: HttpRequest, object_id: UUID) -> HttpResponse:
    """Ask why, then complete the activity in the person's name."""
    activity = _find(pages, request, object_id)
    form = NoteForm(request.POST if request.method == "POST" else None)
    effect = " ".join(describe_completing(activity, actor_of(request).label))
    return _answer(
        pages,
        request,
        activity,
        COMPLETE,
        form,
        effect,
        lambda: complete(activity.pk, note=form.cleaned_data["note"], actor=actor_of(request)),
    )


def notes_view(pages: ReadOnlyAdmin, request: HttpRequest, object_id: UUID) -> HttpResponse:
    """Change the activity's notes."""
    activity = _find(pages, request, object_id)
    form = NotesForm(request.POST if request.method == "POST" else None, initial={"notes": activity.notes})
    return _answer(
        pages,
        request,
        activity,
        NOTES,
        form,
        str(NOTES.effect),
        lambda: change_notes(activity.pk, form.cleaned_data["notes"], actor=actor_of(request)),
    )


def describe_completing(activity: RemediationActivity, email: str) -> list[str]:
    """Say what completing by hand brings about."""
    lines = [_("Nothing is changed on any device."), _("It is shown as completed by %(email)s.") % {"email": email}]
    if activity.is_measured and activity.devices_exposed:
        words = ngettext(
            "%(count)s device is still exposed and is no longer followed.",
            "%(count)s devices are still exposed and are no longer followed.",
            activity.devices_exposed,
        )
        lines.append(words % {"count": grouped(activity.devices_exposed)})
    if activity.wants_ticket:
        lines.append(_("The ticket in Intune stays as it is."))
    return [*lines, _("It cannot be opened again.")]


def _find(pages: ReadOnlyAdmin, request: HttpRequest, object_id: UUID) -> RemediationActivity:
    actor = actor_of(request)
    if not actor.may_anywhere(Capability.HANDLE_REMEDIATION):
        raise PermissionDenied
    activity: RemediationActivity | None = pages.get_object(request, str(object_id))
    if activity is None:
        raise Http404
    if not actor.may(Capability.HANDLE_REMEDIATION, activity.tenant_id):
        raise PermissionDenied
    return activity


def _answer(
    pages: ReadOnlyAdmin,
    request: HttpRequest,
    activity: RemediationActivity,
    verb: Verb,
    form: forms.Form,
    effect: str,
    run: Callable[[], object],
) -> HttpResponse:
    if form.is_bound and form.is_valid():
        try:
            with acting_for(activity.tenant_id):
                run()
        except Refusal as refusal:
            form.add_error(None, str(refusal))
        else:
            pages.message_user(request, str(verb.done) % {"row": activity}, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:vulnerabilities_remediationactivity_change", args=[activity.pk]))
    context: dict[str, Any] = {
        **pages.admin_site.each_context(request),
        "title": verb.button,
        "opts": pages.opts,
        "original": activity,
        "verb": verb,
        "effect": effect,
        "is_possible": verb.is_offered(activity),
        "form": form,
    }
    return TemplateResponse(request, "admin/verb.html", context)
