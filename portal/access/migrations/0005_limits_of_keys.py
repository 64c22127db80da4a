"""What an API key may be held to, and what is known of its use. Keys made before stay as wide as they were."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def somebody(verbose_name):
    """A person named on a key, who may have no account any more."""
    return models.ForeignKey(
        editable=False,
        null=True,
        on_delete=django.db.models.deletion.SET_NULL,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
        verbose_name=verbose_name,
    )


class Migration(migrations.Migration):
    dependencies = [("access", "0004_accounts_of_tenants")]
    operations = [
        migrations.AddField(
            model_name="apikey",
            name="role",
            field=models.CharField(
                blank=True,
                choices=[
                    ("reader", "Reader"),
                    ("analyst", "Analyst"),
                    ("approver", "Approver"),
                    ("tenant_admin", "Tenant admin"),
                    ("provider_admin", "Provider admin"),
                    ("break_glass", "Break glass"),
                ],
                max_length=20,
                null=True,
                verbose_name="at most the role",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="tenant_ids",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(), blank=True, null=True, size=None, verbose_name="only for the tenants"
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="networks",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=43),
                blank=True,
                default=list,
                size=None,
                verbose_name="only from the networks",
            ),
        ),
        migrations.AddField(model_name="apikey", name="created_by", field=somebody("made by")),
        migrations.AddField(model_name="apikey", name="revoked_by", field=somebody("revoked by")),
        migrations.AddField(
            model_name="apikey",
            name="last_used_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="last used"),
        ),
        migrations.AddField(
            model_name="apikey",
            name="last_used_address",
            field=models.GenericIPAddressField(editable=False, null=True, verbose_name="last used from"),
        ),
        migrations.AddField(
            model_name="apikey",
            name="last_refused_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="last refused"),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(("tenant_ids", []), _negated=True), name="a_key_for_no_tenant_is_none"
            ),
        ),
    ]
