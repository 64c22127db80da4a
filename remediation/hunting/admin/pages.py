"""What hunting and the explorer share: the form with the last questions, a batch's progress, and one tenant's rows."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.display import show_age
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import Section, actor_of, events_of
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import has_scope
from remediation.hunting.acting import offered_types
from remediation.hunting.admin import showing
from remediation.hunting.admin.acting import ActingPages
from remediation.hunting.forms import TenantsForm
from remediation.hunting.models import Hunt
from remediation.hunting.services import Batch
from remediation.hunting.states import OPEN_STATES, HuntState
from remediation.hunting.telling import told_to

LAST_ONES = 10


class HuntPages(ActingPages):
    """Ask on the list page; a batch's page tells how far each tenant is; a hunt's page shows what it found."""

    list_template = "hunting/ask.html"
    batch_template = "hunting/batch.html"
    detail_template = "hunting/hunt.html"
    form_class: ClassVar[type[TenantsForm]]
    form_title: ClassVar[Promise]
    button: ClassVar[Promise]
    sources: ClassVar[Sequence[str]]

    @abstractmethod
    def ask(self, cleaned: dict[str, Any], tenant_ids: list[UUID], request: HttpRequest) -> Batch:
        """Put what the form holds to these tenants."""

    @abstractmethod
    def initial(self, again: Hunt | None, request: HttpRequest) -> dict[str, Any]:
        """Return what the form begins with."""

    def list_context(self) -> dict[str, Any]:
        """Return what the list page shows besides."""
        return {}

    def get_urls(self) -> list[URLPattern]:
        """Add the page of a batch."""
        view = self.admin_site.admin_view(self.batch_view)
        return [path("batch/<uuid:batch>/", view, name=self.url_name("batch")), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hunt]:
        """Return the hunts in scope, each with whether what was asked is told."""
        hunts: QuerySet[Hunt] = super().get_queryset(request).annotate(is_told=told_to(actor_of(request)))
        return hunts

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the form and the last questions; take a new one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = self._form(request)
        if request.method == "POST" and form is not None and form.is_valid():
            try:
                batch = self._in_scope_of(request, form)
            except Refusal as refusal:
                form.add_error(None, str(refusal))
            else:
                return HttpResponseRedirect(self._page_of(batch))
        context = {
            **self.admin_site.each_context(request),
            "title": capfirst(self.opts.verbose_name_plural),
            "opts": self.opts,
            "form": form,
            "form_title": self.form_title,
            "button": self.button,
            "own": self._last(request, Q(asked_by_id=actor_of(request).id)),
            "others": self._last(request, ~Q(asked_by_id=actor_of(request).id) | Q(asked_by=None)),
            **self.list_context(),
        }
        return TemplateResponse(request, self.list_template, context)

    def batch_view(self, request: HttpRequest, batch: UUID) -> HttpResponse:
        """Show how far each tenant of a batch is."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_queryset(request).filter(batch=batch).defer("rows").select_related("tenant")
        hunts = list(rows.order_by("tenant__name", "pk"))
        if not hunts:
            raise Http404
        ended = sum(hunt.state not in OPEN_STATES for hunt in hunts)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Results of all tenants"),
            "opts": self.opts,
            "hunts": [(hunt, showing.state(hunt), self.url_of("change", hunt)) for hunt in hunts],
            "query": showing.question(hunts[0]),
            "ended": ended,
            "failed": sum(hunt.state == HuntState.FAILED for hunt in hunts),
            "is_open": ended < len(hunts),
            "again_url": self._again_url(hunts[0]) if hunts[0].is_told else "",
        }
        return TemplateResponse(request, self.batch_template, context)

    def sections(self, request: HttpRequest, row: Hunt) -> Sequence[Section]:
        """Return who asked what."""
        facts: Iterable[tuple[Any, Any]] = (
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Asked by"), row.asked_by or _("Automation")),
            (gettext_lazy("Asked"), show_age(row.created_at)),
            (gettext_lazy("Time span"), showing.timespan(row.timespan)),
            (gettext_lazy("Ended"), show_age(row.ended_at)),
            (gettext_lazy("Query"), showing.question(row)),
        )
        return [Section(gettext_lazy("What was asked"), list(facts))]

    def detail_context(self, request: HttpRequest, row: Hunt) -> dict[str, Any]:
        """Return what was found, a page of it, and what can be done about it."""
        may_act = actor_of(request).may(Capability.REQUEST_ACTION, row.tenant_id)
        return {
            "title": _("Results in %(tenant)s") % {"tenant": row.tenant},
            "state": showing.state(row),
            "is_open": row.state in OPEN_STATES,
            "found": showing.page_of(row, request.GET.get("page", "")),
            "types": offered_types(row) if may_act and row.rows else [],
            "act_url": self.url_of("act", row),
            "batch_url": reverse(f"admin:{self.url_name('batch')}", args=[row.batch]),
            "again_url": self._again_url(row) if may_act and row.is_told else "",
            "events": events_of(row.pk),
        }

    def actor(self, request: HttpRequest) -> Actor:
        """Return who asks."""
        return actor_of(request)

    def _form(self, request: HttpRequest) -> TenantsForm | None:
        """Return the form, None for somebody who may hunt nowhere."""
        actor = actor_of(request)
        mine = actor.tenants_where(Capability.REQUEST_ACTION)
        tenants = Tenant.objects.filter(pk__in=mine, is_active=True).exclude(pk=PROVIDER_TENANT_ID).order_by("name")
        offered = [(str(tenant.pk), tenant.name) for tenant in tenants] if has_scope() and mine else []
        if not offered:
            return None
        again = self._again(request)
        initial = self.initial(again, request)
        if again is not None:
            batch = Hunt.objects.filter(batch=again.batch).values_list("tenant_id", flat=True)
            initial["tenants"] = [str(tenant_id) for tenant_id in batch]
        form = self.form_class(request.POST if request.method == "POST" else None, initial=initial)
        form.offer(offered)
        return form

    def _again(self, request: HttpRequest) -> Hunt | None:
        try:
            wanted = UUID(request.GET.get("again", ""))
        except ValueError:
            return None
        told = Hunt.objects.defer("rows").filter(told_to(actor_of(request)), batch=wanted)
        return told.order_by("pk").first()

    def _in_scope_of(self, request: HttpRequest, form: TenantsForm) -> Batch:
        tenant_ids = [UUID(text) for text in form.cleaned_data["tenants"]]
        batch = self.ask(form.cleaned_data, tenant_ids, request)
        for answer in batch.answers:
            if answer.refusal:
                self.message_user(request, answer.refusal, messages.ERROR)
        return batch

    def _page_of(self, batch: Batch) -> str:
        hunts = [answer.hunt for answer in batch.answers if answer.hunt is not None]
        if len(hunts) == 1:
            return self.url_of("change", hunts[0])
        return reverse(f"admin:{self.url_name('batch')}", args=[batch.id])

    def _last(self, request: HttpRequest, condition: Q) -> list[dict[str, Any]]:
        """Return the newest questions: one line for all that one request asked for."""
        if not has_scope():
            return []
        asked = (
            Hunt.objects.filter(condition, source__in=self.sources)
            .annotate(told=told_to(actor_of(request)))
            .values("told", "batch", "query", "timespan", "criteria", "asked_by__email")
            .annotate(
                asked=Min("created_at"),
                tenants=Count("id"),
                ended=Count("id", filter=~Q(state__in=OPEN_STATES)),
                failed=Count("id", filter=Q(state=HuntState.FAILED)),
            )
            .order_by("-asked")[:LAST_ONES]
        )
        return [
            {
                **line,
                "asked": show_age(line["asked"]),
                "what": showing.what(line["criteria"], line["query"]) if line["told"] else showing.not_told(),
                "url": reverse(f"admin:{self.url_name('batch')}", args=[line["batch"]]),
            }
            for line in asked
        ]

    def _again_url(self, hunt: Hunt) -> str:
        return f"{self._list_url}?again={hunt.batch}"

    @property
    def _list_url(self) -> str:
        return reverse(f"admin:{self.url_name('changelist')}")
