"""Groups of what waits, by type and entity over all tenants, and every action about one entity in a tenant.

Built beside the running portal: neither keeps anybody from writing.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("actions", "0007_findings_and_entities")]
    operations = [
        AddIndexConcurrently(
            "remediationaction",
            models.Index(
                fields=["type", "entity"],
                include=("tenant", "id", "device", "created_at", "approve_before"),
                condition=models.Q(("state", "pending_approval"), models.Q(("entity", ""), _negated=True)),
                name="action_groups",
            ),
        ),
        AddIndexConcurrently(
            "remediationaction",
            models.Index(
                fields=["tenant", "entity"],
                condition=models.Q(("entity", ""), _negated=True),
                name="actions_of_entity",
            ),
        ),
    ]
