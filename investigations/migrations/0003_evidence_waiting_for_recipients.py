"""The index by which the sweep finds evidence whose recipients are to be looked up."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("investigations", "0002_recipients_of_clusters")]
    operations = [
        AddIndexConcurrently(
            "evidence",
            models.Index(
                fields=["tenant", "id"],
                condition=models.Q(outcome="waiting_for_recipients"),
                name="evidence_without_recipients",
            ),
        ),
    ]
