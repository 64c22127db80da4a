"""The new foreign key is validated and indexed beside the running portal: neither keeps anybody from writing."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("actions", "0005_decision_break_glass")]
    operations = [
        migrations.RunSQL(
            'ALTER TABLE actions_decision VALIDATE CONSTRAINT "actions_decision_break_glass_id_wall"',
            migrations.RunSQL.noop,
        ),
        AddIndexConcurrently(
            "decision",
            models.Index(
                fields=["tenant", "break_glass"],
                condition=models.Q(("break_glass__isnull", False)),
                name="decisions_of_break_glass",
            ),
        ),
    ]
