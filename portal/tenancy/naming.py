"""Finds a tenant by its short name, where no scope is open yet: on the command line, and before anybody signed in."""

from typing import cast
from uuid import UUID

from django.core.management.base import CommandError
from django.db import connection

from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for


def tenant_id_of(slug: str) -> UUID | None:
    """Return the id of the active tenant of this short name, None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_by_slug(%s)", [slug])
        return cast(UUID | None, cursor.fetchone()[0])


def find_tenant(slug: str) -> Tenant:
    """Return the active tenant of this short name. Raises CommandError that says what to do."""
    tenant_id = tenant_id_of(slug)
    if tenant_id is None:
        raise CommandError(f"There is no active tenant {slug!r}; `manage.py add_tenant` makes one.")
    with acting_for(tenant_id):
        return Tenant.objects.get(pk=tenant_id)
