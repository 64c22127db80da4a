"""`manage.py bootstrap_roles`: the SQL a DBA runs once."""

from typing import Any

from django.core.management.base import BaseCommand

from portal.tenancy.roles import DATABASE_SQL, ROLES_SQL


class Command(BaseCommand):
    """Print the roles, the schema's owner and the default grants; change nothing."""

    help = "Print the SQL that makes Quell's database roles and grants, for a DBA to read and run."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the two parts with where to run them."""
        self.stdout.write("-- 1. As superuser, in any database (then give both LOGIN roles a password):")
        self.stdout.write(ROLES_SQL)
        self.stdout.write("-- 2. As superuser, in Quell's database, made with OWNER portal_owner:")
        self.stdout.write(DATABASE_SQL)
