"""What exceptions in effect cover, in SQL: the beginning of every statement that asks it.

Each piece is a named query for a WITH clause; they take the tenant's id as the parameter `tenant`, and as `only` the
ids of the recommendations that are asked about, null for all of them.
"""

from typing import Final

COVERED: Final = """
in_effect AS MATERIALIZED (
    SELECT e.id, e.recommendation_id, e.cve_id::text AS cve_id, e.is_global, e.group_ids, e.decided_at
    FROM vulnerabilities_exception e
    WHERE e.tenant_id = %(tenant)s AND e.state = 'in_effect' AND e.expires_on >= (now() AT TIME ZONE 'utc')::date
),
reached AS MATERIALIZED (
    SELECT r.id, r.cve_ids,
           r.cves_read_at IS NOT NULL AND cardinality(r.cve_ids) >= greatest(r.weaknesses, 1) AS has_all_cves
    FROM vulnerabilities_recommendation r
    WHERE r.tenant_id = %(tenant)s AND (%(only)s::uuid[] IS NULL OR r.id = ANY (%(only)s::uuid[]))
      AND (r.id IN (SELECT e.recommendation_id FROM in_effect e WHERE e.recommendation_id IS NOT NULL)
           OR r.cve_ids && ARRAY(SELECT e.cve_id FROM in_effect e WHERE e.cve_id <> ''))
),
covered_everywhere AS MATERIALIZED (
    SELECT r.id AS recommendation_id FROM reached r
    WHERE EXISTS (SELECT FROM in_effect e WHERE e.recommendation_id = r.id AND e.is_global)
       OR (r.has_all_cves AND NOT EXISTS (
               SELECT FROM unnest(r.cve_ids) AS c (cve_id)
               WHERE NOT EXISTS (SELECT FROM in_effect e WHERE e.cve_id = c.cve_id AND e.is_global)))
),
covered AS MATERIALIZED (
    SELECT r.id AS recommendation_id, g.id AS group_id
    FROM reached r JOIN investigations_devicegroup g ON g.tenant_id = %(tenant)s
    WHERE EXISTS (SELECT FROM in_effect e
                  WHERE e.recommendation_id = r.id AND (e.is_global OR g.id = ANY (e.group_ids)))
       OR (r.has_all_cves AND NOT EXISTS (
               SELECT FROM unnest(r.cve_ids) AS c (cve_id)
               WHERE NOT EXISTS (SELECT FROM in_effect e
                                 WHERE e.cve_id = c.cve_id AND (e.is_global OR g.id = ANY (e.group_ids)))))
)
"""
"""`covered` holds recommendations by the device groups they are excepted for, `covered_everywhere` those excepted for
the whole tenant, groups made later included.

An exception for a CVE covers a recommendation only where every one of its CVEs is excepted: a device with one left is
still to be updated. Microsoft documents no rule for this. While not all of its CVEs are known (fewer were read than it
has weaknesses) none of them can cover it.
"""
