"""audit_heads(): the newest chained row of every tenant, which the sealer signs each minute."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

HEADS = """
CREATE FUNCTION audit_heads() RETURNS TABLE (tenant_id uuid, seq bigint, hash bytea) LANGUAGE sql STABLE AS $$
    SELECT t.id, head.seq, head.hash FROM tenancy_tenant t CROSS JOIN LATERAL (
        SELECT e.seq, e.hash FROM audit_auditevent e WHERE e.tenant_id = t.id ORDER BY e.seq DESC LIMIT 1
    ) head WHERE head.hash IS NOT NULL ORDER BY t.id
$$
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_chained_append"), ("tenancy", "0001_tenants")]
    operations = [
        LookUpFunction(
            "audit_heads()",
            definition=HEADS,
            reads={"tenancy_tenant": "id", "audit_auditevent": "tenant_id, seq, hash"},
            walled=("tenancy_tenant", "audit_auditevent"),
        )
    ]
