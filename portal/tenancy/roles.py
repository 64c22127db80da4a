"""The three database roles and what a DBA runs once: as superuser, ROLES_SQL anywhere, DATABASE_SQL in our database.

`portal_owner` owns tables and runs migrations. `portal_app` is the web and the workers: no BYPASSRLS, no TRUNCATE.
`portal_lookup` cannot sign in; it owns the SECURITY DEFINER functions that look over all tenants. NOINHERIT keeps the
owner, who must be able to hand functions to `portal_lookup`, from seeing through that role's policies.
"""

from typing import LiteralString

from django.db import connection

ROLES_SQL: LiteralString = """
CREATE ROLE portal_owner LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS;
CREATE ROLE portal_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE ROLE portal_lookup NOLOGIN NOSUPERUSER NOBYPASSRLS;
GRANT portal_lookup TO portal_owner;
"""

DATABASE_SQL: LiteralString = """
ALTER SCHEMA public OWNER TO portal_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO portal_app, portal_lookup;
ALTER DEFAULT PRIVILEGES FOR ROLE portal_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO portal_app;
ALTER DEFAULT PRIVILEGES FOR ROLE portal_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO portal_app;
"""


class PowerfulRole(RuntimeError):
    """The process signed in to PostgreSQL as somebody the second wall does not hold."""


def refuse_powerful_role() -> None:
    """Stop a web or worker process whose database role owns our schema, is superuser or bypasses row-level security.

    Raises PowerfulRole.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_user, r.rolsuper, r.rolbypassrls,
                   EXISTS (SELECT 1 FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid
                           WHERE n.nspname = 'public' AND (pg_has_role(current_user, n.nspowner, 'MEMBER')
                                                           OR pg_has_role(current_user, c.relowner, 'MEMBER')))
            FROM pg_roles r WHERE r.rolname = current_user
            """
        )
        name, is_superuser, bypasses, is_owner = cursor.fetchone()
    if is_superuser or bypasses or is_owner:
        raise PowerfulRole(
            f"DATABASE_URL signs in as {name}, which row-level security does not hold. "
            "Use portal_app for the web and the workers, and MIGRATE_DATABASE_URL for migrations; "
            "`manage.py bootstrap_roles` prints the SQL that makes both roles."
        )
