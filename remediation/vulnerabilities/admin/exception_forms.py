"""The forms of exceptions. Shape only: the rules are `exceptions.requesting`'s."""

from typing import Any, Final
from uuid import UUID

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from portal.access.display import grouped
from portal.access.exceptions import BadRequest
from portal.tenancy.models import Tenant
from remediation.vulnerabilities.exceptions.preview import preview
from remediation.vulnerabilities.exceptions.requesting import (
    LENGTHS,
    LONGEST_CONTEXT,
    Reach,
    Subject,
    free_groups,
    justifications_for,
    last_day,
)

WHOLE_TENANT, BY_GROUP, UNTIL = "tenant", "groups", "until"
NOWHERE: Final = Reach(is_global=False, group_ids=frozenset())


class CveForm(forms.Form):
    """Which CVE, in which tenant. The page offers the tenants."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), label=_("Tenant"))
    cve = forms.CharField(label=_("CVE"), max_length=30, help_text=_("Like CVE-2026-12345."))


class ExceptionForm(forms.Form):
    """An exception to be. `reach` and `expires_on` are what it comes to, once it is valid."""

    scope = forms.ChoiceField(
        label=_("Applies to"),
        choices=[(BY_GROUP, _("Device groups")), (WHOLE_TENANT, _("The whole tenant, groups made later included"))],
        initial=BY_GROUP,
        widget=forms.RadioSelect,
    )
    groups = forms.MultipleChoiceField(
        label=_("Device groups"),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Groups made later are not covered."),
    )
    justification = forms.ChoiceField(label=_("Justification"))
    context = forms.CharField(
        label=_("Context"),
        max_length=LONGEST_CONTEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Why it may stay as it is. The second person reads it, and it goes on record with your name."),
        error_messages={"required": _("Say why; the second person reads it.")},
    )
    term = forms.ChoiceField(
        label=_("Term"),
        choices=[*((str(days), _("%(days)d days") % {"days": days}) for days in LENGTHS), (UNTIL, _("Until a day"))],
    )
    until = forms.DateField(
        label=_("Last day (UTC)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("Only with “Until a day”; at most a year off."),
    )

    def __init__(self, subject: Subject, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        exposed = {group.group_id: group.exposed_before for group in preview(subject, NOWHERE).groups}
        words = gettext("%(group)s: %(count)s exposed")
        self.fields["groups"].choices = [  # type: ignore[attr-defined]  # a field of choices, by its class above
            (str(group.pk), words % {"group": group.name, "count": grouped(exposed.get(group.pk, 0))})
            for group in free_groups(subject)
        ]
        justifications = [(item.value, item.label) for item in justifications_for(subject.kind)]
        self.fields["justification"].choices = justifications  # type: ignore[attr-defined]  # as above

    def clean(self) -> dict[str, Any]:
        """Return the fields, with `reach` and `expires_on` worked out from them."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        is_global = cleaned.get("scope") == WHOLE_TENANT
        groups = frozenset(UUID(key) for key in cleaned.get("groups", ()))
        if is_global and groups:
            self.add_error("groups", _("“Applies to” says the whole tenant. Untick these, or choose “Device groups”."))
        elif not is_global and not groups and "groups" not in self.errors:
            self.add_error("groups", _("Choose at least one device group."))
        cleaned["reach"] = Reach(is_global, groups)
        if "term" in cleaned and "until" in cleaned:
            self._work_out_term(cleaned)
        return cleaned

    def _work_out_term(self, cleaned: dict[str, Any]) -> None:
        days = None if cleaned["term"] == UNTIL else int(cleaned["term"])
        try:
            cleaned["expires_on"] = last_day(days, cleaned["until"])
        except BadRequest as refusal:
            self.add_error("until", str(refusal))
