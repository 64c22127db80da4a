"""How an activity's facts look in lists, on its page, on a campaign's page and on the first page."""

from datetime import timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal.access.display import NOTHING, badge, grouped
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity
from remediation.vulnerabilities.querysets import DUE_SOON_DAYS, today
from remediation.vulnerabilities.states import (
    ActivityState,
    Completion,
    Mitigation,
    Priority,
    RemediationOption,
    Standing,
    TaskStatus,
)

_PRIORITY_TONES: Final = {Priority.HIGH: "bad", Priority.MEDIUM: "waiting", Priority.LOW: "neutral"}
_STANDING_TONES: Final = {Standing.EXPOSED: "waiting", Standing.FIXED: "good", Standing.GONE: "neutral"}
_TICKET_TONES: Final = {
    TaskStatus.WAITING: "waiting",
    TaskStatus.SENDING: "moving",
    TaskStatus.UNCONFIRMED: "moving",
    TaskStatus.FAILED: "bad",
    TaskStatus.PENDING: "waiting",
    TaskStatus.ACTIVE: "moving",
    TaskStatus.REJECTED: "bad",
    TaskStatus.COMPLETED: "good",
    TaskStatus.DELETED: "bad",
}


def show_priority(activity: RemediationActivity) -> SafeString:
    """Show how urgent it is."""
    priority = Priority(activity.priority)
    return badge(priority.label, _PRIORITY_TONES[priority])


def show_due(activity: RemediationActivity) -> SafeString | str:
    """Show the day it is due; while it is open, with a word once that is near or past."""
    due = activity.due_on
    if due is None:
        return NOTHING
    shown = format_html('<time datetime="{}">{}</time>', due.isoformat(), due.isoformat())
    if activity.state != ActivityState.ACTIVE or due > today() + timedelta(days=DUE_SOON_DAYS):
        return shown
    return format_html("{} {}", shown, badge(_("Overdue"), "bad") if due < today() else badge(_("Due soon"), "waiting"))


def show_person(label: str) -> SafeString | str:
    """Show an e-mail address so that a narrow column breaks it after the @, not in the middle of a name."""
    name, at, domain = label.partition("@")
    return format_html("{}@<wbr>{}", name, domain) if at else label or NOTHING


def show_type(activity: RemediationActivity) -> SafeString | str:
    """Show what is asked for, and until then."""
    option = RemediationOption(activity.option).label
    if activity.mitigation == Mitigation.NONE:
        return str(option)
    words = _("Mitigation: %(mitigation)s") % {"mitigation": Mitigation(activity.mitigation).label}
    return format_html('{} <span class="aside">{}</span>', option, words)


def show_state(activity: RemediationActivity) -> SafeString:
    """Show whether it is followed still, and whether devices of a completed one are exposed again."""
    state = ActivityState(activity.state)
    shown = badge(state.label, "good" if state == ActivityState.COMPLETED else "moving")
    if activity.exposed_again_at is None:
        return shown
    return format_html("{} {}", shown, badge(_("Exposed again"), "bad"))


def show_completed_by(activity: RemediationActivity) -> str:
    """Name who completed it, in Microsoft's words: an e-mail, *System confirmation* or *N/A*."""
    if activity.state != ActivityState.COMPLETED:
        return NOTHING
    if activity.completion == Completion.PERSON:
        return activity.completed_by_label
    return str(Completion(activity.completion).label)


def describe_progress(activity: RemediationActivity) -> str:
    """Say in words how many of its devices are no longer exposed."""
    start = activity.devices_at_start
    words = ngettext("%(done)s of %(start)s device", "%(done)s of %(start)s devices", start)
    return words % {"done": grouped(start - activity.devices_exposed), "start": grouped(start)}


def show_progress(activity: RemediationActivity) -> SafeString | str:
    """Show a bar that says in words too how far it is; nothing where there is no progress to tell."""
    if not activity.is_measured:
        return NOTHING
    words = describe_progress(activity)
    return bar(activity.devices_at_start - activity.devices_exposed, activity.devices_at_start, words)


def bar(done: int, start: int, words: str) -> SafeString:
    """Return a progress bar under the words that say the same."""
    return format_html(
        '<span class="progress"><span>{}</span> <progress max="{}" value="{}" aria-label="{}"></progress></span>',
        words,
        max(start, 1),
        done,
        words,
    )


def show_ticket(activity: Any) -> SafeString | str:
    """Show how far its ticket in Intune is; the activity is one of `activities_for_lists`."""
    if not activity.ticket_status or not activity.is_measured:
        return NOTHING
    return show_task_status(activity.ticket_status)


def show_task_status(value: str) -> SafeString:
    """Show the status of a security task."""
    status = TaskStatus(value)
    return badge(status.label, _TICKET_TONES.get(status, "neutral"))


def show_title(activity: RemediationActivity) -> SafeString:
    """Show what it is called and, where the name does not say it, what it is about; the list makes a link of it."""
    if activity.related_component in activity.title:
        return format_html("{}", activity.title)
    return format_html('{} <span class="aside">{}</span>', activity.title, activity.related_component)


def show_state_and_person(activity: RemediationActivity) -> SafeString:
    """Show its state, and who completed it."""
    if activity.state != ActivityState.COMPLETED:
        return show_state(activity)
    person = show_person(show_completed_by(activity))
    return format_html('{} <span class="aside">{}</span>', show_state(activity), person)


def show_standing(device: ActivityDevice) -> SafeString:
    """Show how a device of an activity stands."""
    standing = Standing(device.standing)
    shown = badge(standing.label, _STANDING_TONES[standing])
    if not device.is_exposed_again:
        return shown
    return format_html("{} {}", shown, badge(_("Exposed again"), "bad"))


def link_to_campaign(activity: RemediationActivity) -> SafeString | str:
    """Link to how the campaign stands in the tenants of it that are in scope; "" where that is this one alone."""
    seen = RemediationActivity.objects.filter(campaign=activity.campaign).count()
    if seen == 1:
        return ""
    url = reverse("admin:vulnerabilities_remediationactivity_campaign", args=[activity.campaign])
    words = _("One of %(count)d customers") % {"count": seen}
    return format_html('<a href="{}">{}</a>', url, words)
