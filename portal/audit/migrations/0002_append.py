"""audit_append(): the one way into the history. The app may read and append, not change."""

from django.db import migrations

APPEND = """
CREATE FUNCTION audit_append(wanted uuid, events jsonb) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE last bigint;
BEGIN
    -- One writer per tenant until COMMIT: numbers have no gaps and follow the order of commits.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit:' || wanted::text, 0));
    SELECT coalesce(max(seq), 0) INTO last FROM audit_auditevent WHERE tenant_id = wanted;
    INSERT INTO audit_auditevent
        (id, tenant_id, seq, at, verb, object_type, object_id, actor_id, actor_label, data)
    SELECT gen_random_uuid(), wanted, last + e.position, clock_timestamp(), e.event->>'verb', e.event->>'object_type',
           (e.event->>'object_id')::uuid, (e.event->'actor'->>'id')::uuid, e.event->'actor'->>'label', e.event->'data'
    FROM jsonb_array_elements(events) WITH ORDINALITY AS e(event, position);
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_audit_events")]
    operations = [
        migrations.RunSQL(
            [
                APPEND,
                "REVOKE ALL ON FUNCTION audit_append(uuid, jsonb) FROM PUBLIC",
                "GRANT EXECUTE ON FUNCTION audit_append(uuid, jsonb) TO portal_app",
                "REVOKE UPDATE, DELETE ON audit_auditevent FROM portal_app",
            ],
            [
                "GRANT UPDATE, DELETE ON audit_auditevent TO portal_app",
                "DROP FUNCTION audit_append(uuid, jsonb)",
            ],
        )
    ]
