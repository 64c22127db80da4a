"""tenants_with_data_keys(): `rotate_keys` goes through all tenants that have secrets, one scope at a time."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_data_keys() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT DISTINCT tenant_id FROM secrets_tenantdatakey ORDER BY tenant_id
$$
"""


class Migration(migrations.Migration):
    dependencies = [("secrets", "0001_data_keys")]
    operations = [
        LookUpFunction(
            "tenants_with_data_keys()",
            definition=DEFINITION,
            reads={"secrets_tenantdatakey": "tenant_id"},
            walled=("secrets_tenantdatakey",),
        )
    ]
