"""provider_freezes(): the freezes over all tenants, told to everybody they hold; no customer's own is in it."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION provider_freezes() RETURNS TABLE (
    id uuid, tenant_id uuid, action_type varchar, connector varchar, reason text, frozen_by varchar, frozen_at timestamptz
) LANGUAGE sql STABLE ROWS 5 AS $$
    SELECT f.id, f.tenant_id, f.action_type, f.connector, f.reason, f.frozen_by, f.frozen_at
    FROM safeguards_freeze f
    WHERE f.lifted_at IS NULL AND f.tenant_id = '00000000-0000-7000-8000-000000000001'
$$
"""


class Migration(migrations.Migration):
    dependencies = [("safeguards", "0003_due_safeguards")]
    operations = [
        LookUpFunction(
            "provider_freezes()",
            definition=DEFINITION,
            reads={
                "safeguards_freeze": "id, tenant_id, action_type, connector, reason, frozen_by, frozen_at, lifted_at"
            },
            walled=("safeguards_freeze",),
        )
    ]
