"""The pages of service accounts and their API keys. A key's text is in one answer, never in a message or session."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from portal.access import service_accounts
from portal.access.admin.staff_only import administers_provider
from portal.access.display import NOTHING, badge, labelled, link_to, show_age, show_time
from portal.access.exceptions import Refusal
from portal.access.forms import ApiKeyForm, RotationForm, ServiceAccountForm
from portal.access.keys import KeyLimits
from portal.access.models import ApiKey, ServiceAccount
from portal.access.roles import Capability, Role
from portal.access.scoped_admin import actor_of
from portal.access.verb_admin import Verb, VerbAdmin
from portal.tenancy.models import Tenant

DEACTIVATE = Verb(
    name="deactivate",
    button=gettext_lazy("Switch the account off"),
    effect=gettext_lazy("All keys of %(row)s are refused from the next request on. They can be used again later."),
    done=gettext_lazy("%(row)s is switched off."),
    run=lambda row, actor: service_accounts.deactivate_account(row.pk, actor=actor),
    is_offered=lambda row: row.is_active,
)
REACTIVATE = Verb(
    name="reactivate",
    button=gettext_lazy("Switch the account on"),
    effect=gettext_lazy("Keys of %(row)s that were not revoked and have not expired work again."),
    done=gettext_lazy("%(row)s is switched on."),
    run=lambda row, actor: service_accounts.reactivate_account(row.pk, actor=actor),
    is_offered=lambda row: not row.is_active,
    tone="approve",
)
REVOKE = Verb(
    name="revoke",
    button=gettext_lazy("Revoke the key"),
    effect=gettext_lazy("Requests with %(row)s are refused from the next one on. It cannot be undone."),
    done=gettext_lazy("%(row)s is revoked."),
    run=lambda row, actor: service_accounts.revoke_key(row.pk, actor=actor),
    is_offered=lambda row: _works(row),
)
ROTATE = Verb(
    name="rotate",
    button=gettext_lazy("Rotate the key"),
    effect=gettext_lazy(
        "You get a new key, held to the same as %(row)s. The old one works on for as long as you say, so that you can "
        "put the new one in its place."
    ),
    done="",
    run=lambda row, actor: None,
    is_offered=lambda row: _works(row),
    tone="approve",
)


class ManagedAdmin(VerbAdmin):
    """Rows of service accounts, for those who manage the tenant's members, or administer the provider."""

    view_capability = Capability.MANAGE_MEMBERS

    def _may(self, request: HttpRequest, capability: Capability | None, row: Any) -> bool:
        may = administers_provider(request) or super()._may(request, Capability.MANAGE_MEMBERS, None)
        return capability is not None and may  # which rows those are for is `get_queryset`'s to say, and the service's


@admin.register(ServiceAccount)
class ServiceAccountAdmin(ManagedAdmin):
    """The accounts other systems use. They have no password; API keys act for them."""

    menu_place = 53
    add_capability = change_capability = Capability.MANAGE_MEMBERS
    add_takes_second_factor = True
    verbs = (DEACTIVATE, REACTIVATE)
    list_display = ("name", "owner", "activity", "email", "keys")
    list_filter = ("is_active",)
    search_fields = ("name", "email")
    fields = ("name", "email", "owner", "activity")
    readonly_fields = fields
    empty_message = gettext_lazy("No service accounts yet. Other systems need one, and an API key, to use Quell.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return the accounts the person manages, with how many of their keys work."""
        working = models.Q(api_keys__revoked_at=None, api_keys__expires_at__gt=timezone.now())
        accounts = service_accounts.accounts_of(actor_of(request)).select_related("belongs_to")
        return accounts.annotate(working_keys=models.Count("api_keys", filter=working))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> type[ModelForm]:
        """Ask for name, tenant and role when the account is new."""
        if obj is None:
            options["form"] = ServiceAccountForm
        return super().get_form(request, obj, change=change, **options)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what is asked for a new account, or shown of one."""
        return self.fields if obj else ("name", "belongs_to", "role")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whose an account is stays."""
        return self.readonly_fields if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the tenants whose members the person manages; only provider admins make accounts of none."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if db_field.name == "belongs_to":
            actor = actor_of(request)
            field.queryset = Tenant.objects.filter(pk__in=actor.tenants_where(Capability.MANAGE_MEMBERS))
            field.required = not actor.administers_provider
            field.empty_label = _("The provider") if actor.administers_provider else field.empty_label
        return field

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Lead on to the account's keys."""
        if account := kwargs.get("obj"):
            keys = reverse("admin:access_apikey_changelist")
            make = reverse("admin:access_apikey_add")
            context["offered_links"] = [
                (_("Make a key"), f"{make}?user={account.pk}"),
                (_("Its keys"), f"{keys}?user__id__exact={account.pk}"),
            ]
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: ServiceAccount, form: ModelForm, change: bool) -> None:
        """Make the account."""
        role = form.cleaned_data["role"]
        made = service_accounts.create_account(
            tenant=form.cleaned_data["belongs_to"],
            name=form.cleaned_data["name"],
            role=Role(role) if role else None,
            actor=actor_of(request),
        )
        obj.pk, obj.email = made.pk, made.email

    @admin.display(description=gettext_lazy("belongs to"), ordering="belongs_to__name")
    def owner(self, row: ServiceAccount) -> str:
        """Name the tenant, or the provider."""
        return str(row.belongs_to or _("The provider"))

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def activity(self, row: ServiceAccount) -> str:
        """Say whether its keys work."""
        return badge(_("Active"), "good") if row.is_active else badge(_("Switched off"))

    @admin.display(description=gettext_lazy("working keys"))
    def keys(self, row: Any) -> str:
        """Show how many keys work."""
        return labelled(_("Working keys"), row.working_keys)


@admin.register(ApiKey)
class ApiKeyAdmin(ManagedAdmin):
    """API keys: made, rotated and revoked, never edited."""

    menu_place = 54
    add_capability = Capability.MANAGE_MEMBERS
    verbs = (ROTATE, REVOKE)
    list_display = ("__str__", "account", "state", "expires", "used", "limits")
    list_filter = (("user", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("name", "prefix", "user__email", "user__name")
    fields = (
        "name", "prefix", "account", "state", "limits", "only_for", "expires", "used", "used_from", "refused",
        "made", "revoked",
    )  # fmt: skip
    readonly_fields = fields
    empty_message = gettext_lazy("No API keys yet. Make one for a service account.")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return the keys of the accounts the person manages."""
        return service_accounts.keys_of(actor_of(request))

    def may_use_verbs(self, request: HttpRequest, row: Any) -> bool:
        """Keys are rotated and revoked by those who make them."""
        return self.has_add_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """Give rotating a page of its own: it asks for how long, and shows the new key."""
        rotate = path(
            "<path:object_id>/rotate/", self.admin_site.admin_view(self.rotate_view), name=self._url_name("rotate")
        )
        return [rotate, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask for whom and how far; then show the key, once."""
        if not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        actor_of(request).require_second_factor()
        form = ApiKeyForm(request.POST or None, actor=actor_of(request), initial={"user": request.GET.get("user")})
        if request.method == "POST" and form.is_valid():
            try:
                return self._in_scope(lambda: self._make(request, form.cleaned_data))
            except Refusal as refusal:
                form.add_error(None, str(refusal))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Make an API key"),
            "opts": self.opts,
            "form": form,
        }
        return TemplateResponse(request, "admin/key_form.html", context)

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for how long; then show the new key, once."""
        row = self.row_for_verb(request, object_id)
        form = RotationForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return self._or_told(request, lambda: self._rotate(request, row, form.cleaned_data))
        context = {**self.verb_context(request, ROTATE, row), "form": form}
        return TemplateResponse(request, self.verb_template, context)

    def _make(self, request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
        limits = KeyLimits(
            role=Role(given["role"]) if given["role"] else None,
            tenant_ids=[tenant.pk for tenant in given["tenants"]] or None,
            networks=given["networks"].split(),
        )
        key, text = service_accounts.make_key(
            given["user"].pk,
            name=given["name"],
            lifetime=timedelta(days=given["days"]),
            limits=limits,
            actor=actor_of(request),
        )
        return self._show_once(request, key, text, "")

    def _rotate(self, request: HttpRequest, row: ApiKey, given: dict[str, Any]) -> HttpResponse:
        key, text = service_accounts.rotate_key(
            row.pk,
            hours_beside=given["hours"],
            lifetime=timedelta(days=given["days"]),
            actor=actor_of(request),
        )
        words = ngettext(
            "The old key works for one more hour at most.",
            "The old key works for %(hours)d more hours at most.",
            given["hours"],
        )
        beside = words % {"hours": given["hours"]} if given["hours"] else _("The old key no longer works.")
        return self._show_once(request, key, text, beside)

    def _show_once(self, request: HttpRequest, key: ApiKey, text: str, beside: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new key"),
            "opts": self.opts,
            "original": key,
            "text": text,
            "beside": beside,
        }
        page = TemplateResponse(request, "admin/key_made.html", context)
        add_never_cache_headers(page)
        return page

    @admin.display(description=gettext_lazy("service account"), ordering="user__name")
    def account(self, row: ApiKey) -> str:
        """Name the account and lead to it."""
        return link_to("access_serviceaccount", row.user_id, row.user.name or row.user)

    @admin.display(description=gettext_lazy("made"))
    def made(self, row: ApiKey) -> str:
        """Show when it was made and by whom."""
        return format_html("{} {}", show_time(row.created_at), row.created_by or "")

    @admin.display(description=gettext_lazy("revoked"))
    def revoked(self, row: ApiKey) -> str:
        """Show when it was revoked and by whom."""
        return format_html("{} {}", show_time(row.revoked_at), row.revoked_by or "")

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: ApiKey) -> str:
        """Say whether it works."""
        if row.revoked_at is not None:
            return badge(_("Revoked"), "bad")
        if row.expires_at <= timezone.now():
            return badge(_("Expired"))
        return badge(_("Works"), "good") if row.user.is_active else badge(_("Account is off"))

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at")
    def expires(self, row: ApiKey) -> str:
        """Show when it ends."""
        return labelled(_("Expires"), show_age(row.expires_at))

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def used(self, row: ApiKey) -> str:
        """Show when it was last used, to the minute."""
        return labelled(_("Last used"), show_age(row.last_used_at))

    @admin.display(description=gettext_lazy("last used from"))
    def used_from(self, row: ApiKey) -> str:
        """Show from where it was last used."""
        return row.last_used_address or NOTHING

    @admin.display(description=gettext_lazy("last refused"))
    def refused(self, row: ApiKey) -> str:
        """Show when it was last refused, expired or from elsewhere; the audit has each."""
        return show_time(row.last_refused_at)

    @admin.display(description=gettext_lazy("only for the tenants"))
    def only_for(self, row: ApiKey) -> str:
        """Name the tenants it is held to."""
        return ", ".join(map(str, Tenant.objects.filter(pk__in=row.tenant_ids or ()))) or NOTHING

    @admin.display(description=gettext_lazy("held to"))
    def limits(self, row: ApiKey) -> str:
        """Say what the key is held to besides what its account may."""
        said = [str(Role(row.role).label)] if row.role else []
        if row.tenant_ids is not None:
            count = len(row.tenant_ids)
            said.append(ngettext("%(count)d tenant", "%(count)d tenants", count) % {"count": count})
        return labelled(_("Held to"), "; ".join([*said, *row.networks]) or _("all its account may"))


def _works(row: ApiKey) -> bool:
    return row.revoked_at is None and row.expires_at > timezone.now()
