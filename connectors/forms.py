"""The form of a connection; a secret goes in and never comes out."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from connectors.certificates import MOST_CHARACTERS
from connectors.protocol import CAPABILITIES
from connectors.registry import CONNECTORS

CAPABILITY_LABELS = {"move_to_quarantine": _("Move mail to quarantine through the API")}


class ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """A connection, with a place for a new secret or certificate of its own app registration."""

    new_client_secret = forms.CharField(
        label=_("New client secret"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
        required=False,
        max_length=500,
        help_text=_("The secret of the tenant's own app registration. Leave it empty to keep the one that is set."),
    )
    new_client_certificate = forms.FileField(
        label=_("New certificate"),
        required=False,
        help_text=_(
            "A PEM file with the private key and the certificate that is registered with the tenant's own app "
            "registration. It takes the place of the secret; only its thumbprint and its last day are shown again."
        ),
    )
    capabilities = forms.MultipleChoiceField(
        label=_("What this tenant has"),
        choices=[(name, CAPABILITY_LABELS[name]) for name in CAPABILITIES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("What Microsoft does not offer every tenant. Without it a person does it in the Defender portal."),
    )
    kind = forms.ChoiceField(label=_("kind"), choices=[(name, name) for name in sorted(CONNECTORS)])

    def clean_new_client_certificate(self) -> str:
        """Return the text of the file, "" for none."""
        file = self.cleaned_data["new_client_certificate"]
        if file is None:
            return ""
        if file.size > MOST_CHARACTERS:
            raise ValidationError(_("The file is too large to be one private key and its certificate."))
        content: bytes = file.read()
        return content.decode("ascii", errors="replace")

    def clean(self) -> dict[str, Any] | None:
        """Take one new credential at a time."""
        cleaned = super().clean()
        if cleaned and cleaned.get("new_client_secret") and cleaned.get("new_client_certificate"):
            raise ValidationError(_("Give a new secret or a new certificate, not both."))
        return cleaned
