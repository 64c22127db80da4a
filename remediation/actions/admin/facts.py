"""The facts on an action's page."""

from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.showing import link_to_investigation
from portal.access.display import NOTHING, link_to, show_age
from portal.access.scoped_admin import Section
from remediation.actions.admin import columns
from remediation.actions.approvals import count_approvals, count_needed
from remediation.actions.by_hand import was_handed_over
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.wording import PARAMETER_LABELS, in_words


def what_and_why(row: RemediationAction) -> list[tuple[Any, Any]]:
    """Return what is done, to what, why, and where it came from."""
    facts = [
        (gettext_lazy("Tenant"), row.tenant),
        (gettext_lazy("Target"), row.target),
        (gettext_lazy("Device"), columns.show_device(row)),
        (gettext_lazy("Device group"), row.device.group if row.device else NOTHING),
        (gettext_lazy("Reason"), row.reason),
        *([(gettext_lazy("Action source"), source)] if (source := columns.show_source(row)) else []),
        (gettext_lazy("Requested by"), row.requested_by or _("Automation")),
        (
            gettext_lazy("Investigation"),
            link_to_investigation(row.investigation) if row.investigation else NOTHING,
        ),
    ]
    if row.undoes_id:
        facts.append((gettext_lazy("Undoes"), link_to("actions_historyaction", row.undoes_id, _("an earlier action"))))
    facts += [(PARAMETER_LABELS.get(name, name), show_value(value)) for name, value in row.parameters.items()]
    return facts


def findings(row: RemediationAction) -> list[Section]:
    """Return what it read at Microsoft: a file's profile, or the setting it changes as it was before."""
    if not row.findings:
        return []
    title = gettext_lazy("Setting before") if row.kind.inverse else gettext_lazy("What Microsoft knows")
    return [Section(title, [(in_words(name), show_value(value)) for name, value in row.findings.items()])]


def show_value(value: Any) -> Any:
    """Return a parameter or a finding for people to read; what has many parts, line by line."""
    if value in (None, "", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, dict):
        lines = [f"{in_words(name)}: {part}" for name, part in value.items()]
    elif isinstance(value, list):
        lines = [_line(item) for item in value]
    else:
        return value
    return format_html('<pre tabindex="0">{}</pre>', "\n".join(lines))


def _line(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    if "network_message_id" in item:
        return f"{item['recipient']} · {item['network_message_id']}"
    return " · ".join(f"{in_words(name)}: {part}" for name, part in item.items())


def where_it_stands(row: RemediationAction) -> list[tuple[Any, Any]]:
    """Return how far it is, since when, and what came back."""
    approvals = _("%(given)d of %(needed)d") % {"given": count_approvals(row), "needed": count_needed(row)}
    if any(decision.break_glass_id for decision in row.decisions.all()):
        approvals = _("%(approvals)s, and one alone in break-glass") % {"approvals": approvals}
    is_by_hand = was_handed_over(row)
    facts: list[tuple[Any, Any]] = [
        (gettext_lazy("State"), columns.show_state(row)),
        (gettext_lazy("Approvals"), approvals if row.required_approvals else _("None needed")),
        (gettext_lazy("Created"), show_age(row.created_at)),
        (gettext_lazy("Expires"), show_age(row.approve_before) if row.state == State.PENDING_APPROVAL else None),
        (gettext_lazy("Send before"), show_age(row.execute_before) if row.state == State.APPROVED else None),
        (gettext_lazy("Sent"), show_age(row.sent_at) if row.sent_at and not is_by_hand else None),
        (gettext_lazy("Attempts"), None if is_by_hand else row.attempt or None),
        (
            gettext_lazy("Given to people") if is_by_hand else gettext_lazy("Accepted by Microsoft"),
            show_age(row.accepted_at) if row.accepted_at else None,
        ),
        (gettext_lazy("Unknown since"), show_age(row.unknown_since) if row.state == State.UNKNOWN else None),
        (gettext_lazy("Asked to stop"), show_age(row.cancel_asked_at) if row.cancel_asked_at else None),
        (gettext_lazy("Why it was asked to stop"), row.cancel_reason or None),
        (gettext_lazy("Id at Microsoft"), row.remote_id or None),
        (gettext_lazy("Result"), row.detail or None),
        (gettext_lazy("Error code"), row.error_code or None),
        (gettext_lazy("Ended"), show_age(row.ended_at) if row.ended_at else None),
    ]
    return [fact for fact in facts if fact[1] is not None]
