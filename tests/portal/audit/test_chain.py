"""Each tenant's rows are chained in the order of their commits, from a first row that vouches for the older ones."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from portal.audit.exporting import stream_rows
from portal.audit.models import AuditEvent
from portal.audit.recording import SYSTEM, record
from portal.audit.verify import BadRow, Verdict, verify_history
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing
from tests.conftest import make_tenant

pytestmark = pytest.mark.django_db(transaction=True)
Write = Callable[[Tenant, int], None]
THREADS = 8


def verified(tenant: Tenant) -> Verdict:
    with acting_for(tenant.id):
        return verify_history(str(tenant.id), stream_rows(tenant.id), iter(()))


def test_a_chain_begins_with_its_start_and_takes_the_older_rows_with_it(
    acme: Tenant, write_old_rows: Write, write_events: Write, owner: psycopg.Connection
) -> None:
    write_old_rows(acme, 5)
    write_events(acme, 2)
    with acting_for(acme.id):
        start = AuditEvent.objects.get(seq=6)
        assert (start.verb, start.data["earlier_rows"], start.previous_hash) == ("audit.chain_started", 5, None)
        assert bytes(AuditEvent.objects.get(seq=7).previous_hash or b"") == bytes(start.hash or b"")
        assert AuditEvent.objects.filter(hash=None).count() == 5
    assert verified(acme) == Verdict(rows=8, sealed=0, sealed_at=None)
    with owner.transaction():
        owner.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{acme.id}}}"])
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER audit_refuse_rows")
        owner.execute("UPDATE audit_auditevent SET actor_label = 'Automaton' WHERE seq = 3")
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER audit_refuse_rows")
    with pytest.raises(BadRow) as found:
        verified(acme)
    assert (found.value.seq, found.value.check) == (6, "earlier")


def test_time_never_goes_backward_even_when_the_clock_does(
    acme: Tenant, write_old_rows: Write, write_events: Write, owner: psycopg.Connection
) -> None:
    write_old_rows(acme, 1)
    with owner.transaction():
        owner.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{acme.id}}}"])
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER audit_refuse_rows")
        owner.execute("UPDATE audit_auditevent SET at = at + interval '1 hour'")
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER audit_refuse_rows")
    write_events(acme, 2)
    with acting_for(acme.id):
        first, *others = AuditEvent.objects.order_by("seq").values_list("at", flat=True)
        assert all(at - first < timedelta(seconds=1) and at >= first for at in others)


@pytest.mark.parametrize("tenants", [1, 4])
def test_eight_at_once_make_whole_chains(tenants: int) -> None:
    """Each transaction writes to all its tenants, named in another order by each: nobody waits in a ring."""
    standing = [make_tenant(f"tenant-{number}") for number in range(tenants)]

    def work(number: int) -> None:
        try:
            for _turn in range(10):
                with viewing([tenant.id for tenant in standing]):
                    for tenant in standing[number % tenants :] + standing[: number % tenants]:
                        record(tenant.id, "x", object_type="x", object_id=uuid7(), actor=SYSTEM, data={"by": number})
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    for tenant in standing:
        assert verified(tenant).rows == 1 + THREADS * 10
