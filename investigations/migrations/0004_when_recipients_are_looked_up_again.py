"""When a look-up of recipients that failed is tried again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("investigations", "0003_evidence_waiting_for_recipients")]
    operations = [
        migrations.AddField(
            "evidence",
            "recipients_due_at",
            models.DateTimeField(editable=False, null=True, verbose_name="when the recipients are looked up again"),
        ),
    ]
