"""The page of retention rules: every kind of a tenant, how long it is kept, and what would leave now."""

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import grouped, show_time
from portal.access.exceptions import Conflict, Refusal
from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, Section, actor_of
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention.forms import ConfirmForm, RetentionForm
from remediation.retention.kinds import KINDS, Kind, label_of
from remediation.retention.models import RetentionRule
from remediation.retention.preview import preview
from remediation.retention.rules import days_kept, set_rule
from remediation.safeguards.admin.asking import ask
from remediation.safeguards.admin.by_tenant import customers, show_one_tenant


@admin.register(RetentionRule)
class RetentionRuleAdmin(ReadOnlyAdmin):
    """Rules by tenant, beside a dry run. A shorter time asks for the number of rows that leave at once."""

    menu_place = 34

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a rule is set."""
        view = self.admin_site.admin_view(self.set_view)
        name = "retention_retentionrule_set"
        return [path("<uuid:tenant_id>/<slug:kind_name>/set/", view, name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show every kind of one tenant: the one that is named, else the first."""
        return show_one_tenant(self, request, template="retention/rules.html", rows=partial(self._rows, request))

    def _rows(self, request: HttpRequest, tenant: Tenant) -> list[tuple[Any, str]]:
        may = actor_of(request).may(Capability.MANAGE_RETENTION, tenant.pk)
        with acting_for(tenant.pk):
            return [
                (each, _set_url(tenant.pk, each.kind) if may and not each.kind.is_fixed else "")
                for each in preview(tenant.pk)
            ]

    def set_view(self, request: HttpRequest, tenant_id: UUID, kind_name: str) -> HttpResponse:
        """Ask for the days and the reason; for fewer days, for the number of rows that leave at once."""
        tenant = next((tenant for tenant in customers() if tenant.pk == tenant_id), None)
        kind = KINDS.get(kind_name)
        if tenant is None or kind is None or kind.is_fixed:
            raise Http404
        actor = actor_of(request)
        if not actor.may(Capability.MANAGE_RETENTION, tenant.pk):
            raise PermissionDenied
        actor.require_second_factor()
        form_class = ConfirmForm if "confirmed_rows" in request.POST else RetentionForm
        form = form_class(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            return self._set(request, tenant, kind, form.cleaned_data)
        return self._ask(request, tenant, kind, form, [_describe(tenant, kind)])

    def _set(self, request: HttpRequest, tenant: Tenant, kind: Kind, asked: dict[str, Any]) -> HttpResponse:
        try:
            with acting_for(tenant.pk):
                days = set_rule(
                    tenant.pk,
                    kind.name,
                    asked["days"],
                    actor=actor_of(request),
                    reason=asked["reason"],
                    confirmed_rows=asked.get("confirmed_rows"),
                )
        except Conflict as refusal:
            form = ConfirmForm(initial={"days": asked["days"], "reason": asked["reason"]})
            return self._ask(request, tenant, kind, form, [_describe(tenant, kind), str(refusal)])
        except Refusal as refusal:
            refused = RetentionForm(request.POST)
            refused.add_error("days", str(refusal))
            return self._ask(request, tenant, kind, refused, [_describe(tenant, kind)])
        words = _("%(tenant)s: %(kind)s, kept for %(days)s days from now on.")
        shown = {"kind": kind.label, "tenant": tenant, "days": grouped(days)}
        self.message_user(request, words % shown, messages.SUCCESS)
        return HttpResponseRedirect(_list_url(tenant))

    def _ask(self, request: HttpRequest, tenant: Tenant, kind: Kind, form: Any, lines: list[str]) -> HttpResponse:
        is_confirming = isinstance(form, ConfirmForm)
        return ask(
            self,
            request,
            title=_("Keep it for a shorter time?") if is_confirming else _("How long is it kept?"),
            lines=lines,
            form=form,
            button=_("Purge them with the next run") if is_confirming else _("Set the days"),
            back_url=_list_url(tenant),
            tone="reject" if is_confirming else "approve",
        )

    def sections(self, request: HttpRequest, row: RetentionRule) -> list[Section]:
        """Return one rule that a tenant has of its own."""
        facts = (
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Kind"), label_of(row.kind)),
            (gettext_lazy("Days"), row.days),
            (gettext_lazy("Reason"), row.reason),
            (gettext_lazy("Changed by"), row.changed_by),
            (gettext_lazy("Changed"), show_time(row.changed_at)),
        )
        return [Section(gettext_lazy("Retention rule"), facts)]


def _describe(tenant: Tenant, kind: Kind) -> str:
    with acting_for(tenant.pk):
        days = days_kept(tenant.pk)[kind.name]
    words = _(
        "%(tenant)s: %(kind)s, kept for %(days)s days. It can be %(shortest)s to %(longest)s; the default is "
        "%(default)s."
    )
    return words % {
        "kind": kind.label,
        "tenant": tenant,
        "days": grouped(days),
        "shortest": grouped(kind.shortest),
        "longest": grouped(kind.longest),
        "default": grouped(kind.days),
    }


def _set_url(tenant_id: UUID, kind: Kind) -> str:
    return reverse("admin:retention_retentionrule_set", args=[tenant_id, kind.name])


def _list_url(tenant: Tenant) -> str:
    return f"{reverse('admin:retention_retentionrule_changelist')}?tenant={tenant.pk}"
