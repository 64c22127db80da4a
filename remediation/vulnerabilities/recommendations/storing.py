"""Stores what was read of a tenant's recommendations: their rows, what a day counted, and the CVEs of one.

Everything here runs inside `acting_for(tenant_id)`.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from investigations.turns import take_turn
from portal.tenancy.scope import database_now
from remediation.vulnerabilities.models import Exposure, Recommendation, VulnerabilitySync
from remediation.vulnerabilities.recommendations.payloads import RecommendationPayload

_FIELDS: Final = tuple(field.name for field in fields(RecommendationPayload))
_UPDATED: Final = (*_FIELDS, "changed_at", "disappeared_at", "exposures_read_at", "exposures_due_at", "cves_due_at")
_AT_ONCE: Final = 1000

_COUNT_TODAY: Final = """
    INSERT INTO vulnerabilities_exposureday AS kept (id, tenant_id, recommendation_id, day, exposed_count, total_count)
    SELECT gen_random_uuid(), tenant_id, id, (now() AT TIME ZONE 'utc')::date, exposed_count, total_count
    FROM vulnerabilities_recommendation
    WHERE tenant_id = %s
      AND (disappeared_at IS NULL OR (disappeared_at AT TIME ZONE 'utc')::date = (now() AT TIME ZONE 'utc')::date)
    ON CONFLICT (tenant_id, recommendation_id, day) DO UPDATE
    SET exposed_count = excluded.exposed_count, total_count = excluded.total_count
    WHERE (kept.exposed_count, kept.total_count) IS DISTINCT FROM (excluded.exposed_count, excluded.total_count)
"""


def sync_of(tenant_id: UUID) -> QuerySet[VulnerabilitySync]:
    """Return the tenant's row about how far reading has come, made where there is none."""
    VulnerabilitySync.objects.bulk_create([VulnerabilitySync(tenant_id=tenant_id)], ignore_conflicts=True)
    return VulnerabilitySync.objects.filter(tenant_id=tenant_id)


def store_recommendations(tenant_id: UUID, payloads: Sequence[RecommendationPayload]) -> Counter[str]:
    """Store what differs from what is known; return how many were new, changed and unchanged.

    Where Microsoft's counts differ, the list of devices, or of CVEs, is to be read anew. What was gone, or had an
    exception at Microsoft, and is back has no list of devices that could be relied on until that is read.
    """
    take_turn(tenant_id)
    now = database_now()
    known = {row.recommendation_id: row for row in Recommendation.objects.filter(tenant_id=tenant_id)}
    fresh, changed = [], []
    for payload in payloads:
        row = known.get(payload.recommendation_id)
        if row is None:
            fresh.append(_new(tenant_id, payload))
        elif row.raw != payload.raw or row.disappeared_at is not None:
            _change(row, payload, now)
            changed.append(row)
    Recommendation.objects.bulk_create(fresh, batch_size=_AT_ONCE)
    # By an upsert: ten times as fast as Django's bulk_update.
    Recommendation.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["id"], update_fields=_UPDATED, batch_size=_AT_ONCE
    )
    listed = [payload.recommendation_id for payload in payloads]
    Recommendation.objects.filter(tenant_id=tenant_id, recommendation_id__in=listed).update(seen_at=Now())
    return Counter(new=len(fresh), changed=len(changed), unchanged=len(payloads) - len(fresh) - len(changed))


def _new(tenant_id: UUID, payload: RecommendationPayload) -> Recommendation:
    return Recommendation(tenant_id=tenant_id, exposed_after_exceptions=payload.exposed_count, **_values(payload))


def _change(row: Recommendation, payload: RecommendationPayload, now: datetime) -> None:
    is_back = row.disappeared_at is not None
    was_excepted = row.is_excepted_at_source
    if is_back or (row.exposed_count, row.total_count) != (payload.exposed_count, payload.total_count):
        row.exposures_due_at = now
    if is_back or row.weaknesses != payload.weaknesses:
        row.cves_due_at = now
    for name, value in _values(payload).items():
        setattr(row, name, value)
    if is_back or (was_excepted and not row.is_excepted_at_source):
        row.exposures_read_at, row.exposures_due_at = None, now
    row.changed_at, row.disappeared_at = now, None


def _values(payload: RecommendationPayload) -> dict[str, object]:
    return {name: getattr(payload, name) for name in _FIELDS}


def let_disappear(tenant_id: UUID, listed: Collection[str]) -> int:
    """Note that Microsoft no longer lists any other recommendation than these: no device is exposed to the others."""
    gone = Recommendation.objects.filter(tenant_id=tenant_id, disappeared_at=None)
    gone_ids = [key for key, name in gone.values_list("pk", "recommendation_id") if name not in listed]
    Exposure.objects.filter(recommendation_id__in=gone_ids).delete()
    return Recommendation.objects.filter(pk__in=gone_ids).update(
        disappeared_at=Now(),
        changed_at=Now(),
        exposures_read_at=Now(),
        exposed_count=0,
        exposed_critical_count=0,
        exposed_after_exceptions=0,
    )


def count_today(tenant_id: UUID) -> None:
    """Keep how many devices each recommendation exposes as today's number (UTC): none for what disappeared today."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_TODAY, [tenant_id])
