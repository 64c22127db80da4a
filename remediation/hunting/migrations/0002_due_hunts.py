"""tenants_with_due_hunts(): whose hunts are to run, whose evidence waits for recipients, whose hunts have grown old."""

from django.db import migrations

from portal.tenancy.operations import LookUpFunction

DEFINITION = """
CREATE FUNCTION tenants_with_due_hunts() RETURNS TABLE (tenant_id uuid, lane text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT h.tenant_id, 'hunt' FROM hunting_hunt h
    WHERE (h.state = 'queued' AND h.not_before <= now()) OR (h.state = 'running' AND h.lease_until <= now())
    UNION ALL
    SELECT DISTINCT e.tenant_id, 'look_up' FROM investigations_evidence e
    JOIN investigations_investigation i ON i.tenant_id = e.tenant_id AND i.id = e.investigation_id
    JOIN tenancy_tenant t ON t.id = e.tenant_id AND t.is_active
    WHERE e.outcome = 'waiting_for_recipients' AND i.state <> 'TerminatedByUser'
      AND (e.recipients_due_at IS NULL OR e.recipients_due_at <= now())
      AND NOT EXISTS (SELECT 1 FROM hunting_hunt h WHERE h.tenant_id = e.tenant_id AND h.evidence_id = e.id
                      AND h.state IN ('queued', 'running'))
    UNION ALL
    SELECT DISTINCT h.tenant_id, 'purge' FROM hunting_hunt h
    WHERE h.created_at <= now() - interval '30 days'
$$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("hunting", "0001_hunts"),
        ("investigations", "0004_when_recipients_are_looked_up_again"),
        ("access", "0002_roles_of_person"),
        ("actions", "0003_due_work"),
    ]
    operations = [
        LookUpFunction(
            "tenants_with_due_hunts()",
            definition=DEFINITION,
            reads={
                "hunting_hunt": "tenant_id, state, not_before, lease_until, evidence_id, created_at",
                "investigations_evidence": "id, tenant_id, investigation_id, outcome, recipients_due_at",
                "investigations_investigation": "id, tenant_id, state",
            },
            walled=("hunting_hunt", "investigations_evidence", "investigations_investigation"),
        )
    ]
