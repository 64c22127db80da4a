"""The forms of a request for remediation. Shape and what Microsoft's refuses; other rules are the services'."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext, gettext_lazy

from portal.access.display import grouped
from remediation.hunting.forms import TenantsForm
from remediation.vulnerabilities.activities.requesting import LONGEST_NOTES, MOST_DAYS, Offer, RemediationRequest
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import Mitigation, Priority, RemediationOption


class RemediationForm(forms.Form):
    """What is asked for, as far as it is offered; all but attention required needs a due date (facts 5.2)."""

    option = forms.ChoiceField(label=gettext_lazy("Remediation requested"))
    mitigation = forms.ChoiceField(
        label=gettext_lazy("Mitigation until then"),
        required=False,
        help_text=gettext_lazy("It is recorded and told to the IT admins; Quell blocks nothing itself."),
    )
    priority = forms.ChoiceField(
        label=gettext_lazy("Priority"), choices=Priority.choices, initial=Priority.MEDIUM, widget=forms.RadioSelect
    )
    due_on = forms.DateField(
        label=gettext_lazy("Due date (UTC)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("Leave it empty for “Attention required”, which has no due date."),
    )
    notes = forms.CharField(
        label=gettext_lazy("Notes"),
        required=False,
        max_length=LONGEST_NOTES,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("For the IT admins and for whoever follows it."),
    )
    opens_ticket = forms.BooleanField(label=gettext_lazy("Open a ticket in Intune"), required=False)

    def __init__(self, offer: Offer, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["option"].choices = [(each.value, each.label) for each in offer.options]  # type: ignore[attr-defined]  # a field of choices, by its class above
        self.fields["mitigation"].choices = [(each.value, each.label) for each in offer.mitigations]  # type: ignore[attr-defined]  # as above
        last = today() + timedelta(days=MOST_DAYS)
        self.fields["due_on"].widget.attrs |= {"min": today().isoformat(), "max": last.isoformat()}
        if set(offer.mitigations) <= {Mitigation.NONE}:
            del self.fields["mitigation"]
        if not offer.ticket:
            del self.fields["opens_ticket"]

    def clean(self) -> None:
        """Refuse a due date, a ticket or a mitigation with attention required, and no or a past day otherwise.

        A ticket that is no longer offered was asked for while the connection was on: that is told, not left out.
        """
        if self.data.get("opens_ticket") and "opens_ticket" not in self.fields:
            words = gettext(
                "The Microsoft Intune connection is off by now, so no ticket can be opened. Go on without one."
            )
            self.add_error(None, words)
        if self.cleaned_data.get("option") == RemediationOption.ATTENTION_REQUIRED:
            self._check_attention()
        elif "due_on" not in self.errors:
            self._check_due(self.cleaned_data.get("due_on"))

    def _check_attention(self) -> None:
        given = self.cleaned_data
        if given.get("due_on") is not None:
            self.add_error("due_on", gettext("“Attention required” has no due date. Leave it empty."))
        if given.get("opens_ticket"):
            self.add_error("opens_ticket", gettext("“Attention required” has no ticket. Leave it unchecked."))
        if (given.get("mitigation") or Mitigation.NONE) != Mitigation.NONE:
            self.add_error("mitigation", gettext("Only software that is to be updated or uninstalled can be blocked."))

    def _check_due(self, due_on: date | None) -> None:
        if due_on is None:
            self.add_error("due_on", gettext("Say by which day it is to be done."))
        elif not today() <= due_on <= today() + timedelta(days=MOST_DAYS):
            self.add_error("due_on", gettext("Choose a day from today to a year from now."))

    @property
    def asked(self) -> RemediationRequest:
        """The request, once the form is valid."""
        given = self.cleaned_data
        return RemediationRequest(
            option=RemediationOption(given["option"]),
            priority=Priority(given["priority"]),
            due_on=given["due_on"],
            notes=given["notes"],
            mitigation=Mitigation(given.get("mitigation") or Mitigation.NONE),
            opens_ticket=given.get("opens_ticket", False),
        )

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Every value as it was sent, so that the confirmation can send it again."""
        return [(name, value) for name in self.fields for value in self.data.getlist(name)]  # type: ignore[attr-defined]  # always a QueryDict


class GroupsForm(RemediationForm):
    """A request in one tenant: for the exposed devices of all its groups, or of some."""

    reach = forms.ChoiceField(
        label=gettext_lazy("Device groups"),
        choices=[("all", gettext_lazy("All device groups")), ("chosen", gettext_lazy("Only these device groups"))],
        initial="all",
        widget=forms.RadioSelect,
    )
    groups = forms.MultipleChoiceField(
        label=gettext_lazy("Chosen device groups"), required=False, widget=forms.CheckboxSelectMultiple
    )
    field_order = ("option", "mitigation", "reach", "groups", "priority", "due_on", "notes", "opens_ticket")

    def __init__(self, offer: Offer, groups: Sequence[tuple[UUID, str, int]], *args: Any, **options: Any) -> None:
        super().__init__(offer, *args, **options)
        words = gettext("%(group)s: %(count)s exposed")
        self.fields["groups"].choices = [  # type: ignore[attr-defined]  # as above
            (str(key), words % {"group": name, "count": grouped(count)}) for key, name, count in groups
        ]

    def clean(self) -> None:
        """Refuse what says both all groups and some, or some and none."""
        super().clean()
        reach, groups = self.cleaned_data.get("reach"), self.cleaned_data.get("groups")
        if reach == "chosen" and not groups:
            self.add_error("groups", gettext("Choose at least one device group, or all of them."))
        if reach == "all" and groups:
            self.add_error("reach", gettext("Device groups are chosen below; choose “Only these”, or none of them."))

    @property
    def group_ids(self) -> list[UUID]:
        """The chosen groups, none for all of them."""
        return [UUID(text) for text in self.cleaned_data["groups"]]


class CampaignForm(RemediationForm, TenantsForm):
    """A request for many tenants at once."""

    field_order = (
        "option", "mitigation", "priority", "due_on", "notes", "opens_ticket", "all_tenants", "tenants",
    )  # fmt: skip

    @property
    def tenant_ids(self) -> list[UUID]:
        """The chosen tenants."""
        return [UUID(text) for text in self.cleaned_data["tenants"]]


class NoteForm(forms.Form):
    """Why an activity is completed by hand."""

    note = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text=gettext_lazy("It goes on record with your name."),
        error_messages={"required": gettext_lazy("Say why; it goes on record.")},
    )


class NotesForm(forms.Form):
    """An activity's notes."""

    notes = forms.CharField(
        label=gettext_lazy("Notes"), required=False, max_length=LONGEST_NOTES, widget=forms.Textarea(attrs={"rows": 6})
    )
