"""When history was last sealed, for the pages: one row, while the evidence itself is outside the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_heads")]
    operations = [
        migrations.CreateModel(
            "Sealing",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("sealed_at", models.DateTimeField(verbose_name="last sealed")),
                ("shortened", models.PositiveIntegerField(default=0, verbose_name="shortened histories")),
            ],
            options={
                "verbose_name": "audit sealing",
                "verbose_name_plural": "audit sealing",
                "constraints": [models.CheckConstraint(condition=models.Q(id=1), name="audit_one_sealing")],
            },
        )
    ]
