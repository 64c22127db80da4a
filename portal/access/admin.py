"""Pages of the ground floors: tenants, people, memberships and the audit."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.display import NOTHING, badge, show_time
from portal.access.exceptions import Conflict
from portal.access.forms import NewUserForm, ProviderMembershipForm, TenantMembershipForm
from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Capability, Role
from portal.access.scoped_admin import BY_TENANT, ReadOnlyAdmin, ScopedAdmin, Section, actor_of
from portal.audit.models import AuditEvent
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant


@admin.register(Tenant)
class TenantAdmin(ReadOnlyAdmin):
    """The customers one has a role in."""

    menu_place = 40
    list_display = ("name", "slug", "entra_tenant_id", "isolation", "added")
    search_fields = ("name", "slug")
    empty_message = gettext_lazy("You have no role in any tenant yet.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Leave out the provider's own reserved tenant."""
        return super().get_queryset(request).exclude(pk=PROVIDER_TENANT_ID)

    def tenant_id_of(self, row: Any) -> Any:
        """Return the tenant itself."""
        return row.pk

    @admin.display(description=gettext_lazy("isolating a malicious device"))
    def isolation(self, row: Tenant) -> str:
        """Say what happens to a malicious device."""
        return _("Automatic in groups at Full") if row.device_isolation_is_automatic else _("Asks first")

    @admin.display(description=gettext_lazy("added"), ordering="created_at")
    def added(self, row: Tenant) -> str:
        """Show since when it is a customer here."""
        return show_time(row.created_at)

    def sections(self, request: HttpRequest, row: Tenant) -> Sequence[Section]:
        """Return who the tenant is."""
        facts = (
            (gettext_lazy("Short name"), row.slug),
            (gettext_lazy("Microsoft Entra tenant id"), row.entra_tenant_id),
            (gettext_lazy("Isolating a malicious device"), self.isolation(row)),
            (gettext_lazy("Added"), self.added(row)),
        )
        return [Section(gettext_lazy("Tenant"), facts)]


class ProviderStaffOnly(ScopedAdmin):
    """Pages for those who administer the provider over all tenants; a provider admin of one group is not enough."""

    view_capability = Capability.MANAGE_TENANTS

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person administers the provider."""
        return super().has_view_permission(request, obj) and _administers_all(request)

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        """Return whether the person administers the provider."""
        return super().has_add_permission(request) and _administers_all(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person administers the provider."""
        return super().has_change_permission(request, obj) and _administers_all(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the person administers the provider."""
        return super().has_delete_permission(request, obj) and _administers_all(request)


def _administers_all(request: HttpRequest) -> bool:
    if not hasattr(request, "administers_all"):
        request.administers_all = ProviderMembership.objects.filter(  # type: ignore[attr-defined]
            user_id=actor_of(request).id, role=Role.PROVIDER_ADMIN, reach=Reach.ALL
        ).exists()
    return bool(request.administers_all)  # type: ignore[attr-defined]


@admin.register(User)
class UserAdmin(ProviderStaffOnly):
    """All accounts, for those who administer the provider. Accounts are switched off, never deleted."""

    menu_place = 50
    add_capability = change_capability = Capability.MANAGE_TENANTS
    recorded_fields = ("email", "name", "is_active", "is_service_account")
    list_display = ("email", "name", "kind", "activity", "last_seen")
    list_filter = ("is_active", "is_service_account")
    search_fields = ("email", "name")
    fields = ("email", "name", "kind", "is_active", "last_seen")
    readonly_fields = ("email", "kind", "last_seen")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> type[ModelForm]:
        """Ask for a first password when the account is new."""
        if obj is None:
            options["form"] = NewUserForm
        return super().get_form(request, obj, change=change, **options)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new account, or shown of one."""
        return self.fields if obj else ("email", "name", "is_service_account", "password")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An e-mail is who somebody is: it is set once."""
        return self.readonly_fields if obj else ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters on the password's hash, which would tell it letter by letter."""
        return not lookup.startswith("password") and super().lookup_allowed(lookup, value, request)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        """Save the account; nobody switches off their own."""
        if change and not obj.is_active and obj.pk == actor_of(request).id:
            raise Conflict(_("You cannot switch off your own account; ask another provider admin."))
        super().save_model(request, obj, form, change)

    @admin.display(description=gettext_lazy("kind"), ordering="is_service_account")
    def kind(self, row: User) -> str:
        """Say whether it is a person's."""
        return _("Service account") if row.is_service_account else _("Person")

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def activity(self, row: User) -> str:
        """Say whether it can be used."""
        return badge(_("Active"), "good") if row.is_active else badge(_("Switched off"))

    @admin.display(description=gettext_lazy("last sign-in"), ordering="last_login")
    def last_seen(self, row: User) -> str:
        """Show when the person last signed in."""
        return show_time(row.last_login)


class MembershipAdmin(ScopedAdmin):
    """What both sorts of membership have in common: they are given and taken back, never edited."""

    list_select_related: ClassVar[tuple[str, ...]] = ("user",)
    search_fields = ("user__email",)
    list_filter: ClassVar[tuple[Any, ...]] = ("role",)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Take the role back; nobody locks themselves out."""
        if obj.user_id == actor_of(request).id:
            raise Conflict(_("You cannot take back your own role; ask another admin."))
        super().delete_model(request, obj)

    @admin.display(description=gettext_lazy("person"), ordering="user__email")
    def person(self, row: Any) -> str:
        """Name the person."""
        return str(row.user)


@admin.register(TenantMembership)
class TenantMembershipAdmin(MembershipAdmin):
    """Who has which role in a tenant; its admins give and take them."""

    menu_place = 51
    add_capability = delete_capability = Capability.MANAGE_MEMBERS
    view_capability = Capability.MANAGE_MEMBERS
    form = TenantMembershipForm
    recorded_fields = ("tenant_id", "user", "role")
    list_display = ("person", "tenant", "role")
    list_filter = (BY_TENANT, "role")
    list_select_related = ("user", "tenant")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return the memberships of the tenants whose members the person manages."""
        return super().get_queryset(request).filter(tenant__in=_managed(request))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the tenants whose members the person manages."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if db_field.name == "tenant":
            field.queryset = field.queryset.filter(pk__in=_managed(request))
        return field

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the roles a tenant can give."""
        if db_field.name == "role":
            options["choices"] = [choice for choice in Role.choices if choice[0] != Role.PROVIDER_ADMIN]
        return super().formfield_for_choice_field(db_field, request, **options)


def _managed(request: HttpRequest) -> list[Any]:
    held = actor_of(request).capabilities
    return [tenant_id for tenant_id, capabilities in held.items() if Capability.MANAGE_MEMBERS in capabilities]


@admin.register(ProviderMembership)
class ProviderMembershipAdmin(ProviderStaffOnly, MembershipAdmin):
    """The provider's own staff and how far each one's role reaches."""

    menu_place = 52
    add_capability = delete_capability = Capability.MANAGE_TENANTS
    form = ProviderMembershipForm
    recorded_fields = ("user", "role", "reach", "group")
    list_display = ("person", "role", "reach", "group")
    list_select_related = ("user", "group")


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Everything that happened, newest first."""

    menu_place = 60
    list_display = ("time", "verb", "object_type", "what", "actor_label", "tenant", "seq")
    list_display_links = ("verb",)
    list_filter = (BY_TENANT,)
    list_select_related = ("tenant",)
    search_fields = ("verb", "actor_label")
    sortable_by = ()

    @admin.display(description=gettext_lazy("time"))
    def time(self, row: AuditEvent) -> str:
        """Show when it happened."""
        return show_time(row.at)

    @admin.display(description=gettext_lazy("to what"))
    def what(self, row: AuditEvent) -> str:
        """Say what it happened to, in words where the event has them."""
        return str(row.data.get("target") or NOTHING)

    def sections(self, request: HttpRequest, row: AuditEvent) -> Sequence[Section]:
        """Return the event, and its values before and after."""
        facts = (
            (gettext_lazy("Time"), show_time(row.at)),
            (gettext_lazy("Tenant"), row.tenant),
            (gettext_lazy("Number"), row.seq),
            (gettext_lazy("By"), row.actor_label),
            (gettext_lazy("Object"), f"{row.object_type} {row.object_id}"),
        )
        details = [(name, _show(value)) for name, value in row.data.items() if name not in ("before", "after")]
        return [
            Section(gettext_lazy("Event"), facts),
            Section(
                gettext_lazy("Before and after"),
                (
                    (gettext_lazy("Before"), _show(row.data.get("before"))),
                    (gettext_lazy("After"), _show(row.data.get("after"))),
                ),
            ),
            Section(gettext_lazy("Details"), details),
        ]


def _show(value: Any) -> str:
    """Show a value of an event's details: its fields one a line, anything deeper as JSON."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, dict):
        return format_html_join("\n", "<div><b>{}</b> {}</div>", ((name, _show(part)) for name, part in value.items()))
    if isinstance(value, list):
        return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))
    return str(value)
