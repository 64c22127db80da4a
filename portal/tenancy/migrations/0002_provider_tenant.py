"""The reserved tenant that events without a customer belong to."""

from django.db import migrations

from portal.tenancy.models import PROVIDER_TENANT_ID


def add(apps, editor):
    """Insert it inside a scope of its own: row-level security holds the owner too."""
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_ids', %s, true)", ["{%s}" % PROVIDER_TENANT_ID])
        cursor.execute(
            "INSERT INTO tenancy_tenant"
            " (id, slug, name, entra_tenant_id, device_isolation_is_automatic, is_active, created_at)"
            " VALUES (%s, 'provider', 'Provider', %s, false, false, now())",
            [PROVIDER_TENANT_ID, PROVIDER_TENANT_ID],
        )


def remove(apps, editor):
    """Delete it."""
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_ids', %s, true)", ["{%s}" % PROVIDER_TENANT_ID])
        cursor.execute("DELETE FROM tenancy_tenant WHERE id = %s", [PROVIDER_TENANT_ID])


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0001_tenants")]
    operations = [migrations.RunPython(add, remove)]
