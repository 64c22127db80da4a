"""tenants_with_due_vulnerability_work(): whose recommendations, tickets, due dates and exceptions have to be seen to."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_due_vulnerability_work() RETURNS TABLE (tenant_id uuid, lane text)
LANGUAGE sql STABLE AS $$
    SELECT c.tenant_id, 'recommendations' FROM connectors_connection c
    JOIN tenancy_tenant t ON t.id = c.tenant_id AND t.is_active
    LEFT JOIN vulnerabilities_vulnerabilitysync s ON s.tenant_id = c.tenant_id
    WHERE c.is_enabled AND coalesce(s.next_sync_at, '-infinity') <= now()
    UNION ALL
    SELECT i.tenant_id, 'intune' FROM vulnerabilities_intuneconnection i
    JOIN tenancy_tenant t ON t.id = i.tenant_id AND t.is_active
    WHERE i.is_on AND coalesce(i.next_sync_at, '-infinity') <= now()
    UNION ALL
    SELECT DISTINCT k.tenant_id, 'tickets' FROM vulnerabilities_securitytask k
    JOIN vulnerabilities_intuneconnection i ON i.tenant_id = k.tenant_id AND i.is_on
    JOIN tenancy_tenant t ON t.id = k.tenant_id AND t.is_active
    WHERE k.not_before <= now() AND (k.status IN ('waiting', 'sending', 'unconfirmed') OR k.wanted_status <> '')
      AND coalesce(k.lease_until, '-infinity') <= now()
    UNION ALL
    SELECT DISTINCT a.tenant_id, 'due_dates' FROM vulnerabilities_remediationactivity a
    JOIN tenancy_tenant t ON t.id = a.tenant_id AND t.is_active
    WHERE a.state = 'active' AND a.told_overdue_at IS NULL
      AND (a.due_on < (now() AT TIME ZONE 'utc')::date
           OR (a.told_due_soon_at IS NULL AND a.due_on <= (now() AT TIME ZONE 'utc')::date + 3))
    UNION ALL
    SELECT DISTINCT e.tenant_id, 'exceptions' FROM vulnerabilities_exception e
    JOIN tenancy_tenant t ON t.id = e.tenant_id
    WHERE e.state IN ('requested', 'in_effect', 'suspended')
      AND (e.expires_on < (now() AT TIME ZONE 'utc')::date
           OR (e.told_ending_at IS NULL AND e.state <> 'requested' AND t.is_active
               AND e.expires_on <= (now() AT TIME ZONE 'utc')::date + 7))
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("vulnerabilities", "0004_exceptions"),
        ("connectors", "0005_consent_and_checks"),
        ("access", "0002_roles_of_person"),
        ("actions", "0003_due_work"),
    ]
    operations = [
        LookUpFunction(
            "tenants_with_due_vulnerability_work()",
            definition=DEFINITION,
            reads={
                "connectors_connection": "tenant_id, is_enabled",
                "vulnerabilities_vulnerabilitysync": "tenant_id, next_sync_at",
                "vulnerabilities_intuneconnection": "tenant_id, is_on, next_sync_at",
                "vulnerabilities_securitytask": "tenant_id, status, wanted_status, not_before, lease_until",
                "vulnerabilities_remediationactivity": "tenant_id, state, due_on, told_due_soon_at, told_overdue_at",
                "vulnerabilities_exception": "tenant_id, state, expires_on, told_ending_at",
            },
            walled=(
                "vulnerabilities_vulnerabilitysync",
                "vulnerabilities_intuneconnection",
                "vulnerabilities_securitytask",
                "vulnerabilities_remediationactivity",
                "vulnerabilities_exception",
            ),
        )
    ]
