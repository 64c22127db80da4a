"""Recommendations with exposed devices, as the syncing would leave them, and requests of them."""

from datetime import date, timedelta
from itertools import count
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from investigations.models import Device
from portal.access.actors import Actor
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.progress import refresh_progress
from remediation.vulnerabilities.activities.requesting import RemediationRequest, request_remediation
from remediation.vulnerabilities.models import Exposure, Recommendation, RemediationActivity
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import Priority, RemediationOption

SEVEN_ZIP = "va-_-7-zip-_-7-zip"


def in_days(days: int) -> date:
    """The day so many days from now, UTC."""
    return today() + timedelta(days=days)


def a_request(**fields: Any) -> RemediationRequest:
    """A request for an update within two weeks."""
    values: dict[str, Any] = {
        "option": RemediationOption.SOFTWARE_UPDATE,
        "priority": Priority.HIGH,
        "due_on": in_days(14),
    }
    return RemediationRequest(**(values | fields))


_changes = count(800)
ATTENTION = a_request(option=RemediationOption.ATTENTION_REQUIRED, due_on=None)


def make_activity(
    recommendation: Recommendation, actor: Actor, request: RemediationRequest | None = None
) -> RemediationActivity:
    """Request remediation half an hour ago, by this person; without a request of its own, one like no other."""
    wanted = request or a_request(notes=f"Change {next(_changes)}")
    with acting_for(recommendation.tenant_id):
        made = request_remediation(recommendation.pk, wanted, group_ids=[], actor=actor)
        past = timezone.now() - timedelta(minutes=30)
        RemediationActivity.objects.filter(pk=made.pk).update(requested_at=past)
    return made


def read_devices(recommendation: Recommendation, *exposed: Device, seen: tuple[Device, ...] = ()) -> None:
    """Do as a sync that read the exposed devices whole, some devices having been seen just now; then follow it."""
    with acting_for(recommendation.tenant_id):
        Device.objects.filter(pk__in=[device.pk for device in seen]).update(last_seen_at=Now())
        Exposure.objects.filter(recommendation=recommendation).delete()
        Exposure.objects.bulk_create(
            Exposure(tenant_id=recommendation.tenant_id, recommendation=recommendation, device=device)
            for device in exposed
        )
        Recommendation.objects.filter(pk=recommendation.pk).update(exposures_read_at=timezone.now())
    refresh_progress(recommendation.tenant_id)


def reread(activity: RemediationActivity) -> RemediationActivity:
    """The activity as it is now."""
    with acting_for(activity.tenant_id):
        return RemediationActivity.objects.get(pk=activity.pk)
