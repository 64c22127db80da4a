"""What a ticket says to Intune: the task, its text, and the devices that go along."""

from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from connectors.vulnerability_protocol import TaskRequest
from remediation.vulnerabilities.intune.tickets import MOST_DEVICES
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity, SecurityTask
from remediation.vulnerabilities.states import RemediationOption

MOST_CVES: Final = 20
NO_ENTRA_ID: Final = "00000000-0000-0000-0000-000000000000"
"""What Microsoft's services put where a device has no id in Entra."""

_MITIGATION_TYPES: Final = {
    RemediationOption.SOFTWARE_UPDATE: "update",
    RemediationOption.SOFTWARE_UNINSTALL: "uninstall",
    RemediationOption.CONFIGURATION_CHANGE: "securityConfiguration",
}


def mark_devices(activity_id: UUID) -> None:
    """Mark those of the activity's devices that go along: by device id, the first 10,000 that have an Entra device id.

    Defender may list a device twice under one Entra id; it goes along once.
    """
    mine = ActivityDevice.objects.filter(activity_id=activity_id)
    mine.filter(sent_to_intune=True).update(sent_to_intune=False)
    with_id = mine.exclude(device__entra_device_id__in=("", NO_ENTRA_ID))
    by_id: dict[str, UUID] = {}
    for key, entra_id in with_id.order_by("device_id").values_list("pk", "device__entra_device_id").iterator():
        by_id.setdefault(entra_id.lower(), key)
        if len(by_id) == MOST_DEVICES:
            break
    mine.filter(pk__in=by_id.values()).update(sent_to_intune=True)


def not_described(activity_id: UUID) -> int:
    """Count the devices that Defender's device list, which alone tells Entra ids, has not described yet.

    A list of exposed devices names machines before that one does, which always says when it saw them.
    """
    mine = ActivityDevice.objects.filter(activity_id=activity_id)
    return mine.filter(device__entra_device_id="", device__last_seen_at=None).count()


def without_entra_id(activity_id: UUID) -> int:
    """Count the activity's devices that cannot go along, since Defender tells no Entra device id of theirs."""
    mine = ActivityDevice.objects.filter(activity_id=activity_id)
    return mine.filter(device__entra_device_id__in=("", NO_ENTRA_ID)).count()


def unmark_devices(activity_id: UUID | None) -> None:
    """Take back that devices of the activity were sent: the task was not made."""
    ActivityDevice.objects.filter(activity_id=activity_id, sent_to_intune=True).update(sent_to_intune=False)


def request_of(task: SecurityTask, activity: RemediationActivity) -> TaskRequest:
    """Return what Intune is asked to make for an activity's ticket, once its devices are marked."""
    recommendation = activity.recommendation
    option = RemediationOption(activity.option)
    return TaskRequest(
        marker=activity.pk,
        kind=task.kind,
        display_name=task.display_name,
        description=task.description,
        priority=task.priority,
        creator=task.creator,
        creator_notes=task.creator_notes,
        due_at=task.due_at,
        app_name=(recommendation.product_name if recommendation else "") or activity.related_component,
        app_publisher=recommendation.vendor if recommendation else "",
        app_version="",
        mitigation_type=_MITIGATION_TYPES[option],
        remediation=_remediation(activity, option),
        insights=_insights(activity),
        entra_device_ids=_marked(activity.pk),
    )


def _marked(activity_id: UUID) -> list[str]:
    rows = ActivityDevice.objects.filter(activity_id=activity_id, sent_to_intune=True).order_by("device_id")
    return list(rows.values_list("device__entra_device_id", flat=True))


def _remediation(activity: RemediationActivity, option: RemediationOption) -> str:
    recommendation = activity.recommendation
    version = recommendation.recommended_version if recommendation else ""
    if option == RemediationOption.SOFTWARE_UPDATE and version:
        return _("Update to %(version)s or later") % {"version": version}
    return str(option.label)


def _insights(activity: RemediationActivity) -> str:
    cves = activity.recommendation.cve_ids if activity.recommendation else []
    return ", ".join(cves[:MOST_CVES]) + (" …" if len(cves) > MOST_CVES else "")
