"""How many devices of an activity could not be sent to Intune for want of an Entra device id."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vulnerabilities", "0005_due_work")]
    operations = [
        migrations.AddField(
            model_name="remediationactivity",
            name="devices_without_entra_id",
            field=models.PositiveIntegerField(
                editable=False, null=True, verbose_name="devices without an Entra device id"
            ),
        )
    ]
