"""Pages of a number for every type of action, tenant by tenant: approval rules and hourly limits."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from portal.access.roles import Capability
from portal.access.scoped_admin import ReadOnlyAdmin, actor_of
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import has_scope
from remediation.catalogue import CATALOGUE, ActionType
from remediation.safeguards.admin.asking import ask, ask_second_person


class NumberPages(ReadOnlyAdmin):
    """One tenant's numbers at a time. A number changes by the guarded change `change_kind`, asked for here.

    `number_name` is the field of `form_class` and of the change's details that holds it.
    """

    menu_place = 26
    list_template: ClassVar[str]
    form_class: ClassVar[type[Form]]
    change_kind: ClassVar[str]
    number_name: ClassVar[str]
    ask_title: ClassVar[Promise]

    @abstractmethod
    def rows(self, request: HttpRequest, tenant: Tenant) -> Sequence[Any]:
        """Return what the list shows of the tenant, a row per type of action."""

    @abstractmethod
    def number_today(self, tenant: Tenant, kind: ActionType) -> int | None:
        """Return the number as it is, None for no limit."""

    @abstractmethod
    def describe_today(self, tenant: Tenant, kind: ActionType) -> str:
        """Say what the number is for, and what it is."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page where a change is asked for."""
        view = self.admin_site.admin_view(self.ask_view)
        return [path("<uuid:tenant_id>/<slug:action_type>/ask/", view, name=self._ask_name), *super().get_urls()]

    def ask_url(self, request: HttpRequest, tenant: Tenant, kind: ActionType) -> str:
        """Return where this person can ask for a change, empty where they cannot."""
        if kind.is_ordered_alone or not actor_of(request).may(Capability.MANAGE_APPROVAL_POLICY, tenant.pk):
            return ""
        return reverse(f"admin:{self._ask_name}", args=[tenant.pk, kind.name])

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show every type of action of one tenant: the one that is named, else the first."""
        return show_one_tenant(self, request, template=self.list_template, rows=partial(self.rows, request))

    def ask_view(self, request: HttpRequest, tenant_id: UUID, action_type: str) -> HttpResponse:
        """Ask for the new number and the reason; then a second person has to confirm it."""
        tenant = next((tenant for tenant in customers() if tenant.pk == tenant_id), None)
        kind = CATALOGUE.get(action_type)
        if tenant is None or kind is None or kind.is_ordered_alone:
            raise Http404
        actor = actor_of(request)
        if not actor.may(Capability.MANAGE_APPROVAL_POLICY, tenant.pk):
            raise PermissionDenied
        actor.require_second_factor()
        back_url = f"{reverse(f'admin:{self.opts.app_label}_{self.opts.model_name}_changelist')}?tenant={tenant.pk}"
        initial = {self.number_name: self.number_today(tenant, kind)}
        form = self.form_class(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            details = {"action_type": kind.name, self.number_name: form.cleaned_data[self.number_name]}
            reason = form.cleaned_data["reason"]
            return ask_second_person(
                self, request, tenant.pk, self.change_kind, details, reason=reason, back_url=back_url
            )
        return ask(
            self,
            request,
            title=self.ask_title,
            lines=[self.describe_today(tenant, kind), _("Nothing changes until somebody else confirms it.")],
            form=form,
            button=_("Ask for the change"),
            back_url=back_url,
        )

    @property
    def _ask_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_ask"


def customers() -> list[Tenant]:
    """Return the customers in scope by name; none for somebody without memberships."""
    if not has_scope():
        return []
    return list(Tenant.objects.filter(is_active=True).exclude(pk=PROVIDER_TENANT_ID).order_by("name", "pk"))


def show_one_tenant(
    pages: ReadOnlyAdmin, request: HttpRequest, *, template: str, rows: Callable[[Tenant], Sequence[Any]]
) -> HttpResponse:
    """Show the rows of one tenant: the one that `?tenant=` names, else the first. Raises PermissionDenied."""
    if not pages.has_view_permission(request):
        raise PermissionDenied
    tenants = customers()
    wanted = request.GET.get("tenant")
    chosen = next((tenant for tenant in tenants if wanted in (None, str(tenant.pk))), None)
    context = {
        **pages.admin_site.each_context(request),
        "title": capfirst(pages.opts.verbose_name_plural),
        "opts": pages.opts,
        "tenants": tenants,
        "chosen": chosen,
        "rows": rows(chosen) if chosen else [],
    }
    return TemplateResponse(request, template, context)
