"""The screen for false positives and missed threats, and the pages that undo many actions at once."""

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.microsoft.words import DETERMINATIONS
from investigations.models import Alert, Evidence, Investigation
from portal.access.actors import Actor
from portal.access.display import badge
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.tenancy.scope import acting_for, has_scope
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.subjects import indicator_of
from remediation.actions.corrections import (
    CLASSIFICATIONS,
    Correction,
    Done,
    Mistake,
    Subject,
    Undo,
    carry_out,
    left_to_people,
    plan,
    subject_of_action,
    subject_of_alert,
    subject_of_evidence,
)
from remediation.actions.effects import describe_undo
from remediation.actions.forms import ReasonForm
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.taking_back import Reach, Result, Undone, actions_of_investigation, instances_of, undo_all
from remediation.actions.undoing import reasons_against_undo
from remediation.catalogue import CATALOGUE

TONES: Final = {Result.ORDERED: "good", Result.WAITS_FOR_APPROVAL: "waiting", Result.ALREADY: "neutral"}

_INDICATOR_TYPES: Final = CATALOGUE["allow_indicator"].parameters[0].choices

WORDS: Final = {
    "falsePositive": gettext_lazy("False positive"),
    "informationalExpectedActivity": gettext_lazy("Informational, expected activity"),
    "truePositive": gettext_lazy("True positive"),
    "notMalicious": gettext_lazy("Not malicious"),
    "notEnoughDataToValidate": gettext_lazy("Not enough data to validate"),
    "other": gettext_lazy("Other"),
    "securityTesting": gettext_lazy("Security testing"),
    "lineOfBusinessApplication": gettext_lazy("Line-of-business application"),
    "confirmedActivity": gettext_lazy("Confirmed activity"),
    "multiStagedAttack": gettext_lazy("Multi-staged attack"),
    "maliciousUserActivity": gettext_lazy("Malicious user activity"),
    "compromisedAccount": gettext_lazy("Compromised account"),
    "malware": gettext_lazy("Malware"),
    "phishing": gettext_lazy("Phishing"),
    "unwantedSoftware": gettext_lazy("Unwanted software"),
}
"""Microsoft's words for people."""


class CorrectionForm(forms.Form):
    """What was wrong, and what is to follow."""

    verdict = forms.ChoiceField(label=gettext_lazy("What it was"))
    undo = forms.ChoiceField(label=gettext_lazy("Undo"), choices=Undo.choices, required=False)
    indicator_type = forms.ChoiceField(required=False)
    value = forms.CharField(label=gettext_lazy("Indicator's value"), max_length=1000, required=False)
    days = forms.IntegerField(
        label=gettext_lazy("Days it holds"), min_value=1, max_value=365, required=False,
        help_text=gettext_lazy("Empty: until somebody removes it."),
    )  # fmt: skip
    submit = forms.BooleanField(label=gettext_lazy("Submit it to Microsoft"), required=False)
    reason = ReasonForm.base_fields["reason"]

    def __init__(self, mistake: Mistake, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: dict[str, Any] = self.fields
        fields["verdict"].choices = [
            (f"{name}/{word}", f"{WORDS[name]}: {WORDS[word]}")
            for name in CLASSIFICATIONS[mistake]
            for word in DETERMINATIONS[name]
        ]
        is_false_positive = mistake is Mistake.FALSE_POSITIVE
        fields["indicator_type"].label = _("Allow an indicator") if is_false_positive else _("Block an indicator")
        fields["indicator_type"].choices = [("", _("None")), *((name, name) for name in _INDICATOR_TYPES)]
        if not is_false_positive:
            del fields["undo"]

    def correction(self, mistake: Mistake, subject: Subject, shown: Collection[UUID] | None) -> Correction:
        """Return what the valid form says; `shown` as in Correction."""
        said = self.cleaned_data
        classification, _slash, determination = said["verdict"].partition("/")
        indicator = {"indicator_type": said["indicator_type"], "value": said["value"], "days": said["days"]}
        return Correction(
            mistake=mistake,
            subject=subject,
            classification=classification,
            determination=determination,
            undo=Undo(said.get("undo") or Undo.NONE),
            indicator=indicator if said["indicator_type"] else None,
            is_submitted=said["submit"],
            shown=shown,
        )


def correction_urls(pages: ModelAdmin) -> list[URLPattern]:
    """Return the routes of the screen and of the pages that undo many."""
    guarded = pages.admin_site.admin_view
    return [
        path("correct/<slug:mistake>/", guarded(partial(correct_view, pages)), name="actions_correct"),
        path("undo-all/<slug:reach>/", guarded(partial(undo_all_view, pages)), name="actions_undo_all"),
    ]


def correction_links(actor: Actor, tenant_id: UUID, name: str, key: UUID) -> list[tuple[Any, str]]:
    """Return where both mistakes are reported about a row; `name` is alert, evidence or action."""
    if not actor.may(Capability.WORK_ON_INVESTIGATIONS, tenant_id):
        return []
    labels = (
        (Mistake.FALSE_POSITIVE, gettext_lazy("Report as false positive")),
        (Mistake.FALSE_NEGATIVE, gettext_lazy("Report a missed threat")),
    )
    return [
        (label, f"{reverse('admin:actions_correct', args=[mistake.value])}?{name}={key}") for mistake, label in labels
    ]


def correction_verbs(row: RemediationAction, actor: Actor) -> list[tuple[Any, str]]:
    """Return what a page offers about an action that was done: both reports, and undoing every instance of its file."""
    if row.state != State.SUCCEEDED or row.undoes_id:
        return []
    links = correction_links(actor, row.tenant_id, "action", row.pk)
    url = instances_url(row) if actor.may(Capability.DECIDE_ACTION, row.tenant_id) else ""
    return [*links, (_("Undo all instances of this file"), url)] if url else links


def correct_view(pages: ModelAdmin, request: HttpRequest, mistake: str) -> HttpResponse:
    """Ask what was wrong, show all that will happen, and once that is confirmed show what came of each part."""
    _require_view(pages, request)
    subject = _subject(request)
    if mistake not in Mistake.values or subject is None:
        raise Http404
    if not actor_of(request).may(Capability.WORK_ON_INVESTIGATIONS, subject.tenant.pk):
        raise PermissionDenied
    which = Mistake(mistake)
    form = CorrectionForm(which, request.POST or None, initial=_initial(subject))
    context = {
        **pages.admin_site.each_context(request),
        "title": which.label,
        "opts": pages.opts,
        "subject": subject,
        "form": form,
        "back_url": _back(subject),
    }
    if request.method != "POST" or not form.is_valid():
        return TemplateResponse(request, "actions/correct.html", context)
    try:
        shown = _shown(request) if "confirmed" in request.POST else None
        return _shown_or_done(request, form, form.correction(which, subject, shown), context)
    except Refusal as refusal:
        form.add_error(None, str(refusal))
        return TemplateResponse(request, "actions/correct.html", context)


def _shown_or_done(
    request: HttpRequest, form: CorrectionForm, correction: Correction, context: dict[str, Any]
) -> HttpResponse:
    context |= {"by_hand": left_to_people(correction)}
    with acting_for(correction.subject.tenant.pk):
        if "confirmed" not in request.POST:
            parts = plan(correction)
            undone = [part.undoes.pk for part in parts if part.undoes is not None and not part.is_left_out]
            kept = [(field.html_name, field.data) for field in form if field.data]
            context |= {"parts": parts, "kept": [*kept, *(("shown", key) for key in undone)]}
            return TemplateResponse(request, "actions/correct_confirm.html", context)
        done = carry_out(correction, actor=actor_of(request), reason=form.cleaned_data["reason"])
    context |= {"title": _("What came of it"), "lines": [_line_of_part(part) for part in done]}
    return TemplateResponse(request, "actions/correct_result.html", context)


def undo_all_view(pages: ModelAdmin, request: HttpRequest, reach: str) -> HttpResponse:
    """List what would be undone and what cannot be, ask for the reason, then show what came of each."""
    _require_view(pages, request)
    finder = _REACHES.get(reach)
    found = finder(request) if finder else None
    if found is None:
        raise Http404
    title, back_url, tenant_id, to_undo = found
    if not actor_of(request).may(Capability.DECIDE_ACTION, tenant_id):
        raise PermissionDenied
    form = ReasonForm(request.POST or None)
    reasons = reasons_against_undo(to_undo.actions)
    context = {
        **pages.admin_site.each_context(request),
        "title": title,
        "opts": pages.opts,
        "form": form,
        "back_url": back_url,
        "actions": [(row, url_of(row), reasons[row.pk], describe_undo(row.kind)) for row in to_undo.actions],
        "left_out": [(left.action, url_of(left.action), left.reason) for left in to_undo.left_out],
    }
    if request.method != "POST" or not form.is_valid():
        return TemplateResponse(request, "actions/undo_all.html", context)
    to_undo = to_undo.narrowed_to(_shown(request))
    done = undo_all(to_undo.actions, actor=actor_of(request), reason=form.cleaned_data["reason"])
    context |= {
        "title": _("What came of it"),
        "lines": [_line_of_undo(undone) for undone in [*done, *to_undo.left_out]],
    }
    return TemplateResponse(request, "actions/correct_result.html", context)


def instances_url(action: RemediationAction) -> str:
    """Return where every instance of the action's file is undone, "" for an action that is on no file."""
    if "sha1" not in action.parameters or not action.kind.inverse:
        return ""
    return f"{reverse('admin:actions_undo_all', args=['instances'])}?action={action.pk}"


def investigation_undo_url(investigation: Investigation) -> str:
    """Return where everything an investigation did is undone."""
    return f"{reverse('admin:actions_undo_all', args=['investigation'])}?investigation={investigation.pk}"


Found = tuple[str, str, UUID, Reach]


def _instances(request: HttpRequest) -> Found | None:
    row = _row(RemediationAction.objects.select_related("device"), request.GET.get("action", ""))
    if row is None or not instances_url(row):
        return None
    title = _("Undo all instances of this file?")
    return title, url_of(row), row.tenant_id, instances_of(row.tenant_id, [row.parameters["sha1"]])


def _investigation(request: HttpRequest) -> Found | None:
    row = _row(Investigation.objects.all(), request.GET.get("investigation", ""))
    if row is None:
        return None
    back = reverse("admin:investigations_investigation_change", args=[row.pk])
    title = _("Undo everything this investigation did?")
    return title, back, row.tenant_id, actions_of_investigation(row.tenant_id, row.pk)


_REACHES: Final[dict[str, Callable[[HttpRequest], Found | None]]] = {
    "instances": _instances,
    "investigation": _investigation,
}


def _subject(request: HttpRequest) -> Subject | None:
    finders: tuple[tuple[str, Any, Callable[[Any], Subject]], ...] = (
        ("alert", Alert.objects.select_related("tenant"), subject_of_alert),
        ("evidence", Evidence.objects.select_related("tenant", "alert"), subject_of_evidence),
        ("action", RemediationAction.objects.select_related("tenant", "device"), subject_of_action),
    )
    for name, rows, build in finders:
        if name in request.GET:
            row = _row(rows, request.GET[name])
            return build(row) if row is not None else None
    return None


def _row(rows: Any, text: str) -> Any:
    try:
        return rows.filter(pk=UUID(text)).first()
    except ValueError:
        return None


def _shown(request: HttpRequest) -> set[UUID]:
    """Return the actions that the page before listed as those to undo; what is no id is none of them."""
    found = set()
    for text in request.POST.getlist("shown"):
        with suppress(ValueError):
            found.add(UUID(text))
    return found


def _initial(subject: Subject) -> dict[str, Any]:
    """Fill in the one thing an indicator could be about, whatever else the alert names."""
    found = [indicator for piece in subject.evidence if (indicator := indicator_of(piece))]
    only = found[0] if found and all(indicator == found[0] for indicator in found) else {}
    return {**only, "undo": Undo.THIS}


def _back(subject: Subject) -> str:
    if subject.action is not None:
        return url_of(subject.action)
    return reverse("admin:investigations_alert_change", args=[subject.alerts[0].pk])


def _line_of_part(part: Done) -> dict[str, Any]:
    if part.planned.undoes is not None:
        return _line_of_undo(Undone(part.planned.undoes, part.result, part.action, part.reason))
    return {
        "what": part.planned.what,
        "target": part.planned.target,
        "result": badge(part.result.label, TONES.get(part.result, "bad")),
        "reason": part.reason,
        "url": url_of(part.action) if part.action else "",
    }


def _line_of_undo(undone: Undone) -> dict[str, Any]:
    return {
        "what": _what_undoes(undone),
        "target": undone.action.target,
        "result": badge(undone.result.label, TONES.get(undone.result, "bad")),
        "reason": undone.reason,
        "url": url_of(undone.undo) if undone.undo else "",
    }


def _what_undoes(undone: Undone) -> str:
    what = _("Undo of “%(action)s”") % {"action": undone.action.kind.label}
    return f"{what}: {undone.undo.kind.label}" if undone.undo else what


def _require_view(pages: ModelAdmin, request: HttpRequest) -> None:
    if not (pages.has_view_permission(request) and has_scope()):
        raise PermissionDenied
