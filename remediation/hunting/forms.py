"""The forms of hunting and the explorer. Shape only: the rules are the services'."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from remediation.hunting.services import LONGEST_CRITERION, LONGEST_QUERY

TIMESPANS = [
    ("PT1H", _("the last hour")),
    ("P1D", _("the last 24 hours")),
    ("P7D", _("the last 7 days")),
    ("P30D", _("the last 30 days")),
]


class TenantsForm(forms.Form):
    """In which tenants. The page offers those the person may hunt in; none is chosen beforehand but an only one."""

    all_tenants = forms.BooleanField(label=_("All my customers"), required=False)
    tenants = forms.MultipleChoiceField(label=_("Tenants"), widget=forms.CheckboxSelectMultiple, required=False)

    def offer(self, tenants: list[tuple[str, str]]) -> None:
        """Let these be chosen from."""
        field = self.fields["tenants"]
        field.choices = tenants  # type: ignore[attr-defined]  # a field of choices, by its class above
        if len(tenants) == 1:
            field.initial = [tenants[0][0]]
            del self.fields["all_tenants"]

    def clean_tenants(self) -> list[str]:
        """Return the chosen tenants, all that are offered where those were asked for."""
        if self.cleaned_data.get("all_tenants"):
            return [key for key, _name in self.fields["tenants"].choices]  # type: ignore[attr-defined]  # as above
        chosen: list[str] = self.cleaned_data["tenants"]
        if not chosen:
            raise forms.ValidationError(_("Choose at least one tenant."))
        return chosen


class QueryForm(TenantsForm):
    """A query in KQL."""

    query = forms.CharField(
        label=_("Query (KQL)"),
        max_length=LONGEST_QUERY,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "query"}),
        error_messages={"required": _("Write a query first.")},
    )
    timespan = forms.ChoiceField(label=_("Time span"), choices=TIMESPANS, initial="P7D")
    field_order = ("query", "timespan", "all_tenants", "tenants")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        given = str(self.initial.get("timespan") or "")
        if given and given not in dict(TIMESPANS):
            self.fields["timespan"].choices = [*TIMESPANS, (given, given)]  # type: ignore[attr-defined]


class SearchForm(TenantsForm):
    """What mail to look for. Times are UTC."""

    sender = forms.CharField(label=_("Sender"), required=False, max_length=LONGEST_CRITERION,
                             help_text=_("An address, or a domain."))  # fmt: skip
    subject = forms.CharField(label=_("Subject"), required=False, max_length=LONGEST_CRITERION,
                              help_text=_("A part of it."))  # fmt: skip
    recipient = forms.CharField(label=_("Recipient"), required=False, max_length=LONGEST_CRITERION,
                                help_text=_("An address."))  # fmt: skip
    url = forms.CharField(label=_("Web address in the message"), required=False, max_length=LONGEST_CRITERION,
                          help_text=_("A part of it."))  # fmt: skip
    received_after = forms.DateTimeField(
        label=_("Received after (UTC)"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    received_before = forms.DateTimeField(
        label=_("Received before (UTC)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=_("Without times: the last 30 days."),
    )
    field_order = (
        "sender", "subject", "recipient", "url", "received_after", "received_before", "all_tenants", "tenants",
    )  # fmt: skip
