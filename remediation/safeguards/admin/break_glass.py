"""The page of break-glass uses: opening one, what was approved in each, and the review that somebody else owes."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.admin_site import Banner, Card
from portal.access.display import NOTHING, badge, labelled, show_age, show_time
from portal.access.exceptions import Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, current_scope, has_scope, viewing
from remediation.safeguards import break_glass
from remediation.safeguards.admin.asking import ask
from remediation.safeguards.forms import OpenForm, ReviewForm
from remediation.safeguards.models import BreakGlass

MOST_BANNERS = 5


@admin.register(BreakGlass)
class BreakGlassAdmin(ReadOnlyAdmin):
    """Break-glass uses, newest first. Adding one opens it, which everybody who decides for the tenant is told of."""

    menu_place = 27
    add_capability = Capability.BREAK_GLASS
    detail_template = "safeguards/break_glass.html"
    list_display = ("person", "state_badge", "tenant", "opened", "review_due", "reviewed_by")
    list_filter = (BY_TENANT, ("reviewed_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant", "user", "reviewed_by")
    ordering = ("-id",)
    sortable_by = ("opened",)
    empty_message = gettext_lazy("Nobody has used break glass.")
    add_label = gettext_lazy("Open break glass")

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the review."""
        view = self.admin_site.admin_view(self.review_view)
        return [path("<uuid:object_id>/review/", view, name="safeguards_breakglass_review"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say what will happen, ask for the tenant and the reason, then open it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        actor = actor_of(request)
        actor.require_second_factor()
        form = OpenForm(request.POST if request.method == "POST" else None)
        held = [key for key, capabilities in actor.capabilities.items() if Capability.BREAK_GLASS in capabilities]
        form.fields["tenant"].queryset = Tenant.objects.filter(pk__in=held, is_active=True)  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            try:
                return self._open(request, form.cleaned_data["tenant"], form.cleaned_data["reason"])
            except Refusal as refusal:
                form.add_error(None, str(refusal))
        minutes = round(settings.BREAK_GLASS_SECONDS / 60)
        return ask(
            self,
            request,
            title=_("Open break glass?"),
            lines=[
                _("For %(count)d minutes you can approve single actions alone, also your own.") % {"count": minutes},
                _("Everybody who decides for the tenant is told at once. Somebody else reviews it within 24 hours."),
            ],
            form=form,
            button=_("Open break glass"),
            back_url=reverse("admin:safeguards_breakglass_changelist"),
            tone="reject",
        )

    def _open(self, request: HttpRequest, tenant: Tenant, reason: str) -> HttpResponse:
        """Open it over all tenants the person sees, so that their unreviewed use elsewhere is found."""
        with viewing(current_scope().tenant_ids):
            opened = break_glass.open_break_glass(tenant.pk, actor=actor_of(request), reason=reason)
        words = _("Break glass is open until %(time)s UTC. Everybody who decides for %(tenant)s is being told.")
        self.message_user(request, words % {"time": f"{opened.ends_at:%H:%M}", "tenant": tenant}, messages.WARNING)
        return HttpResponseRedirect(_page_of(opened.pk))

    def cards(self, request: HttpRequest) -> Iterable[Card]:
        """Count the reviews that are due, and say when one is overdue."""
        due = list(break_glass.to_review().values_list("review_before", flat=True)) if has_scope() else []
        is_overdue = any(moment <= now() for moment in due)
        yield Card(
            label=gettext_lazy("Break-glass reviews overdue") if is_overdue else gettext_lazy("Break-glass reviews"),
            count=len(due),
            url="admin:safeguards_breakglass_changelist",
            query="reviewed_at__isempty=1",
            hint=gettext_lazy("Somebody else reviews each use within 24 hours; until then there is no further one."),
            tone="bad" if is_overdue else "waiting" if due else "good",
        )

    def banners(self, request: HttpRequest) -> Iterable[Banner]:
        """Call out every use that nobody has reviewed."""
        if not has_scope():
            return
        for use in break_glass.to_review().select_related("tenant", "user")[:MOST_BANNERS]:
            words = (
                _("The review of break glass for %(tenant)s by %(person)s is overdue.")
                if use.review_before <= now()
                else _("Break glass was opened for %(tenant)s by %(person)s and waits for its review.")
            )
            yield Banner(words % {"tenant": use.tenant, "person": use.user}, _page_of(use.pk))

    @admin.display(description=gettext_lazy("person"), ordering="id")
    def person(self, row: BreakGlass) -> str:
        """Name who opened it."""
        return str(row.user)

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: BreakGlass) -> str:
        """Say how far it is."""
        return _show_state(row)

    @admin.display(description=gettext_lazy("opened"), ordering="id")
    def opened(self, row: BreakGlass) -> str:
        """Show when it was opened."""
        return labelled(_("Opened"), show_age(row.opened_at))

    @admin.display(description=gettext_lazy("review due"))
    def review_due(self, row: BreakGlass) -> str:
        """Show by when the review is due."""
        return labelled(_("Review due"), NOTHING if row.reviewed_at else show_age(row.review_before))

    def sections(self, request: HttpRequest, row: BreakGlass) -> Sequence[Section]:
        """Return who, when, and what came of it."""
        facts = [
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Opened by"), row.user),
            (gettext_lazy("Opened"), show_age(row.opened_at)),
            (gettext_lazy("Ends"), show_age(row.ends_at)),
            (gettext_lazy("Alarm sent"), show_age(row.alarmed_at)),
            (gettext_lazy("Review before"), show_age(row.review_before)),
        ]
        reviewed = [
            (gettext_lazy("Reviewed by"), row.reviewed_by),
            (gettext_lazy("Reviewed"), show_age(row.reviewed_at)),
            (gettext_lazy("Review"), row.review),
        ]
        return [
            Section(gettext_lazy("Use"), facts),
            *([Section(gettext_lazy("Review"), reviewed)] if row.reviewed_at else []),
        ]

    def detail_context(self, request: HttpRequest, row: BreakGlass) -> dict[str, Any]:
        """Return what was approved in it, whether this person can review it, and its history."""
        actor = actor_of(request)
        return {
            "title": _("Break glass by %(person)s") % {"person": row.user},
            "state": _show_state(row),
            "is_own": row.user_id == actor.id and row.ends_at > now(),
            "review_url": _review_url(row.pk) if _may_review(actor, row) else "",
            "approved": [
                (
                    reverse("admin:actions_historyaction_change", args=[decision.action_id]),
                    decision.action,
                    show_time(decision.decided_at),
                    decision.reason,
                )
                for decision in row.decisions.select_related("action").order_by("id")
            ],
            "events": events_of(row.pk),
        }

    def review_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask what the review found, then close it."""
        row = self.get_object(request, unquote(str(object_id)))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        form = ReviewForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return self._review(request, row, form.cleaned_data["review"])
        approved = [
            f"{decision.action} · {decision.reason}"
            for decision in row.decisions.select_related("action").order_by("id")
        ]
        return ask(
            self,
            request,
            title=_("Review this break-glass use"),
            lines=[f"{row.user} · {row.tenant}", row.reason, *(approved or [_("No action was approved in it.")])],
            form=form,
            button=_("Close the review"),
            back_url=_page_of(row.pk),
        )

    def _review(self, request: HttpRequest, row: BreakGlass, words: str) -> HttpResponse:
        try:
            with acting_for(row.tenant_id):
                break_glass.review_break_glass(row.pk, actor=actor_of(request), words=words)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, _("The review is closed."), messages.SUCCESS)
        return HttpResponseRedirect(_page_of(row.pk))


def _may_review(actor: Actor, row: BreakGlass) -> bool:
    may = actor.may(Capability.MANAGE_APPROVAL_POLICY, row.tenant_id)
    return row.reviewed_at is None and row.user_id != actor.id and may


def _show_state(row: BreakGlass) -> str:
    if row.reviewed_at is not None:
        return badge(_("Reviewed"), "good")
    if row.review_before <= now():
        return badge(_("Review overdue"), "bad")
    return badge(_("Open"), "bad") if row.ends_at > now() else badge(_("Waits for review"), "waiting")


def _page_of(key: UUID) -> str:
    return reverse("admin:safeguards_breakglass_change", args=[key])


def _review_url(key: UUID) -> str:
    return reverse("admin:safeguards_breakglass_review", args=[key])
