"""The forms of retention's pages. Shape only: the rules are the services'."""

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.tenancy.models import Tenant
from remediation.retention.models import LegalHold
from remediation.safeguards.forms import SaidForm


class RetentionForm(SaidForm):
    """How many days a kind is kept; empty is the default."""

    days = forms.IntegerField(
        label=_("Days"), min_value=1, required=False, help_text=_("Leave it empty to go back to the default.")
    )
    field_order = ("days", "reason")


class ConfirmForm(SaidForm):
    """A shorter time, with the number of rows the person saw and agrees to."""

    days = forms.IntegerField(required=False, widget=forms.HiddenInput)
    confirmed_rows = forms.IntegerField(label=_("Rows that leave at once"), min_value=0)
    field_order = ("confirmed_rows", "reason", "days")


class HoldForm(SaidForm):
    """What is held, and why. Whose page it is offers the tenants."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), label=_("Tenant"))
    covers = forms.ChoiceField(label=_("What is held"), choices=LegalHold.Covers.choices)
    object_id = forms.UUIDField(
        label=_("Its id"),
        required=False,
        help_text=_(
            "Leave it empty for the whole tenant. For one activity, action or investigation: the long id in the "
            "address of its page."
        ),
    )
    field_order = ("tenant", "covers", "object_id", "reason")
