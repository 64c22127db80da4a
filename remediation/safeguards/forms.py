"""The forms of the safeguards' pages. Shape only: the rules are the services'."""

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.tenancy.models import Tenant
from remediation.catalogue import CATALOGUE, WIRED, Route
from remediation.safeguards import caps
from remediation.safeguards.rules import FEWEST, MOST


class SaidForm(forms.Form):
    """Why; it goes on record with the person's name."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("It goes on record with your name."),
        error_messages={"required": _("Give a reason; it goes on record.")},
    )


class OpenForm(SaidForm):
    """An emergency. Whose page it is offers the tenants."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), label=_("Tenant"))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("What the emergency is, in at least 15 characters. It goes on record with your name."),
        error_messages={"required": _("Say what the emergency is; it goes on record.")},
    )
    field_order = ("tenant", "reason")


class ReviewForm(forms.Form):
    """What a review found."""

    review = forms.CharField(
        label=_("What you found"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Was there an emergency, and was each action right? It goes on record with your name."),
        error_messages={"required": _("Say what you found; it goes on record.")},
    )


class RuleForm(SaidForm):
    """A new number for one type of action."""

    approvers = forms.IntegerField(label=_("Approvals needed"), min_value=FEWEST, max_value=MOST)
    field_order = ("approvers", "reason")


class LimitForm(SaidForm):
    """A new limit per hour for one type of action."""

    cap = forms.IntegerField(label=_("At most, per hour"), min_value=0, max_value=caps.MOST)
    field_order = ("cap", "reason")


class FreezeLevelForm(forms.Form):
    """For whom sending is stopped, and of what. `tenant` takes its choices from the page."""

    tenant = forms.ChoiceField(label=_("For"))
    action_type = forms.ChoiceField(
        label=_("Action"),
        required=False,
        choices=[("", _("Every action")), *[(name, kind.label) for name, kind in CATALOGUE.items() if name in WIRED]],
    )
    connector = forms.ChoiceField(
        label=_("Connector"),
        required=False,
        choices=[("", _("Every connector")), *[(item.value, item.value) for item in Route]],
        help_text=_("Choose an action or a connector, or leave both to stop everything."),
    )
