"""The page of advanced hunting: a query in KQL, for one or many tenants."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.tenancy.scope import acting_for
from remediation.hunting import clusters
from remediation.hunting.admin.pages import HuntPages
from remediation.hunting.forms import QueryForm
from remediation.hunting.models import Hunt
from remediation.hunting.ready_made import READY_MADE
from remediation.hunting.services import Batch, Question, ask_everywhere
from remediation.hunting.states import HuntSource, HuntState


@admin.register(Hunt)
class HuntAdmin(HuntPages):
    """Hunting by query."""

    menu_place = 12
    form_class = QueryForm
    form_title = gettext_lazy("New query")
    button = gettext_lazy("Run the query")
    sources = (HuntSource.ADVANCED_HUNTING, HuntSource.CLUSTER)

    def get_urls(self) -> list[URLPattern]:
        """Add where a cluster's recipients are looked up again."""
        view = self.admin_site.admin_view(self.look_up_view)
        return [path("<uuid:object_id>/look-up/", view, name=self.url_name("look_up")), *super().get_urls()]

    def look_up_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Have the recipients looked up again, and lead back."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        hunt: Hunt | None = self.get_object(request, str(object_id))
        if hunt is None:
            raise Http404
        if request.method == "POST":
            self._look_up(request, hunt)
        return HttpResponseRedirect(self.url_of("change", hunt))

    def _look_up(self, request: HttpRequest, hunt: Hunt) -> None:
        try:
            with acting_for(hunt.tenant_id):
                clusters.look_up_again(hunt, actor=actor_of(request))
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, _("The recipients are being looked up again."), messages.SUCCESS)

    def detail_context(self, request: HttpRequest, row: Hunt) -> dict[str, Any]:
        """Offer to look up again what could not be."""
        context = super().detail_context(request, row)
        may = actor_of(request).may(Capability.REQUEST_ACTION, row.tenant_id)
        is_offered = may and row.evidence_id is not None and row.state == HuntState.FAILED
        return {**context, "look_up_url": self.url_of("look_up", row) if is_offered else ""}

    def ask(self, cleaned: dict[str, Any], tenant_ids: list[Any], request: HttpRequest) -> Batch:
        """Put the query to the tenants."""
        question = Question(cleaned["query"], cleaned["timespan"])
        return ask_everywhere(question, tenant_ids, actor=self.actor(request))

    def initial(self, again: Hunt | None, request: HttpRequest) -> dict[str, Any]:
        """Begin with a query that was run before, or with a ready-made one."""
        if again is not None:
            return {"query": again.query, "timespan": again.timespan}
        ready = READY_MADE.get(request.GET.get("ready", ""))
        return {"query": ready.query} if ready else {}

    def list_context(self) -> dict[str, Any]:
        """Offer the ready-made queries."""
        return {"ready_made": [(name, ready.label) for name, ready in READY_MADE.items()]}
