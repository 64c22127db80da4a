"""History is only ever added to: by the one function for the app, and by nobody else without leaving a trace."""

from collections.abc import Callable

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from portal.audit.models import AuditEvent
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

Write = Callable[[Tenant, int], None]

CHANGES = [
    "UPDATE audit_auditevent SET verb = 'x'",
    "DELETE FROM audit_auditevent",
    "TRUNCATE audit_auditevent",
]
INSERT = (
    "INSERT INTO audit_auditevent (id, tenant_id, seq, at, verb, object_type, object_id, actor_label, data)"
    " SELECT gen_random_uuid(), tenant_id, 99, at, verb, object_type, object_id, actor_label, data"
    " FROM audit_auditevent LIMIT 1"
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", [*CHANGES, INSERT])
def test_the_app_can_only_append(acme: Tenant, write_events: Write, statement: str) -> None:
    write_events(acme, 2)
    with pytest.raises(DatabaseError, match="permission denied"), acting_for(acme.id), connection.cursor() as cursor:
        cursor.execute(statement)
    with acting_for(acme.id):
        assert AuditEvent.objects.count() == 3


@pytest.mark.parametrize("statement", [*CHANGES, "TRUNCATE tenancy_tenant CASCADE"])
def test_the_owner_is_refused_too(owner: psycopg.Connection, acme: Tenant, write_events: Write, statement: str) -> None:
    write_events(acme, 2)
    owner.execute("SELECT set_config('app.tenant_ids', %s, false)", [f"{{{acme.id}}}"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed or removed"):
        owner.execute(statement)
    with acting_for(acme.id):
        assert AuditEvent.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_nothing_is_appended_for_a_tenant_out_of_scope(acme: Tenant, globex: Tenant) -> None:
    event = '[{"verb": "x", "object_type": "x", "object_id": "%s", "actor": {"label": "x"}, "data": {}}]' % acme.id
    with pytest.raises(DatabaseError, match="row-level security"), acting_for(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT audit_append(%s, %s::jsonb)", [globex.id, event])
    with acting_for(globex.id):
        assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_work_that_is_rolled_back_leaves_no_event(acme: Tenant, write_events: Write) -> None:
    with acting_for(acme.id):
        write_events(acme, 1)
        transaction.set_rollback(True)
    with acting_for(acme.id):
        assert not AuditEvent.objects.exists()
