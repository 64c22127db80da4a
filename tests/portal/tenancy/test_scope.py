"""The door and the two walls."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from investigations.models import Device, DeviceGroup
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.tenancy.exceptions import EmptyScope, NoScope, WiderScope
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing


def members() -> int:
    """Count memberships past the first wall, by plain SQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM access_tenantmembership")
        return int(cursor.fetchone()[0])


def test_no_scope_raises_when_the_query_runs_not_when_it_is_built(ada: User) -> None:
    rows = TenantMembership.objects.filter(role=Role.ANALYST)
    with pytest.raises(NoScope):
        list(rows)
    with pytest.raises(NoScope):
        rows.update(role=Role.READER)
    with pytest.raises(NoScope):
        rows.delete()


def test_a_scope_of_nobody_is_refused_and_never_means_all(db: None) -> None:
    with pytest.raises(EmptyScope), viewing([]):
        pass


def test_a_scope_may_only_narrow(acme: Tenant, globex: Tenant) -> None:
    with acting_for(acme.id), pytest.raises(WiderScope), viewing([acme.id, globex.id]):
        pass


@pytest.mark.django_db(transaction=True)
def test_the_database_alone_keeps_tenants_apart(ada: User, gil: User, acme: Tenant, globex: Tenant) -> None:
    assert members() == 0
    with acting_for(acme.id):
        assert members() == 1
    with viewing([acme.id, globex.id]):
        assert members() == 2
        with acting_for(globex.id):
            assert members() == 1
        assert members() == 2  # the inner setting does not outlive its scope
    assert members() == 0


@pytest.mark.django_db(transaction=True)
def test_the_outer_scope_is_back_after_an_inner_error(ada: User, gil: User, acme: Tenant, globex: Tenant) -> None:
    with viewing([acme.id, globex.id]):
        with pytest.raises(ZeroDivisionError), acting_for(globex.id):
            raise ZeroDivisionError
        assert members() == 2


@pytest.mark.django_db(transaction=True)
def test_writing_for_another_tenant_is_refused_by_the_database(acme: Tenant, globex: Tenant, ada: User) -> None:
    with pytest.raises(DatabaseError, match="row-level security"), acting_for(acme.id):
        TenantMembership.objects.create(tenant=globex, user=ada, role=Role.READER)


@pytest.mark.django_db(transaction=True)
def test_the_app_cannot_truncate_or_bend_history(acme: Tenant) -> None:
    for statement in (
        "TRUNCATE access_tenantmembership",
        "UPDATE audit_auditevent SET verb = 'x'",
        "DELETE FROM audit_auditevent",
    ):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as c:
            c.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_a_foreign_key_cannot_reach_into_another_tenant(acme: Tenant, globex: Tenant) -> None:
    with acting_for(globex.id):
        theirs = DeviceGroup.objects.create(tenant=globex, name="Theirs", rank=1)
    with pytest.raises(IntegrityError), acting_for(acme.id):
        Device.objects.create(tenant=acme, machine_id="a" * 40, group_id=theirs.id)
