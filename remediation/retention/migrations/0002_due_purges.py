"""tenants_with_due_purges(): whose old rows are to be looked for by a moment; never-looked-through ones first."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_due_purges(by_then timestamptz) RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE AS $$
    SELECT t.id FROM tenancy_tenant t LEFT JOIN retention_purgeturn p ON p.tenant_id = t.id
    WHERE coalesce(p.next_at, '-infinity') <= by_then
    ORDER BY coalesce(p.next_at, '-infinity'), t.id
$$
"""


class Migration(migrations.Migration):
    dependencies = [("retention", "0001_retention"), ("access", "0002_roles_of_person")]
    operations = [
        LookUpFunction(
            "tenants_with_due_purges(timestamptz)",
            definition=DEFINITION,
            reads={"retention_purgeturn": "tenant_id, next_at"},
            walled=("retention_purgeturn",),
        )
    ]
