"""The forms people fill in: why they decide, and what an action is to be done with."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.microsoft.words import DETERMINATIONS
from investigations.models import Device
from portal.access.exceptions import BadRequest
from remediation.actions.asking import reason_against_device
from remediation.actions.parameter_kinds import check_value, describe_kind
from remediation.actions.wording import PARAMETER_LABELS, in_words
from remediation.catalogue import ActionType, Parameter


class ReasonForm(forms.Form):
    """Why; it goes on record with the person's name."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text=gettext_lazy("It goes on record with your name."),
        error_messages={"required": gettext_lazy("Give a reason; it goes on record.")},
    )


class AskingForm(ReasonForm):
    """The parameters of one type of action, made from the catalogue, and why. `parameters` are the checked ones."""

    def __init__(self, kind: ActionType, device: Device | None, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.kind, self.device = kind, device
        self.parameters: dict[str, Any] = {}
        for parameter in kind.parameters:
            self.fields[parameter.name] = _field(parameter)
        if kind.parameters:
            del self.fields["reason"].widget.attrs["autofocus"]
        self.order_fields([parameter.name for parameter in kind.parameters])

    def clean(self) -> None:
        """Check each parameter as the service will, and whether Microsoft does this on the device's system."""
        if self.errors:
            return
        for parameter in self.kind.parameters:
            value = self.cleaned_data[parameter.name]
            if parameter.is_optional and not value:
                continue
            try:
                given = _as_messages(value) if parameter.kind == "messages" else value
                self.parameters[parameter.name] = check_value(parameter, given, self.parameters)
            except BadRequest as refusal:
                self.add_error(parameter.name, str(refusal))
                return
        against = reason_against_device(self.kind, self.device, self.parameters) if self.device else ""
        if against:
            self.add_error(None, against)


def initial_of(kind: ActionType, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form for this type begins with."""
    found = {parameter.name: known[parameter.name] for parameter in kind.parameters if parameter.name in known}
    if "messages" in found:
        found["messages"] = "\n".join(f"{each['recipient']} {each['network_message_id']}" for each in found["messages"])
    return found


_NUMBERS: Final = frozenset({"days", "process_id"})


def _field(parameter: Parameter) -> forms.Field:
    label: Any = PARAMETER_LABELS.get(parameter.name, parameter.name)
    choices = _choices(parameter)
    if choices:
        return forms.ChoiceField(label=label, choices=choices, widget=forms.RadioSelect, help_text=_help(parameter))
    widget: forms.Widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    if parameter.kind == "messages":
        widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false"})
    elif parameter.kind in _NUMBERS:
        widget = forms.NumberInput(attrs={"min": 1})
    return forms.CharField(label=label, required=not parameter.is_optional, widget=widget, help_text=_help(parameter))


def _choices(parameter: Parameter) -> list[tuple[str, str]]:
    words = parameter.choices
    if parameter.kind == "determination":
        words = tuple(dict.fromkeys(word for each in DETERMINATIONS.values() for word in each))
    return [(word, in_words(word)) for word in words]


def _help(parameter: Parameter) -> str:
    if parameter.kind == "messages":
        return _("One message a line: the recipient's address, a space, and the network message id.")
    if parameter.kind == "determination":
        lines = (f"{in_words(name)}: {', '.join(map(in_words, words))}." for name, words in DETERMINATIONS.items())
        return " ".join(lines)
    wanted = describe_kind(parameter.kind)
    hint = wanted[:1].upper() + wanted[1:] + "." if wanted else ""
    return f"{hint} {_('May be left empty.')}".strip() if parameter.is_optional else hint


def _as_messages(text: str) -> list[dict[str, str]]:
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return [{"recipient": pair[0], "network_message_id": pair[1] if len(pair) == 2 else ""} for pair in pairs]
