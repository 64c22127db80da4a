"""The pages of people and of the roles they have."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access import invitations, memberships, people
from portal.access.admin.staff_only import ProviderStaffOnly
from portal.access.display import NOTHING, badge, labelled, show_time
from portal.access.forms import NewPersonForm, ProviderMembershipForm, TenantMembershipForm
from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Capability, Role
from portal.access.scoped_admin import BY_TENANT, ScopedAdmin, actor_of
from portal.access.verb_admin import Verb, VerbAdmin

DEACTIVATE = Verb(
    name="deactivate",
    button=gettext_lazy("Switch the account off"),
    effect=gettext_lazy(
        "%(row)s is turned away from the next request on and can no longer sign in. Approvals they gave no longer "
        "count, so what has not been sent waits or lapses. The roles stay for when the account is switched on again."
    ),
    done=gettext_lazy("%(row)s is switched off."),
    run=lambda row, actor: people.deactivate_person(row.pk, actor=actor),
    is_offered=lambda row: row.is_active,
)
REACTIVATE = Verb(
    name="reactivate",
    button=gettext_lazy("Switch the account on"),
    effect=gettext_lazy("%(row)s can sign in again, with all the roles the account has now."),
    done=gettext_lazy("%(row)s is switched on."),
    run=lambda row, actor: people.reactivate_person(row.pk, actor=actor),
    is_offered=lambda row: not row.is_active,
    tone="approve",
)
INVITE = Verb(
    name="invite",
    button=gettext_lazy("Invite again"),
    effect=gettext_lazy("%(row)s gets a new e-mail with a link to choose a password. The link works for three days."),
    done=gettext_lazy("%(row)s will get a new e-mail."),
    run=lambda row, actor: people.invite_again(row.pk, actor=actor),
    is_offered=invitations.is_waiting,
    tone="approve",
)


@admin.register(User)
class UserAdmin(ProviderStaffOnly, VerbAdmin):
    """All people's accounts, for those who administer the provider. Accounts are switched off, never deleted."""

    menu_place = 50
    add_capability = change_capability = Capability.MANAGE_TENANTS
    add_takes_second_factor = True
    verbs = (INVITE, DEACTIVATE, REACTIVATE)
    list_display = ("email", "name", "activity", "last_seen")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    fields = ("email", "name", "activity", "invited", "last_seen")
    readonly_fields = ("email", "activity", "invited", "last_seen")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Leave service accounts to their own page."""
        return super().get_queryset(request).filter(is_service_account=False).select_related("invitation")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> type[ModelForm]:
        """Ask for e-mail and name when the account is new."""
        if obj is None:
            options["form"] = NewPersonForm
        return super().get_form(request, obj, change=change, **options)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new account, or shown of one."""
        return self.fields if obj else ("email", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An e-mail is who somebody is: it is set once."""
        return self.readonly_fields if obj else ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters on the password's hash, which would tell it letter by letter."""
        return not lookup.startswith("password") and super().lookup_allowed(lookup, value, request)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        """Make the account and have its person told, or change its name."""
        name, actor = form.cleaned_data["name"], actor_of(request)
        if change:
            people.rename_person(obj.pk, name=name, actor=actor)
        else:
            obj.pk = people.create_person(email=form.cleaned_data["email"], name=name, actor=actor).pk

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def activity(self, row: User) -> str:
        """Say whether it can be used."""
        if not row.is_active:
            return badge(_("Switched off"))
        return badge(_("Invited"), "waiting") if invitations.is_waiting(row) else badge(_("Active"), "good")

    @admin.display(description=gettext_lazy("last sign-in"), ordering="last_login")
    def last_seen(self, row: User) -> str:
        """Show when the person last signed in."""
        return labelled(_("Last sign-in"), show_time(row.last_login))

    @admin.display(description=gettext_lazy("invitation"))
    def invited(self, row: User) -> str:
        """Show when the e-mail that says how to sign in was sent."""
        invitation = getattr(row, "invitation", None)
        if invitation is None:
            return NOTHING
        if invitation.sent_at is None:
            return badge(_("Not sent yet"), "waiting")
        return show_time(invitation.sent_at)


class MembershipAdmin(ScopedAdmin):
    """What both sorts of membership have in common: they are given and taken back, never edited."""

    add_takes_second_factor = True
    list_select_related: ClassVar[tuple[str, ...]] = ("user",)
    search_fields = ("user__email",)
    list_filter: ClassVar[tuple[Any, ...]] = ("role",)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Say whose role it is and what taking it back does."""
        words = _("%(person)s: %(role)s. They lose it from their next request on.")
        return [words % {"person": row.user, "role": row} for row in objs], {}, set(), []

    @admin.display(description=gettext_lazy("person"), ordering="user__email")
    def person(self, row: Any) -> str:
        """Name the person."""
        return str(row.user)


@admin.register(TenantMembership)
class TenantMembershipAdmin(MembershipAdmin):
    """Who has which role in a tenant; its admins give and take them."""

    menu_place = 51
    add_capability = delete_capability = view_capability = Capability.MANAGE_MEMBERS
    form = TenantMembershipForm
    fields = ("tenant", "email", "role")
    list_display = ("person", "tenant", "role")
    list_filter = (BY_TENANT, "role")
    list_select_related = ("user", "tenant")
    empty_message = gettext_lazy("Nobody has a role in your tenants yet.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return the memberships of the tenants whose members the person manages."""
        managed = actor_of(request).tenants_where(Capability.MANAGE_MEMBERS)
        return super().get_queryset(request).filter(tenant__in=managed)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Ask for an e-mail; show a person."""
        return ("tenant", "person", "role") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A role is given and taken back, never edited."""
        return ("tenant", "person", "role") if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the tenants whose members the person manages."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if db_field.name == "tenant":
            field.queryset = field.queryset.filter(pk__in=actor_of(request).tenants_where(Capability.MANAGE_MEMBERS))
        return field

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the roles the person can give in some tenant; whether in this one is asked when it is given."""
        if db_field.name == "role":
            actor = actor_of(request)
            offered = {
                role
                for tenant_id in actor.tenants_where(Capability.MANAGE_MEMBERS)
                for role in memberships.roles_to_give(actor, tenant_id)
            }
            options["choices"] = [choice for choice in Role.choices if choice[0] in offered]
        return super().formfield_for_choice_field(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: TenantMembership, form: ModelForm, change: bool) -> None:
        """Give the role; who has no account is invited, and the answer is the same."""
        given = memberships.give_role(
            tenant_id=form.cleaned_data["tenant"].pk,
            email=form.cleaned_data["email"],
            role=Role(form.cleaned_data["role"]),
            actor=actor_of(request),
        )
        obj.pk = given.pk

    def delete_model(self, request: HttpRequest, obj: TenantMembership) -> None:
        """Take the role back; nobody locks themselves out."""
        memberships.take_role(obj.pk, actor=actor_of(request))


@admin.register(ProviderMembership)
class ProviderMembershipAdmin(ProviderStaffOnly, MembershipAdmin):
    """The provider's own staff and how far each one's role reaches."""

    menu_place = 52
    add_capability = delete_capability = Capability.MANAGE_TENANTS
    form = ProviderMembershipForm
    fields = ("email", "role", "reach", "group")
    list_display = ("person", "role", "reach", "group")
    list_filter = ("role", "reach")
    list_select_related = ("user", "group")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Ask for an e-mail; show a person."""
        return ("person", "role", "reach", "group") if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A role is given and taken back, never edited."""
        return ("person", "role", "reach", "group") if obj else ()

    def save_model(self, request: HttpRequest, obj: ProviderMembership, form: ModelForm, change: bool) -> None:
        """Give the role."""
        given = memberships.give_provider_role(
            email=form.cleaned_data["email"],
            role=Role(form.cleaned_data["role"]),
            reach=Reach(form.cleaned_data["reach"]),
            group=form.cleaned_data["group"],
            actor=actor_of(request),
        )
        obj.pk = given.pk

    def delete_model(self, request: HttpRequest, obj: ProviderMembership) -> None:
        """Take the role back; the last provider admin stays one."""
        memberships.take_provider_role(obj.pk, actor=actor_of(request))
