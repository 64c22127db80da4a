"""Who received the messages of a mail cluster: columns to keep it in, and an outcome while it is being looked up."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("investigations", "0001_investigations")]
    operations = [
        migrations.AddField("evidence", "recipients", models.JSONField(editable=False, null=True, verbose_name="recipients")),
        migrations.AddField(
            "evidence",
            "recipients_error",
            models.TextField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                verbose_name="why the recipients are not known",
            ),
        ),
        migrations.AlterField(
            "evidence",
            "outcome",
            models.CharField(
                blank=True,
                choices=[
                    ("automatic", "Automatic"),
                    ("pending", "Pending approval"),
                    ("not_needed", "Nothing needed"),
                    ("waiting_for_verdict", "Waiting for a verdict"),
                    ("waiting_for_recipients", "Looking up recipients"),
                    ("no_automated_response", "No automated response"),
                    ("no_action", "No action"),
                ],
                max_length=30,
                verbose_name="outcome",
            ),
        ),
    ]
