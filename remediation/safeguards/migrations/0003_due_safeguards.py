"""tenants_with_due_safeguards(): whose changes have waited too long, alarms not gone out, counts grown old."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_due_safeguards() RETURNS TABLE (tenant_id uuid, lane text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT c.tenant_id, 'expire_changes' FROM safeguards_guardedchange c
    WHERE c.state = 'waiting' AND c.requested_at <= now() - interval '7 days'
    UNION ALL
    SELECT DISTINCT b.tenant_id, 'alarm' FROM safeguards_breakglass b
    WHERE b.reviewed_at IS NULL
      AND (b.alarmed_at IS NULL OR (b.reminded_at IS NULL AND b.review_before <= now()))
    UNION ALL
    SELECT DISTINCT u.tenant_id, 'forget_uses' FROM safeguards_hourlyuse u
    WHERE u.hour <= now() - interval '2 days'
$$
"""


class Migration(migrations.Migration):
    dependencies = [("safeguards", "0002_freezes_over")]
    operations = [
        LookUpFunction(
            "tenants_with_due_safeguards()",
            definition=DEFINITION,
            reads={
                "safeguards_guardedchange": "tenant_id, state, requested_at",
                "safeguards_breakglass": "tenant_id, reviewed_at, alarmed_at, reminded_at, review_before",
                "safeguards_hourlyuse": "tenant_id, hour",
            },
            walled=("safeguards_guardedchange", "safeguards_breakglass", "safeguards_hourlyuse"),
        )
    ]
