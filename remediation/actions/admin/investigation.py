"""The investigation page, with the actions that follow from it and the button that stops it."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.cases import InvestigationPages
from investigations.admin.showing import MOST_ROWS
from investigations.models import Investigation
from investigations.states import OPEN_STATES
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.tenancy.scope import acting_for
from remediation.actions.admin import columns
from remediation.actions.admin.addresses import url_of
from remediation.actions.admin.corrections import investigation_undo_url
from remediation.actions.admin.origins import with_asking
from remediation.actions.forms import ReasonForm
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.services import stop_investigation


@admin.register(Investigation)
class InvestigationAdmin(InvestigationPages):
    """Investigations, with what is done about each."""

    detail_template = "actions/investigation.html"

    def get_urls(self) -> list[URLPattern]:
        """Add the page where stopping is confirmed."""
        view = self.admin_site.admin_view(self.stop_view)
        return [path("<path:object_id>/stop/", view, name="investigations_investigation_stop"), *super().get_urls()]

    def detail_context(self, request: HttpRequest, row: Investigation) -> dict[str, Any]:
        """Add the actions, and whether this person can stop it."""
        linked = ActionEvidence.objects.filter(evidence__investigation=row).values("action_id")
        found = RemediationAction.objects.filter(Q(investigation=row) | Q(pk__in=linked)).for_lists()
        found = found.prefetch_related("evidence_links__evidence", "decisions__user").order_by("-id")[:MOST_ROWS]
        may_stop = actor_of(request).may(Capability.WORK_ON_INVESTIGATIONS, row.tenant_id)
        may_undo = actor_of(request).may(Capability.DECIDE_ACTION, row.tenant_id)
        context = super().detail_context(request, row)
        return {
            **context,
            "evidence": with_asking(request, row.tenant_id, context["evidence"]),
            "actions": [_shown(action) for action in found],
            "stop_url": _stop_url(row) if may_stop and row.state in OPEN_STATES else "",
            "undo_url": investigation_undo_url(row) if may_undo else "",
        }

    def stop_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason, then end the investigation."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            self._stop(request, row, form.cleaned_data["reason"])
            return HttpResponseRedirect(reverse("admin:investigations_investigation_change", args=[row.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Stop this investigation?"),
            "opts": self.opts,
            "original": row,
            "form": form,
        }
        return TemplateResponse(request, "actions/stop.html", context)

    def _stop(self, request: HttpRequest, row: Investigation, reason: str) -> None:
        try:
            with acting_for(row.tenant_id):
                stop_investigation(row, actor=actor_of(request), reason=reason)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, gettext_lazy("The investigation has been stopped."), messages.SUCCESS)


def _stop_url(row: Investigation) -> str:
    return reverse("admin:investigations_investigation_stop", args=[row.pk])


def _shown(action: RemediationAction) -> dict[str, Any]:
    return {
        "url": url_of(action),
        "label": action.kind.label,
        "target": action.target,
        "state": columns.show_state(action),
        "why": columns.show_why(action),
        "deciders": columns.show_deciders(action),
    }
