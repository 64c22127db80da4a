"""freezes_over(): what holds sending for a tenant back, its own freezes and the provider's over all tenants."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION freezes_over(wanted uuid) RETURNS TABLE (id uuid, tenant_id uuid, action_type varchar, connector varchar)
LANGUAGE sql STABLE ROWS 5 AS $$
    SELECT f.id, f.tenant_id, f.action_type, f.connector
    FROM safeguards_freeze f
    WHERE f.lifted_at IS NULL AND f.tenant_id IN (wanted, '00000000-0000-7000-8000-000000000001')
$$
"""


class Migration(migrations.Migration):
    dependencies = [("safeguards", "0001_safeguards")]
    operations = [
        LookUpFunction(
            "freezes_over(uuid)",
            definition=DEFINITION,
            reads={"safeguards_freeze": "id, tenant_id, action_type, connector, lifted_at"},
            walled=("safeguards_freeze",),
        )
    ]
