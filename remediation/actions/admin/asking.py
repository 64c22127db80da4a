"""The pages on which a person asks for an action: choose it, say how, read what it will do, ask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.choosing import find_enabled
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.tenancy.scope import acting_for
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.subjects import Subject, find_subject, requestable_for
from remediation.actions.asking import needed_capability, reason_against_device
from remediation.actions.braking import look_up_brakes
from remediation.actions.by_hand import HAND_WORK, is_hand_work
from remediation.actions.effects import EFFECTS, describe_effect_of, describe_undo
from remediation.actions.forms import AskingForm, initial_of
from remediation.actions.models import RemediationAction
from remediation.actions.parameters import describe_target
from remediation.actions.services import request_action
from remediation.actions.states import State
from remediation.catalogue import ActionType, Area, Route

_GROUPS: Final[dict[str, Promise]] = {
    Area.DEVICE: gettext_lazy("On the device"),
    Route.LIVE_RESPONSE: gettext_lazy("Live response: a script on the device"),
    Area.MAIL: gettext_lazy("On mail"),
    Area.INDICATOR: gettext_lazy("On all devices: allow or block"),
    Area.ALERT: gettext_lazy("Tell Microsoft"),
}
_NOTES: Final[dict[str, Promise]] = {
    Route.LIVE_RESPONSE: gettext_lazy(
        "Quell never repeats these by itself. Where it cannot tell whether one was carried out, a person has to look."
    ),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One type on the page where it is chosen. `against` says why it cannot be asked for, "" where it can."""

    kind: ActionType
    url: str
    effect: str
    undo: str
    against: str


def ask_view(pages: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Let a person ask for an action about what the address names; nothing is asked for before they confirm."""
    actor = actor_of(request)
    subject = find_subject(request.GET)
    if subject is None:
        raise Http404
    if not actor.may(Capability.REQUEST_ACTION, subject.tenant.pk):
        raise PermissionDenied
    if "type" not in request.GET:
        return _choose(pages, request, subject)
    try:
        kind = requestable_for(subject, request.GET["type"])
    except Refusal:
        kind = None
    if kind is None:
        raise Http404
    if not actor.may(needed_capability(kind), subject.tenant.pk):
        raise PermissionDenied
    return _fill_in(pages, request, subject, kind)


def _choose(pages: ModelAdmin, request: HttpRequest, subject: Subject) -> HttpResponse:
    actor = actor_of(request)
    groups: dict[str, list[Choice]] = {name: [] for name in _GROUPS}
    for kind in subject.types():
        if actor.may(needed_capability(kind), subject.tenant.pk):
            groups[Route.LIVE_RESPONSE if kind.route is Route.LIVE_RESPONSE else kind.area].append(
                _choice(kind, subject)
            )
    context = {
        "title": _("Ask for an action"),
        "groups": [(_GROUPS[name], _NOTES.get(name, ""), found) for name, found in groups.items() if found],
    }
    return _answer(pages, request, subject, "actions/choose.html", context)


def _choice(kind: ActionType, subject: Subject) -> Choice:
    return Choice(
        kind=kind,
        url=f"?{urlencode({**subject.named_by, 'type': kind.name})}",
        effect=str(EFFECTS[kind.name]),
        undo=_undo(kind),
        against=_against(kind, subject),
    )


def _undo(kind: ActionType) -> str:
    """Say how it can be taken back; of a release, which does just that, and of what is free, nothing is said."""
    return "" if kind.is_ordered_alone else describe_undo(kind)


def _against(kind: ActionType, subject: Subject) -> str:
    """Return why Microsoft does none of this on the device's system, whichever way it is asked for."""
    device = subject.device_for(kind)
    if device is None:
        return ""
    ways = [
        {parameter.name: choice} for parameter in kind.parameters if parameter.choices for choice in parameter.choices
    ]
    found = [reason_against_device(kind, device, way) for way in ways or [{}]]
    return found[0] if all(found) else ""


def _fill_in(pages: ModelAdmin, request: HttpRequest, subject: Subject, kind: ActionType) -> HttpResponse:
    if against := _against(kind, subject):
        context = {"title": kind.label, "against": against}
        return _answer(pages, request, subject, "actions/fill_in.html", context)
    device = subject.device_for(kind)
    form = AskingForm(kind, device, request.POST or None, initial=initial_of(kind, subject.known))
    is_complete = request.method == "POST" and form.is_valid()
    if is_complete and "confirmed" in request.POST:
        return _carry_out(pages, request, subject, form)
    if is_complete and "change" not in request.POST:
        return _confirm(pages, request, subject, form)
    context = {
        "title": kind.label,
        "form": form,
        "effect": EFFECTS[kind.name],
        "undo": _undo(kind),
        "note": _NOTES.get(kind.route, ""),
    }
    return _answer(pages, request, subject, "actions/fill_in.html", context)


def _confirm(pages: ModelAdmin, request: HttpRequest, subject: Subject, form: AskingForm) -> HttpResponse:
    kind, device = form.kind, form.device
    brakes = look_up_brakes(subject.tenant.pk, {kind.name}, [device] if device else [])
    demand = brakes.judge(kind.name, device, is_approved=kind.is_ordered_alone)
    context = {
        "title": _("Ask for “%(action)s”?") % {"action": kind.label},
        "form": form,
        "kind": kind,
        "target": describe_target(kind, device, form.parameters),
        "effect": describe_effect_of(kind, form.parameters),
        "undo": _undo(kind),
        "is_final": not kind.inverse and not kind.is_ordered_alone,
        "notes": [*_approvals(demand.approvals), *_hand_work(kind, subject), _NOTES.get(kind.route, "")],
    }
    return _answer(pages, request, subject, "actions/ask.html", context)


def _approvals(count: int) -> Sequence[str]:
    if count == 0:
        return [_("Nobody else has to approve it: it is sent at once.")]
    if count == 1:
        return [_("One other person has to approve it; nothing is sent before.")]
    return [_("It takes %(count)d other people to approve it; nothing is sent before.") % {"count": count}]


def _hand_work(kind: ActionType, subject: Subject) -> Sequence[Any]:
    work = HAND_WORK.get(kind.name)
    if work is None:
        return []
    connection = find_enabled(subject.tenant.pk)
    capabilities = frozenset(connection.capabilities) if connection else frozenset()
    return [work.why] if is_hand_work(kind, capabilities) else []


def _carry_out(pages: ModelAdmin, request: HttpRequest, subject: Subject, form: AskingForm) -> HttpResponse:
    try:
        with acting_for(subject.tenant.pk):
            action, is_new = request_action(
                tenant_id=subject.tenant.pk,
                type_name=form.kind.name,
                device=form.device,
                parameters=form.parameters,
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
            )
    except Refusal as refusal:
        pages.message_user(request, str(refusal), messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())
    pages.message_user(request, _say_asked(action, is_new=is_new), messages.SUCCESS)
    return HttpResponseRedirect(url_of(action))


def _say_asked(action: RemediationAction, *, is_new: bool) -> str:
    words = {"action": action.kind.label, "target": action.target}
    if not is_new:
        return _("This has been asked for already: %(action)s · %(target)s") % words
    if action.state == State.PENDING_APPROVAL:
        return _("Asked for: %(action)s · %(target)s. It waits for approval.") % words
    return _("Asked for: %(action)s · %(target)s. It is sent at once.") % words


def _answer(
    pages: ModelAdmin, request: HttpRequest, subject: Subject, template: str, context: dict[str, Any]
) -> HttpResponse:
    shared = {
        **pages.admin_site.each_context(request),
        "opts": pages.opts,
        "subject": subject,
        "choose_url": f"{reverse('admin:actions_ask')}?{urlencode(subject.named_by)}",
    }
    return TemplateResponse(request, template, {**shared, **context})
