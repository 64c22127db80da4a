"""What IT admins are told of remediation activities, and what goes on record about them."""

from collections.abc import Collection
from typing import Any, Final

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from connectors.outbound.telling import Event, Notice, said_later, tell, tell_each
from portal.audit.recording import ActorStamp, record
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.states import Mitigation, Priority, RemediationOption

OBJECT_TYPE: Final = "remediation activity"


def note(activity: RemediationActivity, verb: str, *, actor: ActorStamp, data: dict[str, Any]) -> None:
    """Put on record what happened to an activity, in the open transaction."""
    record(activity.tenant_id, verb, object_type=OBJECT_TYPE, object_id=activity.pk, actor=actor, data=data)


def tell_of(activity: RemediationActivity, event: Event, *, key: str = "") -> None:
    """Tell the tenant's IT admins, once for each event of an activity, or for each `key` where it may come again."""
    tell(activity.tenant_id, _notice(activity, event), key=_key(activity, event, key))


def tell_of_each(activities: Collection[RemediationActivity], event: Event) -> None:
    """Tell the IT admins of many tenants, each of the one activity of theirs."""
    notices = {activity.tenant_id: _notice(activity, event) for activity in activities}
    tell_each(notices, keys={activity.tenant_id: _key(activity, event) for activity in activities})


def _key(activity: RemediationActivity, event: Event, key: str = "") -> str:
    return ":".join(filter(None, (event.value, str(activity.pk), key)))


def _notice(activity: RemediationActivity, event: Event) -> Notice:
    return Notice(
        event=event,
        subject=said_later(_SUBJECTS[event], title=activity.title),
        facts=[(label, value) for label, value in _facts(activity) if value],
        path=reverse("admin:vulnerabilities_remediationactivity_change", args=[activity.pk]),
        object_type=OBJECT_TYPE,
        object_id=activity.pk,
    )


_SUBJECTS: Final = {
    Event.REMEDIATION_REQUESTED: gettext_noop("Remediation requested: %(title)s"),
    Event.DUE_SOON: gettext_noop("Remediation is due soon: %(title)s"),
    Event.OVERDUE: gettext_noop("Remediation is overdue: %(title)s"),
    Event.REMEDIATION_COMPLETED: gettext_noop("Remediation completed: %(title)s"),
    Event.EXPOSED_AGAIN: gettext_noop("Devices are exposed again: %(title)s"),
}


def _facts(activity: RemediationActivity) -> list[tuple[str | Promise, str | Promise]]:
    mitigation = Mitigation(activity.mitigation)
    return [
        (_("Remediation type"), RemediationOption(activity.option).label),
        (_("Related component"), activity.related_component),
        (_("Priority"), Priority(activity.priority).label),
        (_("Due"), activity.due_on.isoformat() if activity.due_on else ""),
        (_("Mitigation asked for"), "" if mitigation == Mitigation.NONE else mitigation.label),
        (_("Device groups"), ", ".join(activity.group_names) or _("All")),
        (_("Devices at start"), str(activity.devices_at_start)),
        (_("Still exposed"), str(activity.devices_exposed) if activity.is_measured else ""),
        (_("Exposed again"), str(activity.exposed_again_count or "")),
        (_("Requested by"), activity.requested_by_label),
        (_("Completed by"), activity.completed_by_label),
        (_("Notes"), activity.notes),
        (_("Completion note"), activity.completion_note),
    ]
