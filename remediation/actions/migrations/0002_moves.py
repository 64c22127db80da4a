"""The database refuses an illegal move or birth of an action, whoever writes it."""

from django.db import migrations

GUARD = """
CREATE FUNCTION action_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state NOT IN ('pending_approval', 'approved') THEN
            RAISE EXCEPTION 'an action cannot begin as %', NEW.state USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state || '>' || NEW.state) NOT IN (
        'pending_approval>approved', 'pending_approval>rejected', 'pending_approval>expired',
        'pending_approval>cancelled', 'approved>sending', 'approved>expired', 'approved>cancelled',
        'sending>accepted', 'sending>failed', 'sending>approved', 'sending>unknown',
        'accepted>succeeded', 'accepted>failed', 'accepted>timed_out', 'accepted>cancelled',
        'unknown>accepted', 'unknown>approved', 'unknown>failed', 'unknown>needs_attention',
        'needs_attention>succeeded', 'needs_attention>failed', 'needs_attention>approved'
    ) THEN
        RAISE EXCEPTION 'an action cannot move from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.tenant_id, NEW.type, NEW.device_id, NEW.parameters, NEW.parameters_sha256)
       IS DISTINCT FROM (OLD.tenant_id, OLD.type, OLD.device_id, OLD.parameters, OLD.parameters_sha256)
       OR NEW.fence < OLD.fence THEN
        RAISE EXCEPTION 'what an action does cannot be changed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("actions", "0001_actions")]
    operations = [
        migrations.RunSQL(
            [
                GUARD,
                "CREATE TRIGGER action_guard BEFORE INSERT OR UPDATE ON actions_remediationaction"
                " FOR EACH ROW EXECUTE FUNCTION action_guard()",
            ],
            ["DROP TRIGGER action_guard ON actions_remediationaction", "DROP FUNCTION action_guard()"],
        )
    ]
