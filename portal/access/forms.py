"""The forms for tenants' groups, people, their memberships, and keys. What they ask is checked by the services."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.keys import LONGEST_LIFE
from portal.access.memberships import TENANT_ROLES
from portal.access.models import ProviderMembership, Reach, ServiceAccount, TenantMembership, User
from portal.access.roles import Capability
from portal.access.service_accounts import MOST_HOURS_BESIDE, accounts_of
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant, TenantGroup

KEY_ROLES = [("", gettext_lazy("as its account")), *((role.value, role.label) for role in TENANT_ROLES)]


class NewPersonForm(forms.ModelForm):
    """A new account. The person chooses the password, by a link they get by e-mail."""

    class Meta:
        model = User
        fields = ("email", "name")
        help_texts = {"email": gettext_lazy("An e-mail with a link to choose a password goes there.")}


class SearchableSelect(FilteredSelectMultiple):
    """The admin's two lists with a search; its script expects an element of the widget's own around it."""

    template_name = "admin/searchable_select.html"


class TenantForm(forms.ModelForm):
    """A tenant: who it is here and at Microsoft."""

    class Meta:
        model = Tenant
        fields = ("name", "slug", "entra_tenant_id", "device_isolation_is_automatic")
        error_messages = {
            "slug": {
                "invalid": gettext_lazy("Use letters without accents, numbers, hyphens and underscores, no spaces.")
            },
            "entra_tenant_id": {
                "invalid": gettext_lazy(
                    "Write it like 7b1c2f52-6d0e-4c39-9a55-21f0c9a4d101; Entra shows it as tenant ID."
                )
            },
        }


class TenantGroupForm(forms.ModelForm):
    """A group's name and the tenants in it."""

    members = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Tenants"),
        queryset=Tenant.objects.exclude(pk=PROVIDER_TENANT_ID),
        widget=SearchableSelect(gettext_lazy("tenants"), is_stacked=False),
        required=False,
        help_text=gettext_lazy("Staff with a role over the group have it in these tenants, from their next request."),
    )

    class Meta:
        model = TenantGroup
        fields = ("name",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk and not self.instance._state.adding:
            self.initial["members"] = [tenant.pk for tenant in self.instance.tenants.all()]


class TenantMembershipForm(forms.ModelForm):
    """A role for somebody in a tenant, named by e-mail, so that no form lists everybody's people."""

    email = forms.EmailField(
        label=gettext_lazy("E-mail"),
        max_length=254,
        help_text=gettext_lazy("Whoever has no account yet gets one, and an e-mail that says how to sign in."),
    )

    class Meta:
        model = TenantMembership
        fields = ("tenant", "role")


class ProviderMembershipForm(forms.ModelForm):
    """A role for provider staff over a group or all tenants."""

    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254)

    class Meta:
        model = ProviderMembership
        fields = ("role", "reach", "group")
        help_texts = {"group": gettext_lazy("Only where the role reaches one tenant group.")}

    def clean(self) -> None:
        """Say beside the field what the table would refuse in its own words."""
        super().clean()
        reach, group = self.cleaned_data.get("reach"), self.cleaned_data.get("group")
        if reach == Reach.GROUP and group is None:
            self.add_error("group", gettext_lazy("Choose the tenant group that the role reaches."))
        if reach == Reach.ALL and group is not None:
            self.add_error(
                "group", gettext_lazy("A role over all tenants has no group: choose none, or another reach.")
            )


class ServiceAccountForm(forms.ModelForm):
    """A service account: a tenant's, with its role there, or the provider's."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=[("", "---------"), *((role.value, role.label) for role in TENANT_ROLES)],
        required=False,
        help_text=gettext_lazy(
            "In the tenant it belongs to. Whatever the role, a key can request actions and never approve them. "
            "The provider's accounts get their roles as memberships."
        ),
    )

    class Meta:
        model = ServiceAccount
        fields = ("name", "belongs_to")


class ApiKeyForm(forms.Form):
    """For which account, for how long, and what it is held to."""

    user = forms.ModelChoiceField(label=gettext_lazy("Service account"), queryset=ServiceAccount.objects.none())
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("What it is for, such as “ticket system”.")
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days it lives"),
        min_value=1,
        max_value=LONGEST_LIFE.days,
        initial=LONGEST_LIFE.days,
        help_text=gettext_lazy("At most 90."),
    )
    role = forms.ChoiceField(label=gettext_lazy("At most the role"), choices=KEY_ROLES, required=False)
    tenants = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Only for the tenants"),
        queryset=Tenant.objects.none(),
        required=False,
        help_text=gettext_lazy("None chosen: all that its account has a role in."),
    )
    networks = forms.CharField(
        label=gettext_lazy("Only from the networks"),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        required=False,
        help_text=gettext_lazy("One a line, such as 192.0.2.0/24 or 2001:db8::7. None: from anywhere."),
    )

    def __init__(self, *args: Any, actor: Actor, **options: Any) -> None:
        super().__init__(*args, **options)
        reached = {*actor.tenants_where(Capability.MANAGE_MEMBERS), *actor.tenants_where(Capability.MANAGE_TENANTS)}
        self.fields["user"].queryset = accounts_of(actor).filter(is_active=True)  # type: ignore[attr-defined]
        self.fields["tenants"].queryset = Tenant.objects.filter(pk__in=reached)  # type: ignore[attr-defined]


class RotationForm(forms.Form):
    """How long the new key lives, and the old one beside it."""

    hours = forms.IntegerField(
        label=gettext_lazy("Hours the old key works on"),
        min_value=0,
        max_value=MOST_HOURS_BESIDE,
        initial=24,
        help_text=gettext_lazy("0: not at all. At most 168, a week."),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days the new key lives"),
        min_value=1,
        max_value=LONGEST_LIFE.days,
        initial=LONGEST_LIFE.days,
    )
