"""The form of a channel; its address goes in and never comes out."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from connectors.outbound.addresses import LONGEST_URL, read_url
from connectors.outbound.models import Channel
from connectors.outbound.states import ChannelKind, Event


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """A channel, with a place for a new address."""

    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=Event.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What this channel is told of."),
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES, initial=settings.LANGUAGE_CODE)
    emails = forms.CharField(
        label=_("E-mail addresses"),
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text=_("For e-mail alone: one address a line."),
    )
    new_url = forms.CharField(
        label=_("New address"),
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vLargeTextField"}, render_value=False),
        required=False,
        max_length=LONGEST_URL,
        help_text=_(
            "For Teams, Slack and webhooks: the https address they gave you. Only its host is shown again. Leave it "
            "empty to keep the one that is set."
        ),
    )

    class Meta:
        model = Channel
        fields = ("tenant", "kind", "name", "is_on", "events", "language", "emails")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["emails"] = "\n".join(self.instance.emails)
        if self.instance._state.adding and "new_url" in self.fields:
            self.fields["new_url"].help_text = _(
                "For Teams, Slack and webhooks: the https address they gave you. Only its host is shown again."
            )

    def clean_emails(self) -> list[str]:
        """Return the addresses, each once."""
        found = list(dict.fromkeys(self.cleaned_data["emails"].replace(",", " ").split()))
        for address in found:
            validate_email(address)
        return found

    def clean_new_url(self) -> str:
        """Return the address, "" for none."""
        text: str = self.cleaned_data["new_url"]
        if text:
            try:
                read_url(text)
            except ValueError as error:
                raise ValidationError(str(error)) from None
        return text

    def clean(self) -> dict[str, Any] | None:
        """Ask for what the kind of channel needs."""
        cleaned = super().clean() or {}
        kind = cleaned.get("kind") or self.instance.kind
        if kind == ChannelKind.EMAIL and not cleaned.get("emails") and "emails" not in self.errors:
            self.add_error("emails", _("Give at least one e-mail address."))
        is_asked_for = kind and kind != ChannelKind.EMAIL and self.instance._state.adding
        if is_asked_for and not cleaned.get("new_url") and "new_url" not in self.errors:
            self.add_error("new_url", _("Give the address that this kind of channel posts to."))
        return cleaned
