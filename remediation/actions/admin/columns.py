"""How an action's facts look in lists and on its page."""

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.admin.showing import show_verdict
from portal.access.display import NOTHING, badge, link_to
from remediation.actions.by_hand import waits_for_hands
from remediation.actions.models import RemediationAction
from remediation.actions.states import Answer, State
from remediation.catalogue import Area

STATE_TONES = {
    State.PENDING_APPROVAL: "waiting",
    State.APPROVED: "moving",
    State.SENDING: "moving",
    State.ACCEPTED: "moving",
    State.UNKNOWN: "waiting",
    State.NEEDS_ATTENTION: "bad",
    State.SUCCEEDED: "good",
    State.FAILED: "bad",
    State.TIMED_OUT: "bad",
}


TO_DO_BY_HAND = gettext_lazy("To be done by hand")
"""What people read of an action that a person does in the Defender portal: nothing was sent, nothing accepted."""


def show_state(action: RemediationAction) -> str:
    """Return the action's state as a badge, with a second one when it was undone."""
    if waits_for_hands(action):
        return badge(TO_DO_BY_HAND, "waiting")
    state = State(action.state)
    shown = badge(state.label, STATE_TONES.get(state, "neutral"))
    if getattr(action, "is_undone", False):
        return format_html("{} {}", shown, badge(_("Undone")))
    return shown


def show_device(action: RemediationAction) -> str:
    """Return a link to the action's device."""
    return link_to("investigations_device", action.device_id, action.device)


def show_target(action: RemediationAction) -> str:
    """Return what it is done to: the device as a link, and what on it, or what else."""
    if action.device is None:
        return action.target
    what = "" if action.target == str(action.device) else action.target.removeprefix(f"{action.device} · ")
    return format_html('{} <span class="aside">{}</span>', show_device(action), what)


def show_source(action: RemediationAction) -> str:
    """Return Microsoft's word for where the action came from, "" for a kind of action that it has no word for."""
    return "" if action.kind.area in (Area.INDICATOR, Area.ALERT) else str(action.get_source_display())


def show_why(action: RemediationAction) -> SafeString:
    """Return the verdicts the action rests on, why it was proposed, and its source. Reads its evidence."""
    verdicts = sorted({link.evidence.verdict for link in action.evidence_links.all()})
    badges = format_html_join(" ", "{}", ((show_verdict(verdict),) for verdict in verdicts))
    return format_html(
        '{} <span class="reason">{}</span> <span class="aside">{}</span>',
        badges,
        action.reason,
        show_source(action),
    )


def show_deciders(action: RemediationAction) -> str:
    """Return who decided, in Microsoft's words: people, or Automation. Reads its decisions."""
    decided = [
        f"{decision.user.email} ({_('rejected')})" if decision.answer == Answer.REJECT else decision.user.email
        for decision in action.decisions.all()
    ]
    if not decided and action.required_approvals == 0:
        return action.requested_by.email if action.requested_by else _("Automation")
    return ", ".join(decided) or NOTHING
