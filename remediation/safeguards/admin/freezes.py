"""The page of freezes: what is not being sent and why, freezing by one person, and asking for it to be lifted."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.admin_site import Banner
from portal.access.display import NOTHING, badge, labelled, show_age
from portal.access.exceptions import BadRequest, Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, Section, actor_of, events_of
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for, current_scope, has_scope
from remediation.safeguards import freezes
from remediation.safeguards.admin.asking import ask, ask_to_end
from remediation.safeguards.forms import FreezeLevelForm, SaidForm
from remediation.safeguards.models import Freeze

MOST_BANNERS = 5


class FreezePages(ReadOnlyAdmin):
    """Freezes, newest first. Adding one stops sending; the floor above says what that holds back, and registers it."""

    menu_place = 24
    add_capability = Capability.FREEZE
    detail_template = "safeguards/freeze.html"
    list_display = ("what", "state_badge", "whom", "since", "frozen_by", "reason")
    list_filter = (BY_TENANT, ("lifted_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant",)
    ordering = ("-id",)
    sortable_by = ("since",)
    empty_message = gettext_lazy("Nothing is frozen, and nothing was.")
    add_label = gettext_lazy("Freeze sending")

    def get_urls(self) -> list[URLPattern]:
        """Add the page where lifting is asked for."""
        view = self.admin_site.admin_view(self.lift_view)
        return [path("<uuid:object_id>/lift/", view, name="safeguards_freeze_lift"), *super().get_urls()]

    def banners(self, request: HttpRequest) -> Iterable[Banner]:
        """Call out what is frozen, whoever looks: those over all tenants to everybody."""
        rows = freezes.in_force(current_scope().tenant_ids) if has_scope() else []
        for row in rows[:MOST_BANNERS]:
            words = _("Sending is frozen: %(what)s, since %(time)s UTC, by %(person)s. %(reason)s")
            shown = {
                "what": freezes.describe_whole(row),
                "time": f"{row.frozen_at:%Y-%m-%d %H:%M}",
                "person": row.frozen_by,
                "reason": row.reason,
            }
            yield Banner(words % shown, _list_url())

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what is to be frozen, then say what that holds back and ask why."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        level = FreezeLevelForm(request.GET or None)
        level.fields["tenant"].choices = _choices(request)  # type: ignore[attr-defined]  # a ChoiceField
        if not level.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": _("Freeze sending"),
                "opts": self.opts,
                "form": level,
                "back_url": _list_url(),
            }
            return TemplateResponse(request, "safeguards/freeze_level.html", context)
        wanted = Freeze(
            tenant_id=UUID(level.cleaned_data["tenant"]),
            action_type=level.cleaned_data["action_type"],
            connector=level.cleaned_data["connector"],
        )
        return self._confirm(request, wanted)

    def _confirm(self, request: HttpRequest, wanted: Freeze) -> HttpResponse:
        try:
            freezes.check_level(wanted.action_type, wanted.connector)
        except BadRequest as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:safeguards_freeze_add"))
        form = SaidForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return self._freeze(request, wanted, form.cleaned_data["reason"])
        return ask(
            self,
            request,
            title=_("Freeze sending?"),
            lines=[
                freezes.describe_whole(wanted),
                self.describe_effect(wanted),
                _("What is with Microsoft already goes on. It takes two people to lift the freeze."),
            ],
            form=form,
            button=_("Freeze"),
            back_url=_list_url(),
            tone="reject",
        )

    def describe_effect(self, wanted: Freeze) -> str:
        """Say what the freeze would hold back."""
        return _("Approved actions wait, and lapse by their own time.")

    def _freeze(self, request: HttpRequest, wanted: Freeze, reason: str) -> HttpResponse:
        try:
            with acting_for(wanted.tenant_id):
                made = freezes.freeze(
                    wanted.tenant_id,
                    actor=actor_of(request),
                    reason=reason,
                    action_type=wanted.action_type,
                    connector=wanted.connector,
                )
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(_list_url())
        return HttpResponseRedirect(_page_of(made.pk))

    def lift_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Ask why sending may go on; then a second person has to confirm it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, str(object_id))
        title = _("Ask for this freeze to be lifted?")
        return ask_to_end(self, request, row, "lift_freeze", {"freeze": str(object_id)}, title=title)

    @admin.display(description=gettext_lazy("what"))
    def what(self, row: Freeze) -> str:
        """Say what it holds back."""
        return freezes.describe(row)

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: Freeze) -> str:
        """Say whether it is in force."""
        return _show_state(row)

    @admin.display(description=gettext_lazy("for"))
    def whom(self, row: Freeze) -> str:
        """Say for whom."""
        return labelled(_("For"), _("All tenants") if row.tenant_id == PROVIDER_TENANT_ID else row.tenant)

    @admin.display(description=gettext_lazy("since"), ordering="id")
    def since(self, row: Freeze) -> str:
        """Show since when."""
        return labelled(_("Since"), show_age(row.frozen_at))

    def sections(self, request: HttpRequest, row: Freeze) -> Sequence[Section]:
        """Return what, for whom, why and by whom."""
        facts = [
            (gettext_lazy("Held back"), freezes.describe(row)),
            (gettext_lazy("For"), _("All tenants") if row.tenant_id == PROVIDER_TENANT_ID else row.tenant),
            (gettext_lazy("Reason"), row.reason),
            (gettext_lazy("Frozen by"), row.frozen_by),
            (gettext_lazy("Frozen"), show_age(row.frozen_at)),
            (gettext_lazy("Lifted by"), row.lifted_by or NOTHING),
            (gettext_lazy("Lifted"), show_age(row.lifted_at)),
        ]
        return [Section(gettext_lazy("Freeze"), facts)]

    def detail_context(self, request: HttpRequest, row: Freeze) -> dict[str, Any]:
        """Return whether this person can ask for it to be lifted, and its history."""
        may_lift = row.lifted_at is None and actor_of(request).may(Capability.FREEZE, row.tenant_id)
        return {
            "title": freezes.describe_whole(row),
            "state": _show_state(row),
            "lift_url": reverse("admin:safeguards_freeze_lift", args=[row.pk]) if may_lift else "",
            "events": events_of(row.pk),
        }


def _choices(request: HttpRequest) -> list[tuple[str, Any]]:
    """All tenants for who may stop those, and each tenant whose sending the person may stop."""
    actor = actor_of(request)
    ids = [tenant_id for tenant_id in actor.capabilities if actor.may(Capability.FREEZE, tenant_id)]
    rows = Tenant.objects.filter(pk__in=ids, is_active=True).order_by("name", "pk")
    over_all = [(str(PROVIDER_TENANT_ID), _("All tenants"))] if PROVIDER_TENANT_ID in ids else []
    return [("", _("Choose")), *[(str(row.pk), row.name) for row in rows], *over_all]


def _show_state(row: Freeze) -> str:
    return badge(_("In force"), "bad") if row.lifted_at is None else badge(_("Lifted"))


def _list_url() -> str:
    return reverse("admin:safeguards_freeze_changelist")


def _page_of(key: UUID) -> str:
    return reverse("admin:safeguards_freeze_change", args=[key])
