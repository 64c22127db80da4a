"""The form people fill in when they decide."""

from django import forms
from django.utils.translation import gettext_lazy as _


class ReasonForm(forms.Form):
    """Why; it goes on record with the person's name."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text=_("It goes on record with your name."),
        error_messages={"required": _("Give a reason; it goes on record.")},
    )
