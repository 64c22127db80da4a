"""tenants_with_due_work() also finds what a person was to do in the Defender portal and did not say for three days."""

import importlib

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

FORMER = importlib.import_module("remediation.actions.migrations.0003_due_work").Migration.operations[0]

BY_HAND = """
       OR (a.state = 'accepted' AND a.next_check_at IS NULL AND a.accepted_at <= now() - interval '3 days')"""

_LEASE_IS_OVER = "OR (a.state = 'sending' AND a.lease_until <= now())"


class Migration(migrations.Migration):
    dependencies = [("actions", "0008_entity_indexes")]
    operations = [
        migrations.RunSQL(FORMER.reverse_sql, FORMER.sql),
        LookUpFunction(
            "tenants_with_due_work()",
            definition=FORMER.definition.replace(_LEASE_IS_OVER, _LEASE_IS_OVER + BY_HAND),
            reads={
                **FORMER.reads,
                "actions_remediationaction": FORMER.reads["actions_remediationaction"] + ", accepted_at",
            },
            walled=FORMER.walled,
        ),
    ]
