"""The forms for people and their memberships."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.models import ProviderMembership, TenantMembership, User


class NewUserForm(forms.ModelForm):
    """A new account: a person with a first password, or a service account, which has none."""

    password = forms.CharField(
        label=gettext_lazy("First password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
        required=False,
        strip=False,
        help_text=gettext_lazy("At least 15 characters. Leave it empty for a service account."),
    )

    class Meta:
        model = User
        fields = ("email", "name", "is_service_account")

    def clean(self) -> dict[str, Any]:
        """Refuse a person without a password and a service account with one."""
        values = super().clean() or {}
        password, is_service = values.get("password", ""), values.get("is_service_account")
        if is_service and password:
            self.add_error("password", _("A service account signs its requests with API keys and has no password."))
        elif not is_service and not password:
            self.add_error("password", _("A person needs a first password."))
        elif password:
            try:
                validate_password(password, User(email=values.get("email", ""), name=values.get("name", "")))
            except forms.ValidationError as error:
                self.add_error("password", error)
        return values

    def save(self, commit: bool = True) -> User:
        """Set the password; the account of nobody in particular gets one that no text matches."""
        self.instance.set_password(self.cleaned_data["password"] or None)
        saved: User = super().save(commit)
        return saved


class PersonField(forms.EmailField):
    """Somebody who has an account, named by e-mail, so that no form lists everybody's people."""

    def clean(self, value: Any) -> User:
        """Return the account. Raises ValidationError for an address without an active one."""
        email = super().clean(value)
        user = User.objects.filter(email__iexact=email, is_active=True).first()
        if user is None:
            raise forms.ValidationError(_("There is no active account with this e-mail; your provider creates it."))
        return user


class TenantMembershipForm(forms.ModelForm):
    """A role for somebody in a tenant."""

    user = PersonField(label=gettext_lazy("E-mail"))

    class Meta:
        model = TenantMembership
        fields = ("tenant", "user", "role")


class ProviderMembershipForm(forms.ModelForm):
    """A role for provider staff over a group or all tenants."""

    user = PersonField(label=gettext_lazy("E-mail"))

    class Meta:
        model = ProviderMembership
        fields = ("user", "role", "reach", "group")
