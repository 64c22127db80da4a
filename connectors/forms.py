"""The form of a connection; a secret goes in and never comes out."""

from django import forms
from django.utils.translation import gettext_lazy as _

from connectors.registry import CONNECTORS


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """A connection, with a place for a new secret of its own app registration."""

    new_client_secret = forms.CharField(
        label=_("New client secret"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
        required=False,
        max_length=500,
        help_text=_("The secret of the tenant's own app registration. Leave it empty to keep the one that is set."),
    )
    kind = forms.ChoiceField(label=_("kind"), choices=[(name, name) for name in sorted(CONNECTORS)])
