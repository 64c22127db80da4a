"""The role for emergencies, as one of the choices; the database itself takes any word."""

from django.db import migrations, models

ROLES = [
    ("reader", "Reader"),
    ("analyst", "Analyst"),
    ("approver", "Approver"),
    ("tenant_admin", "Tenant admin"),
    ("provider_admin", "Provider admin"),
    ("break_glass", "Break glass"),
]


class Migration(migrations.Migration):
    dependencies = [("access", "0002_roles_of_person")]
    operations = [
        migrations.AlterField(
            model_name="providermembership",
            name="role",
            field=models.CharField(choices=ROLES, max_length=20, verbose_name="role"),
        ),
        migrations.AlterField(
            model_name="tenantmembership",
            name="role",
            field=models.CharField(choices=ROLES, max_length=20, verbose_name="role"),
        ),
    ]
