"""audit_append() becomes the only way in, and chains what it writes; nothing that is written is changed any more.

The signature stays, so that code of the version before keeps appending during a rolling upgrade. The function runs as
the table's owner, whom row-level security is forced on: it writes for tenants in scope only.
"""

import importlib

from django.db import migrations

APPEND_WITHOUT_CHAIN = importlib.import_module("portal.audit.migrations.0002_append").APPEND

FIELD = """
CREATE FUNCTION audit_field(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(octet_length(value)::text || ':' || value || ',', '-')
"""
"""A netstring (cr.yp.to/proto/netstrings.txt), and a dash for null, which no netstring begins with."""

ENCODING = """
CREATE FUNCTION audit_encoding(event audit_auditevent) RETURNS bytea LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN convert_to(
        audit_field(encode(event.previous_hash, 'hex')) || audit_field(event.tenant_id::text)
        || audit_field(event.seq::text) || audit_field((extract(epoch FROM event.at) * 1000000)::bigint::text)
        || audit_field(event.id::text) || audit_field(event.verb) || audit_field(event.object_type)
        || audit_field(event.object_id::text) || audit_field(event.actor_id::text)
        || audit_field(event.actor_label) || audit_field(event.data::text), 'UTF8');
END $$
"""

APPEND = """
CREATE OR REPLACE FUNCTION audit_append(wanted uuid, events jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    entry audit_auditevent;
    event jsonb;
BEGIN
    -- One writer per tenant until COMMIT: numbers have no gaps and follow the order of commits.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit:' || wanted::text, 0));
    SELECT * INTO entry FROM audit_auditevent WHERE tenant_id = wanted ORDER BY seq DESC LIMIT 1;
    IF entry.hash IS NULL THEN
        events := jsonb_build_array(audit_genesis(wanted)) || events;
    END IF;
    entry.tenant_id := wanted;
    entry.seq := coalesce(entry.seq, 0);
    FOR event IN SELECT value FROM jsonb_array_elements(events) LOOP
        entry.id := gen_random_uuid();
        entry.seq := entry.seq + 1;
        entry.at := greatest(entry.at, clock_timestamp());
        entry.verb := event->>'verb';
        entry.object_type := event->>'object_type';
        entry.object_id := (event->>'object_id')::uuid;
        entry.actor_id := (event->'actor'->>'id')::uuid;
        entry.actor_label := event->'actor'->>'label';
        entry.data := event->'data';
        entry.previous_hash := entry.hash;
        entry.hash := sha256(audit_encoding(entry));
        INSERT INTO audit_auditevent
            (id, tenant_id, seq, at, verb, object_type, object_id, actor_id, actor_label, data, previous_hash, hash)
        VALUES (entry.id, entry.tenant_id, entry.seq, entry.at, entry.verb, entry.object_type, entry.object_id,
                entry.actor_id, entry.actor_label, entry.data, entry.previous_hash, entry.hash);
    END LOOP;
END $$
"""

GENESIS = """
CREATE FUNCTION audit_genesis(wanted uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    earlier bigint;
    digests bytea;
BEGIN
    -- 32 bytes a row: a bytea holds the digests of 30 million rows, but the rows themselves of far fewer.
    SELECT count(*), coalesce(string_agg(sha256(audit_encoding(e)), ''::bytea ORDER BY e.seq), ''::bytea)
    INTO earlier, digests FROM audit_auditevent e WHERE e.tenant_id = wanted;
    RETURN jsonb_build_object(
        'verb', 'audit.chain_started', 'object_type', 'tenant', 'object_id', wanted,
        'actor', jsonb_build_object('id', null, 'label', 'Automation'),
        'data', jsonb_build_object(
            'format', 'quell-audit-1', 'earlier_rows', earlier, 'earlier_sha256', encode(sha256(digests), 'hex')));
END $$
"""

REFUSE = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are never changed or removed (% on %)', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

INNER = ("audit_field(text)", "audit_encoding(audit_auditevent)", "audit_genesis(uuid)", "audit_refuse_change()")


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_chain_columns")]
    operations = [
        migrations.RunSQL(
            [
                FIELD,
                ENCODING,
                GENESIS,
                REFUSE,
                *[f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC" for signature in INNER],
                APPEND,
                "REVOKE INSERT, UPDATE, DELETE ON audit_auditevent FROM portal_app",
                "CREATE TRIGGER audit_refuse_rows BEFORE UPDATE OR DELETE ON audit_auditevent"
                " FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()",
                "CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON audit_auditevent"
                " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()",
            ],
            [
                "DROP TRIGGER audit_refuse_truncate ON audit_auditevent",
                "DROP TRIGGER audit_refuse_rows ON audit_auditevent",
                "GRANT INSERT ON audit_auditevent TO portal_app",
                APPEND_WITHOUT_CHAIN.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
                *[f"DROP FUNCTION {signature}" for signature in reversed(INNER)],
            ],
        )
    ]
