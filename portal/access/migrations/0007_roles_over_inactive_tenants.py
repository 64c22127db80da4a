"""roles_of_person() tells of tenants that are switched off, and of the reserved one, to provider admins over all.

They get a role of its own name there, which gives next to nothing; the reserved tenant is never active. And a service
account that belongs to a tenant has roles there and nowhere else, whatever memberships say.
"""

from django.db import migrations

REPLACE = """
CREATE OR REPLACE FUNCTION roles_of_person(person uuid) RETURNS TABLE (tenant_id uuid, role varchar) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH who AS (SELECT u.id, u.belongs_to_id FROM access_user u WHERE u.id = person AND u.is_active),
    staff AS (SELECT p.role, p.reach, p.group_id FROM who JOIN access_providermembership p ON p.user_id = who.id
              WHERE who.belongs_to_id IS NULL)
    SELECT t.id, m.role
    FROM who JOIN access_tenantmembership m ON m.user_id = who.id
    JOIN tenancy_tenant t ON t.id = m.tenant_id AND t.is_active
    WHERE who.belongs_to_id IS NULL OR who.belongs_to_id = m.tenant_id
    UNION
    SELECT t.id, CASE WHEN t.is_active THEN s.role ELSE 'provider_admin_of_inactive' END
    FROM staff s CROSS JOIN tenancy_tenant t
    WHERE s.reach = 'all' AND (t.is_active OR s.role = 'provider_admin')
    UNION
    SELECT t.id, s.role
    FROM staff s JOIN tenancy_tenantgroupmember g ON g.group_id = s.group_id
    JOIN tenancy_tenant t ON t.id = g.tenant_id AND t.is_active
    WHERE s.reach = 'group'
$$
"""

AS_BEFORE = """
CREATE OR REPLACE FUNCTION roles_of_person(person uuid) RETURNS TABLE (tenant_id uuid, role varchar) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
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


def as_look_up(definition):
    """Replace a function that portal_lookup owns; who may run it stays as it is."""
    return [
        "GRANT CREATE ON SCHEMA public TO portal_lookup",
        "SET LOCAL ROLE portal_lookup",
        definition,
        "RESET ROLE",
        "REVOKE CREATE ON SCHEMA public FROM portal_lookup",
    ]


class Migration(migrations.Migration):
    dependencies = [("access", "0006_invitations")]
    operations = [
        migrations.RunSQL(
            ["GRANT SELECT (belongs_to_id) ON access_user TO portal_lookup", *as_look_up(REPLACE)],
            [*as_look_up(AS_BEFORE), "REVOKE SELECT (belongs_to_id) ON access_user FROM portal_lookup"],
        )
    ]
