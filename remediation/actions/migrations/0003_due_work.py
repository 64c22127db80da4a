"""tenants_with_due_work(): whose bells the sweep has to ring, and which."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_due_work() RETURNS TABLE (tenant_id uuid, lane text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT a.tenant_id, 'tidy' FROM actions_remediationaction a
    WHERE (a.state = 'pending_approval' AND a.approve_before <= now())
       OR (a.state = 'approved' AND a.execute_before <= now())
       OR (a.state = 'sending' AND a.lease_until <= now())
    UNION ALL
    SELECT DISTINCT a.tenant_id, 'drain' FROM actions_remediationaction a
    WHERE a.state = 'approved' AND a.not_before <= now() AND a.execute_before > now()
    UNION ALL
    SELECT DISTINCT a.tenant_id, 'settle' FROM actions_remediationaction a
    WHERE a.state IN ('accepted', 'unknown') AND a.next_check_at <= now()
    UNION ALL
    SELECT c.tenant_id, 'sync' FROM connectors_connection c
    JOIN tenancy_tenant t ON t.id = c.tenant_id AND t.is_active
    WHERE c.is_enabled AND coalesce(c.next_sync_at, '-infinity') <= now()
$$
"""


class Migration(migrations.Migration):
    dependencies = [("actions", "0002_moves"), ("connectors", "0001_connections"), ("access", "0002_roles_of_person")]
    operations = [
        LookUpFunction(
            "tenants_with_due_work()",
            definition=DEFINITION,
            reads={
                "actions_remediationaction": "tenant_id, state, approve_before, execute_before, lease_until,"
                " not_before, next_check_at",
                "connectors_connection": "tenant_id, is_enabled, next_sync_at",
            },
            walled=("actions_remediationaction", "connectors_connection"),
        )
    ]
