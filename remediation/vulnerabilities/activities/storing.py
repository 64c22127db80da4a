"""Stores new activities with their devices, many at once: two statements, whatever the number of tenants."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

from connectors.outbound.telling import Event
from portal.access.actors import Actor
from remediation.vulnerabilities.activities.telling import note, tell_of_each
from remediation.vulnerabilities.intune.tickets import open_tickets
from remediation.vulnerabilities.models import RemediationActivity

_ADD_DEVICES: Final = """
WITH added AS (
    INSERT INTO vulnerabilities_activitydevice (id, tenant_id, activity_id, device_id)
    SELECT gen_random_uuid(), a.tenant_id, a.id, x.device_id
    FROM vulnerabilities_remediationactivity a
    JOIN vulnerabilities_exposure x ON x.tenant_id = a.tenant_id AND x.recommendation_id = a.recommendation_id
    JOIN investigations_device d ON d.tenant_id = x.tenant_id AND d.id = x.device_id
    WHERE a.tenant_id = ANY (%(tenants)s) AND a.id = ANY (%(activities)s)
      AND (a.group_ids = '{}' OR d.group_id = ANY (a.group_ids))
    RETURNING activity_id
),
counted AS (SELECT activity_id, count(*) AS number FROM added GROUP BY activity_id)
UPDATE vulnerabilities_remediationactivity a SET devices_at_start = c.number, devices_exposed = c.number
FROM counted c WHERE a.tenant_id = ANY (%(tenants)s) AND a.id = c.activity_id
RETURNING a.id, c.number
"""


def store_activities(activities: Sequence[RemediationActivity], *, actor: Actor) -> None:
    """Store new activities with the devices exposed now, open their tickets, put them on record and tell of them."""
    if not activities:
        return
    RemediationActivity.objects.bulk_create(activities)
    with connection.cursor() as cursor:
        tenants, ids = [row.tenant_id for row in activities], [row.pk for row in activities]
        cursor.execute(_ADD_DEVICES, {"tenants": tenants, "activities": ids})
        numbers = dict(cursor.fetchall())
    for activity in activities:
        activity.devices_at_start = activity.devices_exposed = numbers.get(activity.pk, 0)
    with_ticket = [activity for activity in activities if activity.wants_ticket]
    if with_ticket:
        open_tickets(with_ticket)
    for activity in activities:
        _note_requested(activity, actor)
    tell_of_each(activities, Event.REMEDIATION_REQUESTED)


def _note_requested(activity: RemediationActivity, actor: Actor) -> None:
    after = {
        "recommendation": activity.recommendation_id,
        "title": activity.title,
        "option": str(activity.option),
        "mitigation": str(activity.mitigation),
        "priority": str(activity.priority),
        "due_on": activity.due_on,
        "notes": activity.notes,
        "device_groups": activity.group_ids,
        "devices_at_start": activity.devices_at_start,
        "wants_ticket": activity.wants_ticket,
        "campaign": activity.campaign,
    }
    note(activity, "activity.requested", actor=actor.stamp, data={"before": None, "after": after})
