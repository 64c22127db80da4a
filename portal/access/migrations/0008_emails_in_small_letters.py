"""E-mails of accounts in small letters, as new ones are kept: no two ever differed in case alone."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("access", "0007_roles_over_inactive_tenants")]
    operations = [
        migrations.RunSQL(
            "UPDATE access_user SET email = lower(email) WHERE email <> lower(email)", migrations.RunSQL.noop
        )
    ]
