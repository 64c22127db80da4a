"""Service accounts that belong to a tenant; those there are belong to the provider, as they did."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("access", "0003_break_glass_role"), ("tenancy", "0003_tenant_by_slug")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="belongs_to",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenancy.tenant",
                verbose_name="belongs to",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("belongs_to__isnull", True), ("is_service_account", True), _connector="OR"),
                name="people_belong_to_no_tenant",
            ),
        ),
        migrations.CreateModel(
            name="ServiceAccount",
            fields=[],
            options={
                "verbose_name": "service account",
                "verbose_name_plural": "service accounts",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("access.user",),
        ),
    ]
