"""The pages of tenants and tenant groups."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access import tenant_groups, tenants
from portal.access.admin.staff_only import ProviderStaffOnly, administers_provider
from portal.access.display import badge, labelled, show_time
from portal.access.forms import TenantForm, TenantGroupForm
from portal.access.roles import Capability
from portal.access.scoped_admin import actor_of
from portal.access.verb_admin import Verb, VerbAdmin
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup

DEACTIVATE = Verb(
    name="deactivate",
    button=gettext_lazy("Switch the tenant off"),
    effect=gettext_lazy(
        "Nobody but provider admins will see %(row)s any more, from their next request on: not its own people, not "
        "staff of a group, not by API key. Its devices and alerts are no longer read and nothing more is sent for it. "
        "What Microsoft has begun goes on there. Nothing is deleted; it can be switched on again."
    ),
    done=gettext_lazy("%(row)s is switched off."),
    run=lambda row, actor: tenants.deactivate_tenant(row.pk, actor=actor),
    is_offered=lambda row: row.is_active,
)
REACTIVATE = Verb(
    name="reactivate",
    button=gettext_lazy("Switch the tenant on"),
    effect=gettext_lazy(
        "The same people as before see %(row)s again, with the same roles. Reading begins at once where its connection "
        "is on, and approved actions that have not lapsed are sent."
    ),
    done=gettext_lazy("%(row)s is switched on."),
    run=lambda row, actor: tenants.reactivate_tenant(row.pk, actor=actor),
    is_offered=lambda row: not row.is_active,
    tone="approve",
)


@admin.register(Tenant)
class TenantAdmin(VerbAdmin):
    """The customers one has a role in; provider admins over all take them on and switch them off."""

    menu_place = 40
    add_capability = change_capability = Capability.MANAGE_TENANTS
    add_takes_second_factor = True
    verbs = (DEACTIVATE, REACTIVATE)
    form = TenantForm
    list_display = ("name", "slug", "entra_tenant_id", "state", "isolation", "added")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "entra_tenant_id", "device_isolation_is_automatic", "state", "added")
    readonly_fields = ("slug", "entra_tenant_id", "state", "added")
    empty_message = gettext_lazy("You have no role in any tenant yet.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Leave out the provider's own reserved tenant."""
        return super().get_queryset(request).exclude(pk=PROVIDER_TENANT_ID)

    def tenant_id_of(self, row: Any) -> Any:
        """Return the tenant itself."""
        return row.pk

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        """Return whether the person administers the provider."""
        return administers_provider(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person administers the provider."""
        return administers_provider(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new tenant, or shown of one."""
        return self.fields if obj else ("name", "slug", "entra_tenant_id")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Who a tenant is stays as it was taken on."""
        return self.readonly_fields if obj else ()

    def save_model(self, request: HttpRequest, obj: Tenant, form: ModelForm, change: bool) -> None:
        """Take a tenant on, or change it."""
        given, actor = form.cleaned_data, actor_of(request)
        if change:
            tenants.change_tenant(
                obj.pk,
                name=given["name"],
                device_isolation_is_automatic=given["device_isolation_is_automatic"],
                actor=actor,
            )
            return
        made = tenants.create_tenant(
            slug=given["slug"], name=given["name"], entra_tenant_id=given["entra_tenant_id"], actor=actor
        )
        obj.pk = made.pk

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def state(self, row: Tenant) -> str:
        """Say whether it is switched on."""
        return badge(_("Active"), "good") if row.is_active else badge(_("Switched off"))

    @admin.display(description=gettext_lazy("isolating a malicious device"))
    def isolation(self, row: Tenant) -> str:
        """Say what happens to a malicious device."""
        words = _("Automatic in groups at Full") if row.device_isolation_is_automatic else _("Asks first")
        return labelled(_("Isolating a malicious device"), words)

    @admin.display(description=gettext_lazy("added"), ordering="created_at")
    def added(self, row: Tenant) -> str:
        """Show since when it is a customer here."""
        return show_time(row.created_at)


@admin.register(TenantGroup)
class TenantGroupAdmin(ProviderStaffOnly):
    """The provider's own way to gather customers, for giving staff a role in all of them."""

    menu_place = 41
    add_capability = change_capability = delete_capability = Capability.MANAGE_TENANTS
    add_takes_second_factor = True
    form = TenantGroupForm
    list_display = ("name", "tenant_count")
    search_fields = ("name",)
    empty_message = gettext_lazy("No tenant groups yet. A group lets you give staff a role in several tenants at once.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Count each group's tenants."""
        counted: models.QuerySet = super().get_queryset(request).annotate(tenants_in_it=models.Count("tenants"))
        return counted

    def save_model(self, request: HttpRequest, obj: TenantGroup, form: ModelForm, change: bool) -> None:
        """Make the group, or give it its name and tenants."""
        name, inside = form.cleaned_data["name"], [tenant.pk for tenant in form.cleaned_data["members"]]
        if change:
            tenant_groups.change_group(obj.pk, name=name, tenant_ids=inside, actor=actor_of(request))
        else:
            obj.pk = tenant_groups.create_group(name=name, tenant_ids=inside, actor=actor_of(request)).pk

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name the group alone: its tenants stay, and one that gives somebody a role is not deleted."""
        words = _("%(group)s. Its tenants stay; a group that gives somebody a role is not deleted.")
        return [words % {"group": group} for group in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: TenantGroup) -> None:
        """Delete the group."""
        tenant_groups.delete_group(obj.pk, actor=actor_of(request))

    @admin.display(description=gettext_lazy("tenants"))
    def tenant_count(self, row: Any) -> str:
        """Show how many tenants are in it."""
        return labelled(_("Tenants"), row.tenants_in_it)
