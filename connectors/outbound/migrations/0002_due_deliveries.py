"""tenants_with_due_deliveries(): whose deliveries are to be tried."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_due_deliveries() RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT d.tenant_id FROM outbound_delivery d
    JOIN tenancy_tenant t ON t.id = d.tenant_id AND t.is_active
    WHERE (d.state = 'queued' AND d.not_before <= now()) OR (d.state = 'sending' AND d.lease_until <= now())
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("outbound", "0001_channels"),
        ("access", "0002_roles_of_person"),
    ]
    operations = [
        LookUpFunction(
            "tenants_with_due_deliveries()",
            definition=DEFINITION,
            reads={"outbound_delivery": "tenant_id, state, not_before, lease_until"},
            walled=("outbound_delivery",),
        )
    ]
