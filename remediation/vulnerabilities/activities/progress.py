"""Follows the devices of activities by what the tenant's devices are exposed to now.

Microsoft counts only devices used in the last 30 days (facts 5.1), so a device that left the list is fixed only if it
was seen; one that was not is gone, which may mean that it lies in a drawer. Defender gives a device that is onboarded
anew another id: as long as one of the same Entra device id is exposed, it is that device which is exposed.
"""

from collections import Counter
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Lower, Now

from connectors.outbound.telling import Event
from investigations.models import Device
from portal.audit.recording import SYSTEM
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.activities.completing import confirm
from remediation.vulnerabilities.activities.telling import note, tell_of
from remediation.vulnerabilities.intune.asking import NO_ENTRA_ID
from remediation.vulnerabilities.models import ActivityDevice, Exposure, RemediationActivity
from remediation.vulnerabilities.models.recommendations import EXCEPTED_AT_SOURCE
from remediation.vulnerabilities.states import ActivityState, Origin

_MOVE_DEVICES: Final = """
WITH followed AS MATERIALIZED (
    SELECT a.id, a.state, a.requested_at, r.id AS recommendation_id, r.disappeared_at
    FROM vulnerabilities_remediationactivity a
    JOIN vulnerabilities_recommendation r ON r.tenant_id = a.tenant_id AND r.id = a.recommendation_id
    WHERE a.tenant_id = %(tenant)s AND a.id = ANY (%(activities)s)
)
UPDATE vulnerabilities_activitydevice m
SET standing = n.standing, is_exposed_again = n.is_exposed_again,
    changed_at = CASE WHEN m.standing = n.standing THEN m.changed_at ELSE now() END
FROM (
    SELECT d.id, f.is_exposed AND a.state = 'completed' AND d.standing <> 'exposed' AS is_exposed_again,
           CASE WHEN f.is_exposed AND (a.state = 'active' OR d.standing = 'exposed') THEN 'exposed'
                WHEN f.is_exposed OR d.standing = 'fixed' THEN d.standing
                WHEN v.last_seen_at > greatest(a.requested_at, now() - interval '30 days') THEN 'fixed'
                ELSE 'gone' END AS standing
    FROM followed a
    JOIN vulnerabilities_activitydevice d ON d.tenant_id = %(tenant)s AND d.activity_id = a.id
    JOIN investigations_device v ON v.tenant_id = %(tenant)s AND v.id = d.device_id
    LEFT JOIN vulnerabilities_exposure x ON x.tenant_id = %(tenant)s AND x.recommendation_id = a.recommendation_id
        AND x.device_id = d.device_id AND a.disappeared_at IS NULL
    CROSS JOIN LATERAL (SELECT x.id IS NOT NULL OR d.id = ANY (%(anew)s) AS is_exposed) f
) n
WHERE m.tenant_id = %(tenant)s AND m.id = n.id
  AND (m.standing, m.is_exposed_again) IS DISTINCT FROM (n.standing, n.is_exposed_again)
"""

_COUNT_DEVICES: Final = """
UPDATE vulnerabilities_remediationactivity a
SET devices_fixed = c.fixed, devices_exposed = c.exposed, devices_gone = a.devices_at_start - c.fixed - c.exposed,
    exposed_again_count = c.again, progress_at = greatest(r.exposures_read_at, r.disappeared_at)
FROM vulnerabilities_recommendation r, (
    SELECT i.id, count(*) FILTER (WHERE d.standing = 'fixed') AS fixed,
           count(*) FILTER (WHERE d.standing = 'exposed') AS exposed,
           count(*) FILTER (WHERE d.is_exposed_again) AS again
    FROM unnest(%(activities)s) AS i (id)
    LEFT JOIN vulnerabilities_activitydevice d ON d.tenant_id = %(tenant)s AND d.activity_id = i.id
    GROUP BY i.id
) c
WHERE a.tenant_id = %(tenant)s AND a.id = c.id AND r.tenant_id = a.tenant_id AND r.id = a.recommendation_id
"""

_COUNT_DAY: Final = """
INSERT INTO vulnerabilities_burndownday AS b
    (id, tenant_id, day, open_activities, overdue_activities, completed_activities, exposed_devices)
SELECT gen_random_uuid(), %(tenant)s, t.day,
       count(a.id) FILTER (WHERE a.state = 'active'),
       count(a.id) FILTER (WHERE a.state = 'active' AND a.due_on < t.day),
       count(a.id) FILTER (WHERE a.state = 'completed' AND (a.completed_at AT TIME ZONE 'utc')::date = t.day),
       coalesce(sum(a.devices_exposed) FILTER (WHERE a.state = 'active' AND a.option <> 'attention_required'), 0)
FROM (SELECT (now() AT TIME ZONE 'utc')::date AS day) t
LEFT JOIN vulnerabilities_remediationactivity a ON a.tenant_id = %(tenant)s
GROUP BY t.day
ON CONFLICT (tenant_id, day) DO UPDATE
SET open_activities = excluded.open_activities, overdue_activities = excluded.overdue_activities,
    completed_activities = excluded.completed_activities, exposed_devices = excluded.exposed_devices
"""

_SETTLE_DAYS: Final = """
INSERT INTO vulnerabilities_burndownday AS b
    (id, tenant_id, day, open_activities, overdue_activities, completed_activities, exposed_devices)
SELECT gen_random_uuid(), %(tenant)s, t.day,
       count(a.id) FILTER (WHERE t.is_open), count(a.id) FILTER (WHERE t.is_open AND a.due_on < t.day),
       count(a.id) FILTER (WHERE a.state = 'completed' AND (a.completed_at AT TIME ZONE 'utc')::date = t.day),
       l.exposed_devices
FROM (SELECT day, exposed_devices, (now() AT TIME ZONE 'utc')::date AS today FROM vulnerabilities_burndownday
      WHERE tenant_id = %(tenant)s AND day < (now() AT TIME ZONE 'utc')::date ORDER BY day DESC LIMIT 1) l
CROSS JOIN LATERAL generate_series(greatest(l.day, l.today - 90), l.today - 1, '1 day') AS g (day)
LEFT JOIN vulnerabilities_remediationactivity a ON a.tenant_id = %(tenant)s
CROSS JOIN LATERAL (
    SELECT g.day::date AS day, (a.requested_at AT TIME ZONE 'utc')::date <= g.day::date
        AND (a.state = 'active' OR (a.completed_at AT TIME ZONE 'utc')::date > g.day::date) AS is_open
) t
GROUP BY t.day, l.exposed_devices
ON CONFLICT (tenant_id, day) DO UPDATE
SET open_activities = excluded.open_activities, overdue_activities = excluded.overdue_activities,
    completed_activities = excluded.completed_activities
WHERE (b.open_activities, b.overdue_activities, b.completed_activities)
    IS DISTINCT FROM (excluded.open_activities, excluded.overdue_activities, excluded.completed_activities)
"""

GONE_FOR: Final = timedelta(days=1)
"""So long Microsoft must have dropped a recommendation before that counts: one missing from one list may come back."""


def refresh_progress(tenant_id: UUID) -> None:
    """Bring the tenant's activities up to date, complete those with no device left exposed, count the day's burn-down.

    Followed are activities whose recommendation had its devices read whole since the request and since the last time,
    or was dropped by Microsoft a day ago. A device once seen fixed stays so until it is exposed again; in a completed
    activity it then counts as exposed again and the record stays as it is. Opens its own scope; harmless to repeat.

    While the recommendation has an exception at Microsoft nothing is followed: whether its list then leaves devices out
    is not documented (facts 5.4), and a device that was only hidden is not fixed. A CVE's exception there is told by no
    API, so if it hides devices, they count as fixed.
    """
    with acting_for(tenant_id):
        followed = list(_with_news(tenant_id).values_list("pk", flat=True))
        if followed:
            _follow(tenant_id, followed)
            _confirm(followed)
            _notice_exposed_again(followed)
        count_day(tenant_id)


def count_day(tenant_id: UUID) -> None:
    """Count how much of the tenant's remediation is open today (UTC), in place of what was counted earlier today.

    The days before, from the last that was counted on, are settled by when activities were requested and completed;
    how many devices were exposed on them is as last counted then.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_DAY, {"tenant": tenant_id})
        cursor.execute(_SETTLE_DAYS, {"tenant": tenant_id})


def _with_news(tenant_id: UUID) -> QuerySet[RemediationActivity]:
    """Return the activities to follow, held until COMMIT so that nobody completes one meanwhile."""
    read_at = Greatest("recommendation__exposures_read_at", "recommendation__disappeared_at")  # NULLs are left out
    since = Q(read_at__gt=F("requested_at"))
    is_news = Q(progress_at=None) | ~Q(progress_at=F("read_at")) | Q(recommendation__disappeared_at__isnull=False)
    held = RemediationActivity.objects.select_for_update(of=("self",), no_key=True).filter(
        tenant_id=tenant_id, origin=Origin.QUELL
    )
    excepted = Q(recommendation__status_at_source__iexact=EXCEPTED_AT_SOURCE)
    just_gone = Q(recommendation__disappeared_at__gt=Now() - GONE_FOR)
    return held.annotate(read_at=read_at).filter(since, is_news).exclude(excepted | just_gone).order_by("pk")


def _follow(tenant_id: UUID, activities: list[UUID]) -> None:
    anew = _exposed_anew(tenant_id, activities)
    named: dict[str, Any] = {"tenant": tenant_id, "activities": activities, "anew": anew}
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_DEVICES, named)
        cursor.execute(_COUNT_DEVICES, named)


def _exposed_anew(tenant_id: UUID, activities: list[UUID]) -> list[UUID]:
    """Return the rows of devices that are exposed under another id of Defender's, having been onboarded anew."""
    known = Device.objects.filter(tenant_id=tenant_id).exclude(entra_device_id__in=("", NO_ENTRA_ID))
    entra_ids = dict(known.values_list("pk", Lower("entra_device_id")))
    times = Counter(entra_ids.values())
    twice = [key for key, entra_id in entra_ids.items() if times[entra_id] > 1]
    if not twice:
        return []
    exposures = Exposure.objects.filter(
        device__in=twice, recommendation__activities__in=activities, recommendation__disappeared_at=None
    )
    exposed = {(about, entra_ids[key]) for about, key in exposures.values_list("recommendation", "device")}
    rows = ActivityDevice.objects.filter(activity__in=activities, device__in=twice)
    named = rows.values_list("pk", "activity__recommendation", "device")
    return [row for row, about, key in named if (about, entra_ids[key]) in exposed]


def _confirm(followed: list[UUID]) -> None:
    """Complete what has no device left exposed, except where nothing is measured."""
    done = RemediationActivity.objects.active().measured().filter(pk__in=followed, devices_exposed=0)
    for activity in done.order_by("pk"):
        confirm(activity)


def _notice_exposed_again(followed: list[UUID]) -> None:
    """Say of completed activities whether devices of theirs are exposed again."""
    completed = RemediationActivity.objects.measured().filter(pk__in=followed, state=ActivityState.COMPLETED)
    completed.filter(exposed_again_count=0).update(exposed_again_at=None)
    for activity in completed.filter(exposed_again_count__gt=0, exposed_again_at=None).order_by("pk"):
        activity.exposed_again_at = activity.progress_at
        activity.save(update_fields=["exposed_again_at"])
        data = {"devices": activity.exposed_again_count, "as_of": activity.progress_at}
        note(activity, "activity.exposed_again", actor=SYSTEM, data=data)
        tell_of(activity, Event.EXPOSED_AGAIN, key=str(activity.progress_at))
