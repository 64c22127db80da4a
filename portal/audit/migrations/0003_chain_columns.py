"""Room for the chain; rows written before it keep nulls and are vouched for by the tenant's genesis event."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append")]
    operations = [
        migrations.AddField("auditevent", "previous_hash", models.BinaryField(null=True, verbose_name="previous hash")),
        migrations.AddField("auditevent", "hash", models.BinaryField(null=True, verbose_name="hash")),
    ]
