"""roles_of_person(): which tenants may this person see, and as what, asked before any scope is open."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION roles_of_person(person uuid) RETURNS TABLE (tenant_id uuid, role varchar) LANGUAGE sql STABLE AS $$
    WITH who AS (SELECT u.id FROM access_user u WHERE u.id = person AND u.is_active)
    SELECT t.id, m.role
    FROM who JOIN access_tenantmembership m ON m.user_id = who.id
    JOIN tenancy_tenant t ON t.id = m.tenant_id AND t.is_active
    UNION
    SELECT t.id, p.role
    FROM who JOIN access_providermembership p ON p.user_id = who.id AND p.reach = 'all'
    CROSS JOIN tenancy_tenant t
    WHERE t.is_active
    UNION
    SELECT t.id, p.role
    FROM who JOIN access_providermembership p ON p.user_id = who.id AND p.reach = 'group'
    JOIN tenancy_tenantgroupmember g ON g.group_id = p.group_id
    JOIN tenancy_tenant t ON t.id = g.tenant_id AND t.is_active
$$
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0001_people_and_memberships"), ("tenancy", "0002_provider_tenant")]
    operations = [
        LookUpFunction(
            "roles_of_person(uuid)",
            definition=DEFINITION,
            reads={
                "access_user": "id, is_active",
                "access_tenantmembership": "user_id, tenant_id, role",
                "access_providermembership": "user_id, role, reach, group_id",
                "tenancy_tenantgroupmember": "group_id, tenant_id",
                "tenancy_tenant": "id, is_active",
            },
            walled=("access_tenantmembership", "tenancy_tenant"),
        )
    ]
