"""The page of identity providers. A client secret goes in here and never comes out."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from portal.access.display import badge
from portal.access.roles import Capability
from portal.access.scoped_admin import BY_TENANT, ScopedAdmin, actor_of
from portal.access.sign_in.identity_providers import Wanted, delete_identity_provider, save_identity_provider
from portal.access.sign_in.models import IdentityProvider
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant


class IdentityProviderForm(forms.ModelForm):
    """An identity provider, with a place for a secret that is never shown."""

    issuer = forms.URLField(
        label=gettext_lazy("Issuer"),
        max_length=500,
        assume_scheme="https",
        help_text=gettext_lazy("As the ID tokens say it, such as https://login.microsoftonline.com/TENANT-ID/v2.0"),
    )
    client_secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("It is kept sealed and never shown. Leave it empty to keep the one there is."),
    )

    class Meta:
        model = IdentityProvider
        fields = ("tenant", "issuer", "client_id", "entra_tenant_id", "is_enabled")


@admin.register(IdentityProvider)
class IdentityProviderAdmin(ScopedAdmin):
    """Where the people of a tenant sign in; its admins and provider admins say so, with a fresh second factor."""

    menu_place = 55
    view_capability = add_capability = change_capability = delete_capability = Capability.MANAGE_CONNECTIONS
    add_takes_second_factor = True
    form = IdentityProviderForm
    fields = ("tenant", "issuer", "client_id", "client_secret", "entra_tenant_id", "is_enabled")
    list_display = ("tenant", "issuer", "client_id", "use")
    list_filter = (BY_TENANT,)
    list_select_related = ("tenant",)
    empty_message = gettext_lazy("Nobody signs in with their organisation yet.")

    def tenant_id_of(self, row: Any) -> Any:
        """Return whose sign-in it is; of the provider's own, nobody's, which asks for the capability anywhere."""
        return None if row.tenant_id == PROVIDER_TENANT_ID else row.tenant_id

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return those of the tenants whose connections the person manages."""
        return super().get_queryset(request).filter(tenant__in=_managed(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A tenant's sign-in stays that tenant's."""
        return ("tenant",) if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the tenants whose connections the person manages, and the provider itself to provider admins."""
        field = super().formfield_for_foreignkey(db_field, request, **options)
        if db_field.name == "tenant":
            field.queryset = Tenant.objects.filter(pk__in=_managed(request))
        return field

    def save_model(self, request: HttpRequest, obj: IdentityProvider, form: ModelForm, change: bool) -> None:
        """Save it by the service, which asks for the rights and a fresh second factor, and records it."""
        values = form.cleaned_data
        wanted = Wanted(
            issuer=values["issuer"],
            client_id=values["client_id"],
            client_secret=values["client_secret"],
            entra_tenant_id=values["entra_tenant_id"],
            is_enabled=values["is_enabled"],
        )
        obj.pk = save_identity_provider(obj.tenant_id, wanted, actor=actor_of(request)).pk

    def delete_model(self, request: HttpRequest, obj: IdentityProvider) -> None:
        """Delete it by the service."""
        delete_identity_provider(obj, actor=actor_of(request))

    @admin.display(description=gettext_lazy("in use"), ordering="is_enabled")
    def use(self, row: IdentityProvider) -> str:
        """Say whether people can sign in with it."""
        return badge(gettext_lazy("Enabled"), "good") if row.is_enabled else badge(gettext_lazy("Switched off"))


def _managed(request: HttpRequest) -> list[Any]:
    actor = actor_of(request)
    managed = [tenant for tenant, held in actor.capabilities.items() if Capability.MANAGE_CONNECTIONS in held]
    return managed + ([PROVIDER_TENANT_ID] if actor.may_anywhere(Capability.MANAGE_TENANTS) else [])
