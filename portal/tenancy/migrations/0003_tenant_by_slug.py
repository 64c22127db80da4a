"""tenant_by_slug(): the command line names a tenant by its short name before any scope is open."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenant_by_slug(wanted text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT id FROM tenancy_tenant WHERE slug = wanted AND is_active
$$
"""


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0002_provider_tenant")]
    operations = [
        LookUpFunction(
            "tenant_by_slug(text)",
            definition=DEFINITION,
            reads={"tenancy_tenant": "id, slug, is_active"},
            walled=("tenancy_tenant",),
        )
    ]
