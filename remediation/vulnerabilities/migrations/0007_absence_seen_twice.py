"""Since when a task of unknown outcome is missing in Intune: another is made only once it was missing twice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vulnerabilities", "0006_devices_without_entra_id")]
    operations = [
        migrations.AddField(
            model_name="securitytask",
            name="absent_since",
            field=models.DateTimeField(editable=False, null=True),
        )
    ]
