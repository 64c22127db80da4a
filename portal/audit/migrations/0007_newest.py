"""Newest first over many tenants, and nothing else: built without holding up who writes."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("audit", "0006_sealing")]
    operations = [AddIndexConcurrently("auditevent", models.Index(fields=["at", "seq"], name="audit_newest"))]
