"""A decision may rest on a break-glass use. Nullable and without a default: no row is rewritten, no write waits long."""

from django.db import migrations, models

import portal.tenancy.models

BIND = """
ALTER TABLE actions_decision ADD CONSTRAINT "actions_decision_break_glass_id_wall"
FOREIGN KEY (tenant_id, break_glass_id) REFERENCES safeguards_breakglass (tenant_id, id)
DEFERRABLE INITIALLY IMMEDIATE NOT VALID
"""


class Migration(migrations.Migration):
    dependencies = [("actions", "0004_action_center_tabs"), ("safeguards", "0001_safeguards")]
    operations = [
        migrations.AddField(
            model_name="decision",
            name="break_glass",
            field=portal.tenancy.models.TenantForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=models.PROTECT,
                related_name="decisions",
                to="safeguards.breakglass",
                verbose_name="break glass",
            ),
        ),
        migrations.RunSQL(BIND, 'ALTER TABLE actions_decision DROP CONSTRAINT "actions_decision_break_glass_id_wall"'),
    ]
