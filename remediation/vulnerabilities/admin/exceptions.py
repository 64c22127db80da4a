"""The pages of exceptions: the register, one exception with what it changes, asking for one, and deciding."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Card
from portal.access.display import NOTHING, badge, grouped, labelled, link_to, show_age
from portal.access.exceptions import BadRequest, Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.api.csv_lists import csv_address, csv_of_list
from portal.tenancy.scope import acting_for, has_scope
from remediation.actions.states import Answer
from remediation.safeguards.admin.asking import ask
from remediation.safeguards.forms import SaidForm
from remediation.vulnerabilities.admin import exception_requests
from remediation.vulnerabilities.admin.exception_deciding import ask_about_chosen, decide_page
from remediation.vulnerabilities.admin.exception_forms import ExceptionForm
from remediation.vulnerabilities.admin.exception_import import import_page
from remediation.vulnerabilities.admin.exception_verbs import VERBS, offered_verbs
from remediation.vulnerabilities.exceptions.ending import HEADS_UP
from remediation.vulnerabilities.exceptions.exporting import REGISTER_COLUMNS
from remediation.vulnerabilities.exceptions.importing import source_of
from remediation.vulnerabilities.exceptions.preview import preview_of
from remediation.vulnerabilities.exceptions.telling import scope_in_words
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import ExceptionKind, ExceptionState

TONES: Final = {
    ExceptionState.REQUESTED: "waiting",
    ExceptionState.IN_EFFECT: "good",
    ExceptionState.SUSPENDED: "moving",
    ExceptionState.REJECTED: "bad",
}
DEVICES_SHOWN: Final = 100
GRANTED: Final = (ExceptionState.IN_EFFECT, ExceptionState.SUSPENDED)


def _ending() -> Q:
    """Those whose last day is within a week, UTC."""
    return Q(state__in=GRANTED, expires_on__lte=today() + HEADS_UP)


class EndingFilter(admin.SimpleListFilter):
    """Those about to end."""

    title = gettext_lazy("end")
    parameter_name = "ending"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> Sequence[tuple[str, Any]]:
        """Return the one choice."""
        return [("week", gettext_lazy("Within a week"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow the list."""
        return queryset.filter(_ending()) if self.value() == "week" else queryset


@admin.register(RecommendationException)
class ExceptionAdmin(ReadOnlyAdmin):
    """The register of exceptions, newest first."""

    menu_place = 16
    add_capability = Capability.HANDLE_REMEDIATION
    add_label = gettext_lazy("Request an exception for a CVE")
    change_list_template = "vulnerabilities/exceptions.html"
    detail_template = "vulnerabilities/exception.html"
    list_display = ("thing", "state_badge", "tenant", "scope", "justification", "last_day", "exposed", "asker")
    list_filter = (BY_TENANT, "state", "kind", "justification", "is_global", EndingFilter)
    list_select_related = ("tenant", "recommendation", "requested_by")
    search_fields = ("cve_id", "recommendation__name", "requested_by__email")
    search_help_text = gettext_lazy("CVE, recommendation or who asked")
    actions = ("approve_chosen", "reject_chosen")
    ordering = ("-id",)
    sortable_by = ("last_day",)
    empty_message = gettext_lazy(
        "There are no exceptions. Open a security recommendation and choose “Request an exception”; for a CVE, request "
        "it here."
    )

    def get_urls(self) -> list[URLPattern]:
        """Add the pages where verbs are confirmed, and the register as CSV, out and in."""
        views = (self.decide_view, self.decide_many_view, self.csv_view, self.import_view)
        decide, decide_many, csv, importing = (self.admin_site.admin_view(view) for view in views)
        name = "vulnerabilities_recommendationexception"
        return [
            path("<uuid:object_id>/<slug:verb_name>/decide/", decide, name=f"{name}_decide"),
            path("decide/<slug:answer>/", decide_many, name=f"{name}_decide_many"),
            path("csv/", csv, name=f"{name}_csv"),
            path("import/", importing, name=f"{name}_import"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the register, with where to get it as it is filtered."""
        shown = {"csv_url": csv_address(self, request), "may_import": self.has_add_permission(request)}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def csv_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Give the register as it is filtered, as CSV."""
        return csv_of_list(self, request, REGISTER_COLUMNS, name="exceptions")

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Import a register: first what it would ask for is shown, then it is asked for."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return import_page(self, request)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Return whether the person decides anywhere; the service asks again for the exception's own tenant."""
        actor = actor_of(request)
        return any(actor.may_anywhere(held) for held in (Capability.HANDLE_EXCEPTIONS, Capability.EXCEPT_WHOLE_TENANT))

    @admin.action(description=gettext_lazy("Approve"), permissions=["decide"])
    def approve_chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask whether to approve what is ticked."""
        return ask_about_chosen(self, request, Answer.APPROVE, queryset)

    @admin.action(description=gettext_lazy("Reject"), permissions=["decide"])
    def reject_chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Ask whether to reject what is ticked."""
        return ask_about_chosen(self, request, Answer.REJECT, queryset)

    def decide_many_view(self, request: HttpRequest, answer: str) -> HttpResponse:
        """Say what the answer brings about for each and ask for the reason, then do it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if answer not in Answer.values:
            raise Http404
        return decide_page(self, request, Answer(answer))

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count what waits and what is about to end."""
        rows = RecommendationException.objects if has_scope() else RecommendationException.objects.none()
        waiting = rows.filter(state=ExceptionState.REQUESTED).count()
        ending = rows.filter(_ending()).count()
        page = "admin:vulnerabilities_recommendationexception_changelist"
        yield Card(
            label=gettext_lazy("Exceptions that wait for a second person"),
            count=waiting,
            url=page,
            query=f"state__exact={ExceptionState.REQUESTED.value}",
            hint=gettext_lazy("Without one they never take effect."),
            tone="waiting" if waiting else "good",
        )
        yield Card(
            label=gettext_lazy("Exceptions that end within a week"),
            count=ending,
            url=page,
            query="ending=week",
            hint=gettext_lazy("What they cover is shown as exposed again by itself."),
            tone="waiting" if ending else "good",
        )

    @admin.display(description=gettext_lazy("exception for"))
    def thing(self, row: RecommendationException) -> str:
        """Name what it is for."""
        return format_html('{} <span class="aside">{}</span>', row, ExceptionKind(row.kind).label)

    @admin.display(description=gettext_lazy("status"), ordering="state")
    def state_badge(self, row: RecommendationException) -> str:
        """Show the state, with devices that came into its scope since."""
        state = ExceptionState(row.state)
        shown = badge(state.label, TONES.get(state, "neutral"))
        if not row.new_device_count or state not in GRANTED:
            return shown
        new = _("%(count)s new") % {"count": grouped(row.new_device_count)}
        return format_html("{} {}", shown, badge(new, "bad"))

    @admin.display(description=gettext_lazy("applies to"))
    def scope(self, row: RecommendationException) -> str:
        """Name the groups."""
        return labelled(_("Applies to"), scope_in_words(row))

    @admin.display(description=gettext_lazy("last day (UTC)"), ordering="expires_on")
    def last_day(self, row: RecommendationException) -> str:
        """Show until when."""
        return labelled(_("Last day (UTC)"), f"{row.expires_on:%Y-%m-%d}")

    @admin.display(description=gettext_lazy("exposed before and after"))
    def exposed(self, row: RecommendationException) -> str:
        """Show what it changed when it was granted."""
        if row.exposed_before is None:
            return labelled(_("Exposed before and after"), NOTHING)
        return labelled(
            _("Exposed before and after"), f"{grouped(row.exposed_before)} → {grouped(row.exposed_after or 0)}"
        )

    @admin.display(description=gettext_lazy("requested by"))
    def asker(self, row: RecommendationException) -> str:
        """Name who asked."""
        return labelled(_("Requested by"), row.requested_by or NOTHING)

    def sections(self, request: HttpRequest, row: RecommendationException) -> Sequence[Section]:
        """Return what is excepted, and who asked, decided and ended."""
        what = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Exception for"), _thing_link(row)),
            (gettext_lazy("Kind"), ExceptionKind(row.kind).label),
            (gettext_lazy("Applies to"), scope_in_words(row)),
            (gettext_lazy("Justification"), row.get_justification_display()),
            (gettext_lazy("Context"), row.context),
            (gettext_lazy("Last day (UTC)"), f"{row.expires_on:%Y-%m-%d}"),
        ]
        who = [
            (gettext_lazy("Requested by"), row.requested_by or NOTHING),
            (gettext_lazy("Requested"), show_age(row.requested_at)),
            *_imported_from(row),
            (gettext_lazy("Decided by"), row.decided_by or NOTHING),
            (gettext_lazy("Decided"), show_age(row.decided_at)),
            (gettext_lazy("Reason of the decision"), row.decision_reason or NOTHING),
        ]
        if row.ended_at is not None:
            who += [
                (gettext_lazy("Ended by"), row.ended_by or _("Automation")),
                (gettext_lazy("Ended"), show_age(row.ended_at)),
                (gettext_lazy("Reason"), row.end_reason or _("Its last day is over.")),
            ]
        return [Section(gettext_lazy("What is excepted"), what), Section(gettext_lazy("Who decided"), who)]

    def detail_context(self, request: HttpRequest, row: RecommendationException) -> dict[str, Any]:
        """Return what it changes, the devices in its scope, what this person can do, and its history."""
        actor = actor_of(request)
        is_waiting = row.state == ExceptionState.REQUESTED
        devices = row.devices.select_related("device__group").order_by("-is_new", "device__name", "pk")
        return {
            "title": _("Exception for %(thing)s") % {"thing": row},
            "state": self.state_badge(row),
            "preview": preview_of(row) if is_waiting else None,
            "is_own": is_waiting and row.requested_by_id == actor.id,
            "is_suspended": row.state == ExceptionState.SUSPENDED,
            "verbs": [
                (VERBS[name].label, _decide_url(row, name), VERBS[name].tone) for name in offered_verbs(row, actor)
            ],
            "groups": [
                (name, f"{_decide_url(row, 'cancel-group')}?group={key}")
                for key, name in zip(row.group_ids, row.group_names, strict=True)
                if len(row.group_ids) > 1 and "cancel" in offered_verbs(row, actor)
            ],
            "devices": list(devices[:DEVICES_SHOWN]),
            "device_count": row.devices.count(),
            "events": events_of(row.pk),
        }

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for an exception: first what it would change is shown, then it is sent."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        refusal = ""
        try:
            subject = exception_requests.subject_from(request)
        except BadRequest as refused:
            subject, refusal = None, str(refused)
        if subject is None:
            return exception_requests.choose_page(self, request, refusal)
        form = ExceptionForm(subject, request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid() and exception_requests.is_to_be_sent(request, form):
            try:
                made = exception_requests.send(request, subject, form.cleaned_data)
            except Refusal as refused:
                form.add_error(None, str(refused))
            else:
                self.message_user(request, _("Asked for. It waits for a second person."), messages.SUCCESS)
                return HttpResponseRedirect(_page_of(made.pk))
        return exception_requests.request_page(self, request, subject, form)

    def decide_view(self, request: HttpRequest, object_id: UUID, verb_name: str) -> HttpResponse:
        """Say what the verb brings about and ask for the reason, then do it.

        Raises SecondFactorNeeded where that would be needed in the end, so that nobody types a reason for nothing.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(object_id))
        verb = VERBS.get(verb_name)
        if row is None or verb is None:
            raise Http404
        if verb_name == "approve" and row.is_global and verb_name in offered_verbs(row, actor_of(request)):
            actor_of(request).require_second_factor()
        form = SaidForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            return self._carry_out(request, verb_name, row, form.cleaned_data["reason"])
        return ask(
            self,
            request,
            title=verb.question,
            lines=[f"{row} · {scope_in_words(row)} · {row.tenant}", *verb.effect(row, request.GET.get("group", ""))],
            form=form,
            button=verb.label,
            back_url=_page_of(row.pk),
            tone=verb.tone,
        )

    def _carry_out(
        self, request: HttpRequest, verb_name: str, row: RecommendationException, reason: str
    ) -> HttpResponse:
        verb = VERBS[verb_name]
        try:
            with acting_for(row.tenant_id):
                verb.run(row, request.GET.get("group", ""), actor_of(request), reason)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, str(verb.done), messages.SUCCESS)
        return HttpResponseRedirect(_page_of(row.pk))


def _imported_from(row: RecommendationException) -> list[tuple[Any, str]]:
    """Return the file and line of what was imported, as its history says."""
    source = source_of(row)
    if source is None:
        return []
    words = _("Line %(line)d of “%(file)s”") if source["file"] else _("Line %(line)d of a file sent to the API")
    return [(gettext_lazy("Imported"), words % source)]


def _thing_link(row: RecommendationException) -> str:
    """Link to the recommendation, or to those of the tenant that name the CVE."""
    if row.recommendation_id:
        return link_to("vulnerabilities_recommendation", row.recommendation_id, row)
    named = urlencode({"cve": row.cve_id, "tenant__id__exact": row.tenant_id, "status": "all"})
    address = reverse("admin:vulnerabilities_recommendation_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, named, row.cve_id)


def _page_of(key: UUID) -> str:
    return reverse("admin:vulnerabilities_recommendationexception_change", args=[key])


def _decide_url(row: RecommendationException, verb_name: str) -> str:
    return reverse("admin:vulnerabilities_recommendationexception_decide", args=[row.pk, verb_name])
