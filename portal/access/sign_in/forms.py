"""The forms of sign-in that differ from django-allauth's: codes that count once, resets by our own accounts."""

from typing import Any

from allauth.account.forms import ResetPasswordForm
from allauth.core import context
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, BaseAuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm
from django import forms
from django.core.cache import cache
from django.utils.translation import gettext_lazy

from portal.access.models import User
from portal.access.sign_in.history import tell


def use_up(user: User, code: str) -> bool:
    """Return whether a code is used for the first time, and remember it for as long as it would be taken.

    The library forgets after one period; a code lives longer when clocks may differ by a step (RFC 6238, 5.2).
    """
    periods = 2 * app_settings.TOTP_TOLERANCE + 1
    key = f"sign_in:used_code:{user.pk}:{''.join(filter(str.isalnum, code))}"
    return bool(cache.add(key, "1", periods * app_settings.TOTP_PERIOD))


class SingleUseCode(BaseAuthenticateForm):
    """A code from an app, or a recovery code: good once. Refusals and used recovery codes go on record."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["code"].widget.attrs |= {"autofocus": True, "inputmode": "numeric"}

    def clean_code(self) -> str:
        """Return the code. Raises ValidationError for one that is wrong or was used."""
        code: str = super().clean_code()
        if self.authenticator.type == Authenticator.Type.TOTP and not use_up(self.user, code):
            self._emit_authentication_failed(self.authenticator)
            raise get_adapter().validation_error("incorrect_code")
        return code

    def save(self) -> None:
        """Count the code as shown."""
        super().save()
        if self.authenticator.type == Authenticator.Type.RECOVERY_CODES:
            tell(context.request, self.user, "recovery_code.used")

    def _emit_authentication_failed(self, authenticator: Authenticator) -> None:
        tell(context.request, self.user, "second_factor.refused", kind="code")


class SignInCodeForm(SingleUseCode, AuthenticateForm):
    """The code asked for after the password."""


class ConfirmCodeForm(SingleUseCode, ReauthenticateForm):
    """The code asked for again, before something grave."""


class NewAppForm(ActivateTOTPForm):
    """The first code of a new app; it has then been used."""

    def clean_code(self) -> str:
        """Return the code. Raises ValidationError for a wrong one."""
        code: str = super().clean_code()
        use_up(self.user, code)
        return code


class RecordedKey(AuthenticateWebAuthnForm):
    """A security key's answer; refusals go on record."""

    def clean_credential(self) -> Authenticator:
        """Return whose key it is. Raises ValidationError for an answer that is not right."""
        try:
            return super().clean_credential()
        except forms.ValidationError:
            tell(context.request, self.user, "second_factor.refused", kind="security key")
            raise


class SignInKeyForm(RecordedKey):
    """The security key asked for after the password."""


class ConfirmKeyForm(RecordedKey, ReauthenticateWebAuthnForm):
    """The security key asked for again."""


class ResetForm(ResetPasswordForm):
    """Asks for a message to choose a new password; it goes to active people who have one, and says nothing else."""

    def clean_email(self) -> str:
        """Find the account, whatever the case of its address, and return the address as the account has it.

        PostgreSQL takes a dotless i for an i, so what was typed may be somebody else's address (CVE-2019-19844).
        """
        email: str = self.cleaned_data["email"]
        found = User.objects.filter(email__iexact=email, is_active=True, is_service_account=False)
        same = (user for user in found if user.email.lower() == email.lower())
        self.users = [user for user in same if user.has_usable_password()]
        return self.users[0].email if self.users else email


class OrganisationForm(forms.Form):
    """Which organisation somebody belongs to."""

    short_name = forms.SlugField(
        label=gettext_lazy("Short name of your organisation"),
        max_length=50,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "spellcheck": "false"}),
    )

    def clean_short_name(self) -> str:
        """Take it in any case."""
        name: str = self.cleaned_data["short_name"]
        return name.lower()


class SignOutEverywhereForm(forms.Form):
    """The password once more, by those who have one."""

    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        if not user.has_usable_password():
            del self.fields["password"]
