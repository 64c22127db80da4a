"""Finds a tenant by its short name, for the command line, where no scope is open yet."""

from django.core.management.base import CommandError
from django.db import connection

from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for


def find_tenant(slug: str) -> Tenant:
    """Return the active tenant of this short name. Raises CommandError that says what to do."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_by_slug(%s)", [slug])
        [tenant_id] = cursor.fetchone()
    if tenant_id is None:
        raise CommandError(f"There is no active tenant {slug!r}; `manage.py add_tenant` makes one.")
    with acting_for(tenant_id):
        return Tenant.objects.get(pk=tenant_id)
