"""Chosen rows become actions: what it would come to, the form for the reason, then what came of each row."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, actor_of
from portal.tenancy.scope import acting_for
from remediation.actions.admin.addresses import url_of as url_of_action
from remediation.actions.effects import EFFECTS, describe_undo
from remediation.actions.forms import AskingForm
from remediation.actions.verbs import say_frozen
from remediation.hunting.acting import Plan, RowOutcome, RowResult, asked_parameters, plan_on_rows, request_on_rows
from remediation.hunting.models import Hunt
from remediation.safeguards.rules import required_approvals

TONES = {RowOutcome.CREATED: "good", RowOutcome.ALREADY_OPEN: "neutral", RowOutcome.REFUSED: "bad"}


class ActingPages(ReadOnlyAdmin):
    """A hunt's page whose rows can be acted on. Nothing is asked for before it was confirmed."""

    confirm_template = "hunting/confirm.html"
    asked_template = "hunting/asked.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the page where actions on rows are confirmed."""
        view = self.admin_site.admin_view(self.act_view)
        return [path("<uuid:object_id>/act/", view, name=self.url_name("act")), *super().get_urls()]

    def url_name(self, page: str) -> str:
        """Return the name of one of these pages' addresses."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def url_of(self, page: str, row: Hunt) -> str:
        """Return the address of one of a hunt's pages."""
        return reverse(f"admin:{self.url_name(page)}", args=[row.pk])

    def act_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Say what asking for actions on the chosen rows would come to; when that was confirmed, ask for them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        hunt: Hunt | None = self.get_object(request, str(object_id))
        if hunt is None:
            raise Http404
        if not actor_of(request).may(Capability.REQUEST_ACTION, hunt.tenant_id):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseRedirect(self.url_of("change", hunt))
        try:
            return self._answer(request, hunt, _chosen_rows(request, hunt))
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(self.url_of("change", hunt))

    def _answer(self, request: HttpRequest, hunt: Hunt, rows: list[int]) -> HttpResponse:
        if not rows:
            self.message_user(request, _("Choose at least one row first."), messages.ERROR)
            return HttpResponseRedirect(self.url_of("change", hunt))
        plan = plan_on_rows(hunt, request.POST.get("type", ""), rows)
        kind = replace(plan.kind, parameters=tuple(asked_parameters(plan.kind)))
        form = AskingForm(kind, None, request.POST if "confirmed" in request.POST else None)
        if form.is_bound and form.is_valid():
            with acting_for(hunt.tenant_id):
                results = request_on_rows(
                    hunt,
                    type_name=kind.name,
                    rows=rows,
                    parameters=form.parameters,
                    reason=form.cleaned_data["reason"],
                    actor=actor_of(request),
                )
            return self._tell(request, hunt, plan, results)
        return self._confirm(request, hunt, plan, rows, form)

    def _confirm(self, request: HttpRequest, hunt: Hunt, plan: Plan, rows: list[int], form: AskingForm) -> HttpResponse:
        kind = plan.kind
        needed = 0 if kind.is_ordered_alone else required_approvals(hunt.tenant_id, [kind.name])[kind.name]
        context = {
            **self._context(request, hunt, plan),
            "title": _("%(action)s?") % {"action": kind.label},
            "form": form,
            "rows": rows,
            "count": _count(plan),
            "effect": EFFECTS[kind.name],
            "undo": describe_undo(kind),
            "is_final": not kind.inverse,
            "needed": needed,
            "frozen": say_frozen(hunt.tenant_id, kind.name),
            "targets": [_target(group) for group in plan.groups[:10]],
            "more": max(0, len(plan.groups) - 10),
            "refused": sorted(plan.refused.values(), key=lambda result: result.row),
        }
        return TemplateResponse(request, self.confirm_template, context)

    def _tell(self, request: HttpRequest, hunt: Hunt, plan: Plan, results: list[RowResult]) -> HttpResponse:
        context = {
            **self._context(request, hunt, plan),
            "title": _("%(action)s: what came of each row") % {"action": plan.kind.label},
            "results": [
                (result.row + 1, result, TONES[result.outcome], url_of_action(result.action) if result.action else "")
                for result in results
            ],
        }
        return TemplateResponse(request, self.asked_template, context)

    def _context(self, request: HttpRequest, hunt: Hunt, plan: Plan) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": hunt,
            "kind": plan.kind,
            "back_url": self.url_of("change", hunt),
        }


def _chosen_rows(request: HttpRequest, hunt: Hunt) -> list[int]:
    if "all" in request.POST:
        return list(range(len(hunt.rows)))
    return [int(text) for text in request.POST.getlist("row") if text.isdecimal() and len(text) < 6]


def _count(plan: Plan) -> str:
    if messages_in_all := plan.message_count:
        words = ngettext("%(count)d message", "%(count)d messages", messages_in_all)
        return words % {"count": messages_in_all}
    words = ngettext("%(count)d target", "%(count)d targets", len(plan.groups))
    return words % {"count": len(plan.groups)}


def _target(group: Any) -> str:
    named = [str(group.device)] if group.device is not None else []
    for name, value in group.parameters.items():
        if name == "messages":
            found = ", ".join(each["recipient"] for each in value[:5])
            named.append(f"{found} …" if len(value) > 5 else found)
        else:
            named.append(str(value))
    return " · ".join(named)
