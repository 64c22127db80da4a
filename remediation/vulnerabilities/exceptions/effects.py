"""What exceptions leave exposed: each recommendation's status and count, and new devices in the scope of one."""

from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _

from connectors.outbound.telling import tell
from investigations.turns import take_turn
from portal.audit.recording import SYSTEM, record
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.exceptions.coverage import COVERED
from remediation.vulnerabilities.exceptions.telling import grew
from remediation.vulnerabilities.exceptions.transitions import hold
from remediation.vulnerabilities.models import RecommendationException

_SET_STATUS = f"""
WITH {COVERED},
left_over AS MATERIALIZED (
    SELECT r.id, count(*) AS exposed
    FROM reached r
    JOIN vulnerabilities_exposure x ON x.tenant_id = %(tenant)s AND x.recommendation_id = r.id
    JOIN investigations_device d ON d.tenant_id = %(tenant)s AND d.id = x.device_id
    WHERE NOT EXISTS (SELECT FROM covered c WHERE c.recommendation_id = r.id AND c.group_id = d.group_id)
    GROUP BY r.id
),
groups_covered AS MATERIALIZED (
    SELECT c.recommendation_id, count(*) AS number FROM covered c GROUP BY c.recommendation_id
),
statuses AS (
    SELECT r.id, r.exposed_count, r.exposures_read_at, l.exposed,
           CASE WHEN everywhere.recommendation_id IS NOT NULL
                  OR g.number = (SELECT count(*) FROM investigations_devicegroup WHERE tenant_id = %(tenant)s)
                THEN 'full_exception'
                WHEN g.number > 0 THEN 'partial_exception'
                ELSE 'active' END AS status
    FROM vulnerabilities_recommendation r
    LEFT JOIN covered_everywhere everywhere ON everywhere.recommendation_id = r.id
    LEFT JOIN groups_covered g ON g.recommendation_id = r.id
    LEFT JOIN left_over l ON l.id = r.id
    WHERE r.tenant_id = %(tenant)s
),
worked_out AS (
    SELECT s.id, s.status,
           CASE WHEN s.status = 'full_exception' THEN 0
                WHEN s.status = 'active' OR s.exposures_read_at IS NULL THEN s.exposed_count
                ELSE coalesce(s.exposed, 0) END AS exposed_after
    FROM statuses s
)
UPDATE vulnerabilities_recommendation r SET status = w.status, exposed_after_exceptions = w.exposed_after
FROM worked_out w
WHERE r.tenant_id = %(tenant)s AND r.id = w.id
  AND (r.status, r.exposed_after_exceptions) IS DISTINCT FROM (w.status, w.exposed_after)
"""  # noqa: S608 our own constants

_SET_DEVICES = f"""
WITH {COVERED},
reaches AS MATERIALIZED (
    SELECT e.id AS exception_id, e.recommendation_id, e.is_global, e.group_ids, e.decided_at
    FROM in_effect e WHERE e.recommendation_id IS NOT NULL
    UNION ALL
    SELECT e.id, r.id, e.is_global, e.group_ids, e.decided_at
    FROM in_effect e JOIN reached r ON e.cve_id <> '' AND r.cve_ids @> ARRAY[e.cve_id]
),
exposed AS MATERIALIZED (
    SELECT x.recommendation_id, x.device_id, d.group_id
    FROM vulnerabilities_exposure x
    JOIN investigations_device d ON d.tenant_id = %(tenant)s AND d.id = x.device_id
    WHERE x.tenant_id = %(tenant)s AND x.recommendation_id IN (SELECT s.recommendation_id FROM reaches s)
),
gone AS (
    DELETE FROM vulnerabilities_excepteddevice k USING in_effect e
    WHERE k.tenant_id = %(tenant)s AND k.exception_id = e.id AND NOT EXISTS (
        SELECT FROM reaches s
        JOIN vulnerabilities_exposure x ON x.tenant_id = %(tenant)s AND x.recommendation_id = s.recommendation_id
             AND x.device_id = k.device_id
        JOIN investigations_device d ON d.tenant_id = %(tenant)s AND d.id = k.device_id
        WHERE s.exception_id = k.exception_id AND (s.is_global OR d.group_id = ANY (s.group_ids)))
),
come AS (
    INSERT INTO vulnerabilities_excepteddevice (id, tenant_id, exception_id, device_id, is_new)
    SELECT gen_random_uuid(), %(tenant)s, s.exception_id, x.device_id, s.decided_at < now()
    FROM reaches s
    JOIN exposed x ON x.recommendation_id = s.recommendation_id AND (s.is_global OR x.group_id = ANY (s.group_ids))
    ON CONFLICT (tenant_id, exception_id, device_id) DO NOTHING
    RETURNING exception_id, is_new
)
SELECT exception_id, count(*) FROM come WHERE is_new GROUP BY exception_id
"""  # noqa: S608 our own constants

_COUNT_NEW = """
UPDATE vulnerabilities_exception e SET new_device_count = c.number
FROM (
    SELECT i.id, (SELECT count(*) FROM vulnerabilities_excepteddevice k
                  WHERE k.tenant_id = i.tenant_id AND k.exception_id = i.id AND k.is_new) AS number
    FROM vulnerabilities_exception i WHERE i.tenant_id = %(tenant)s AND i.state = 'in_effect'
) c
WHERE e.tenant_id = %(tenant)s AND e.id = c.id AND e.new_device_count <> c.number
"""


def refresh_effects(tenant_id: UUID) -> None:
    """Work out anew what the tenant's exceptions cover. Opens its own scope; harmless to repeat.

    A recommendation is in full exception when every device group it has today is covered, or the whole tenant is, and
    in partial exception when some are; a group made later is covered by global exceptions alone, so it may turn full
    into partial. What is left exposed is counted from the devices that were read, else it stays Microsoft's count.
    `coverage.COVERED` says what exceptions for CVEs cover.

    Devices exposed in a scope are kept for each exception in effect; one that came after it was granted is new, goes on
    record, and the first time for each exception the IT admins are told. A device that an exception for a CVE covers is
    one exposed to a recommendation that names the CVE: which device has which CVE is not read.

    Exceptions made in Defender have no effect here. Its API says `Exception` of a recommendation
    (`status_at_source`), but not for which groups, why, by whom or until when, and hides it from no list.
    """
    with acting_for(tenant_id):
        hold(tenant_id)
        take_turn(tenant_id)  # who stores recommendations locks the same rows in another order
        with connection.cursor() as cursor:
            cursor.execute(_SET_STATUS, {"tenant": tenant_id, "only": None})
            cursor.execute(_SET_DEVICES, {"tenant": tenant_id, "only": None})
            come = dict(cursor.fetchall())
            cursor.execute(_COUNT_NEW, {"tenant": tenant_id})
        grown = RecommendationException.objects.filter(pk__in=come).select_related("recommendation").order_by("pk")
        for exception in grown if come else ():
            _note_growth(exception, come[exception.pk])


def _note_growth(exception: RecommendationException, came: int) -> None:
    record(
        exception.tenant_id,
        "exception.devices_entered",
        object_type="exception",
        object_id=exception.pk,
        actor=SYSTEM,
        data={
            "before": {"new_device_count": exception.new_device_count - came},
            "after": {"new_device_count": exception.new_device_count},
            "count": came,
            "reason": _("Devices that came after the exception was granted are exposed in its scope."),
        },
    )
    tell(exception.tenant_id, grew(exception), key=f"exception-grew:{exception.pk}")
