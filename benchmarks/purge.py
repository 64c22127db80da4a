"""`python -m benchmarks.purge [ROWS]`: a list read while a million old activities are purged, and while nothing is.

As portal_app, with the portal's own purge in a process of its own and the query of the API's page of activities, over
all tenants. Reading goes on in turns, with the purge at work and without; ends with an error when the p95 of the first
is over 1.2 times that of the second, or when a row or a receipt is missing in the end.
"""

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import psycopg

from portal.embedded.servers import EmbeddedPostgres, join_broker, join_postgres

DATABASE = "quell_bench_purge"
ROWS = 1_000_000
TENANTS = 10
KEPT_PER_TENANT = 2_000
QUIET_SECONDS, PURGING_SECONDS = 3.0, 10.0
PAUSE_SECONDS = 0.01
HIGHEST_RATIO = 1.2

FILL = """
INSERT INTO tenancy_tenant (id, slug, name, entra_tenant_id, device_isolation_is_automatic, is_active, created_at)
SELECT gen_random_uuid(), 'bench-' || n, 'Bench ' || n, gen_random_uuid(), false, true, now()
FROM generate_series(1, %(tenants)s) n;
"""
ACTIVITIES = """
INSERT INTO vulnerabilities_remediationactivity (id, tenant_id, campaign, tenants_asked, origin, defender_task_id,
    title, related_component, option, mitigation, priority, notes, group_ids, group_names, state, completion,
    completed_by_label, completed_at, completion_note, requested_by_label, devices_at_start, devices_fixed,
    devices_exposed, devices_gone, exposed_again_count, wants_ticket)
SELECT uuidv7(), t.id, gen_random_uuid(), 1, 'quell', '', 'Update product ' || n, 'Product', 'software_update', 'none',
       'high', 'Please update before the end of the week.', '{}', '{}', 'completed', 'system', 'System confirmation',
       now() - %(days)s * interval '1 day', '', 'ada@acme.example', 20, 20, 0, 0, 0, false
FROM tenancy_tenant t, generate_series(1, %(each)s) n WHERE t.slug LIKE 'bench-%%'
"""


def main() -> None:
    """Fill, measure and print; end with an error when readers felt it."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with TemporaryDirectory() as folder:
        server = _prepare(Path(folder))
        tenants = _fill(server, rows)
        quiet, purging, seconds = _measure(tenants)
        _check(server, rows)
    ratio = _p95(purging) / _p95(quiet)
    print(f"{rows} activities purged in {seconds:.0f} s, {rows / seconds:.0f} /s")
    for what, times in (("nothing", quiet), ("a purge", purging)):
        middle, late = 1000 * statistics.median(times), 1000 * _p95(times)
        print(f"list beside {what}: median {middle:.1f} ms, p95 {late:.1f} ms, {len(times)} readings")
    print(f"p95 ratio {ratio:.2f}, at most {HIGHEST_RATIO}")
    if ratio > HIGHEST_RATIO:
        raise SystemExit(f"Readers wait for the purge: their p95 is {ratio:.2f} times as long.")


def _prepare(folder: Path) -> EmbeddedPostgres:
    server = join_postgres()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    server.create_database(DATABASE)
    os.environ |= {
        "DATABASE_URL": server.url("portal_app", DATABASE),
        "MIGRATE_DATABASE_URL": server.url("portal_owner", DATABASE),
        "BROKER_URL": join_broker(),
        "QUELL_DEVELOPMENT": "1",
        "RETENTION_RECEIPTS_FILE": str(folder / "receipts.jsonl"),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return server


def _fill(server: EmbeddedPostgres, rows: int) -> list[UUID]:
    with psycopg.connect(
        server.url("postgres", DATABASE), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(FILL, {"tenants": TENANTS})
        superuser.execute(ACTIVITIES, {"days": 181, "each": rows // TENANTS})
        superuser.execute(ACTIVITIES, {"days": 20, "each": KEPT_PER_TENANT})
        superuser.execute("VACUUM ANALYZE")
        found = superuser.execute("SELECT id FROM tenancy_tenant WHERE slug LIKE 'bench-%'").fetchall()
    return [tenant_id for (tenant_id,) in found]


def _measure(tenants: list[UUID]) -> tuple[list[float], list[float], float]:
    """Return the seconds of each reading beside nothing and beside the purge, and how long the purge was at work."""
    from portal.tenancy.scope import viewing
    from remediation.vulnerabilities.activities.reading import activities_for_lists

    def read() -> None:
        with viewing(tenants):
            list(activities_for_lists().order_by("-id")[:51])

    spawning = multiprocessing.get_context("spawn")
    gate, done = spawning.Event(), spawning.Event()
    purge = spawning.Process(target=purge_in_turns, args=(tenants, gate, done))
    purge.start()
    quiet: list[float] = []
    purging: list[float] = []
    at_work = 0.0
    while not done.is_set() and purge.is_alive():
        ends_at = time.monotonic() + QUIET_SECONDS
        quiet += _read_while(read, partial(_is_before, ends_at))
        started = time.monotonic()
        gate.set()
        purging += _read_while(read, lambda: gate.is_set() and purge.is_alive())
        at_work += time.monotonic() - started
    purge.join()
    return quiet, purging, at_work


def _is_before(moment: float) -> bool:
    return time.monotonic() < moment


def _read_while(read: Callable[[], None], goes_on: Callable[[], bool]) -> list[float]:
    times = []
    while goes_on():
        started = time.perf_counter()
        read()
        times.append(time.perf_counter() - started)
        time.sleep(PAUSE_SECONDS)
    return times


def purge_in_turns(tenants: list[UUID], gate: Event, done: Event) -> None:
    """Purge tenant by tenant as a worker does, a turn each time the gate is opened, which it closes after it."""
    import django

    django.setup()
    from remediation.retention.purging import purge_tenant

    for tenant_id in tenants:
        is_done = False
        while not is_done:
            gate.wait()
            is_done = purge_tenant(tenant_id, seconds=PURGING_SECONDS)
            if tenant_id == tenants[-1] and is_done:
                done.set()
            gate.clear()


def _check(server: EmbeddedPostgres, rows: int) -> None:
    """Raise SystemExit unless exactly the old rows are gone, and receipts in database and file say so."""
    from remediation.retention.receipts import read_receipts

    with psycopg.connect(server.url("postgres", DATABASE)) as superuser:
        [(left, receipted)] = superuser.execute(
            "SELECT (SELECT count(*) FROM vulnerabilities_remediationactivity),"
            " (SELECT sum((data->>'rows')::int) FROM audit_auditevent WHERE verb = 'retention.purged')"
        ).fetchall()
    filed = sum(receipt.row_count for receipt in read_receipts())
    if (left, receipted, filed) != (TENANTS * KEPT_PER_TENANT, rows, rows):
        raise SystemExit(f"{left} rows are left; the history has receipts of {receipted}, the file of {filed}.")


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
