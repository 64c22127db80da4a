"""How many tenants a question named: who may not read all of them is not shown what was asked."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hunting", "0002_due_hunts")]
    operations = [
        migrations.AddField(
            model_name="hunt",
            name="tenants_asked",
            field=models.PositiveIntegerField(db_default=1, default=1, editable=False),
        )
    ]
