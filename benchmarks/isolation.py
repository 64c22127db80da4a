"""`python -m benchmarks.isolation`: what row-level security costs, on 1 M actions of 200 tenants.

The portal's own queries, word for word, as portal_app in a scope and as a role that row-level security does not hold,
by turns; medians and their ratio. Ends with an error when a ratio is over 1.3 or a plan reads a whole big table.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from portal.embedded.servers import EmbeddedPostgres, join_broker, join_postgres

DATABASE = "quell_bench_isolation"
TENANTS = 200
ACTIONS = 1_000_000
DEVICES = 50_000
PENDING_SHARE = 50
"""One action in so many waits for approval."""
ROUNDS = 201
ROUNDS_WHEN_SLOW = 21
SLOW_SECONDS = 0.05
HIGHEST_RATIO = 1.3
BIG = ("actions_remediationaction", "investigations_device")

FILL = """
INSERT INTO tenancy_tenant (id, slug, name, entra_tenant_id, device_isolation_is_automatic, is_active, created_at)
SELECT gen_random_uuid(), 'bench-' || n, 'Bench ' || n, gen_random_uuid(), false, true, now()
FROM generate_series(1, {tenants}) n;

INSERT INTO investigations_devicegroup (id, tenant_id, name, rank, automation_level, is_default)
SELECT gen_random_uuid(), t.id, 'Ungrouped devices', 1, 'semi_all_folders', true
FROM tenancy_tenant t WHERE t.slug LIKE 'bench-%';

CREATE TEMPORARY TABLE numbered AS
SELECT row_number() OVER (ORDER BY t.slug) - 1 AS number, t.id AS tenant_id, g.id AS group_id
FROM tenancy_tenant t JOIN investigations_devicegroup g ON g.tenant_id = t.id;

INSERT INTO investigations_device (id, tenant_id, machine_id, name, domain, os_platform, os_version, health_status,
    risk_score, entra_device_id, defender_group, tags, last_ip, group_id, created_at)
SELECT uuidv7(), t.tenant_id, md5(n::text) || md5('x' || n), 'pc-' || n, 'bench.example', 'Windows11', '', 'Active',
       'None', '', '', '{{}}', '', t.group_id, now()
FROM generate_series(1, {devices}) n JOIN numbered t ON t.number = n % {tenants};

CREATE TEMPORARY TABLE of_tenant AS
SELECT tenant_id, array_agg(id) AS ids, array_agg(name) AS names FROM investigations_device GROUP BY tenant_id;

INSERT INTO actions_remediationaction (id, tenant_id, type, state, source, device_id, target, parameters,
    parameters_sha256, conflict_group, reason, required_approvals, priority, approve_before, not_before, fence, attempt,
    owner, absent_count, remote_id, detail, error_code, created_at, changed_at)
SELECT uuidv7(), t.tenant_id, 'run_antivirus_scan',
       CASE n % {pending} WHEN 0 THEN 'pending_approval' ELSE 'succeeded' END, 'manual_device',
       d.ids[1 + n % cardinality(d.ids)], d.names[1 + n % cardinality(d.ids)], '{{"scan_type": "Quick"}}',
       md5(n::text) || md5('y' || n), '', 'Bench.', 1, 100, now() + interval '7 days', now(), 0, 0, '', 0, '', '', '',
       now(), now()
FROM generate_series(1, {actions}) n JOIN numbered t ON t.number = (n / {pending} + n) % {tenants}
JOIN of_tenant d ON d.tenant_id = t.tenant_id;
"""


def main() -> None:
    """Measure and print; end with an error when row-level security costs too much."""
    server = _prepare()
    tenant_ids = _fill(server)
    print(f"{ACTIONS} actions of {TENANTS} tenants; medians of runs by turns, with and without the second wall")
    results = [
        _measure(server, f"{what}, {many}", scope, build)
        for many, scope in (("one tenant", tenant_ids[:1]), ("ten tenants", tenant_ids[:10]))
        for what, build in _questions()
    ]
    too_slow = [what for what, ratio in results if ratio > HIGHEST_RATIO]
    if too_slow:
        raise SystemExit(f"Over {HIGHEST_RATIO} times as long as without row-level security: {', '.join(too_slow)}.")


def _prepare() -> EmbeddedPostgres:
    server = join_postgres()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    server.create_database(DATABASE)
    os.environ["DATABASE_URL"] = server.url("portal_app", DATABASE)
    os.environ["MIGRATE_DATABASE_URL"] = server.url("portal_owner", DATABASE)
    os.environ["BROKER_URL"] = join_broker()
    os.environ["QUELL_DEVELOPMENT"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return server


def _fill(server: EmbeddedPostgres) -> list[UUID]:
    """Write the rows as superuser, past triggers, which a bench's made-up history would not pass."""
    started = time.monotonic()
    statement = FILL.format(tenants=TENANTS, devices=DEVICES, actions=ACTIONS, pending=PENDING_SHARE)
    with psycopg.connect(server.url("postgres", DATABASE), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement.encode())
        for table in (*BIG, "tenancy_tenant"):
            superuser.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))
        rows = superuser.execute("SELECT id FROM tenancy_tenant WHERE slug LIKE 'bench-%' ORDER BY slug").fetchall()
    print(f"filled in {time.monotonic() - started:.0f} s")
    return [row[0] for row in rows]


def _questions() -> list[tuple[str, Callable[[], Any]]]:
    """Return what the portal asks most, each as the queryset that its lists are made of."""
    from remediation.actions.models import RemediationAction

    rows = RemediationAction.objects
    return [
        ("page of pending", lambda: rows.for_lists().awaiting_approval().with_approvals().order_by("-id")[:51]),
        ("page of history", lambda: rows.for_lists().decided().order_by("-id")[:51]),
        ("count of pending", lambda: rows.awaiting_approval().order_by().values("state").annotate(count=_count())),
        ("search", lambda: rows.for_lists().filter(target__icontains="pc-4").order_by("-id")[:51]),
    ]


def _count() -> Any:
    from django.db.models import Count

    return Count("*")


def _measure(server: EmbeddedPostgres, what: str, scope: Sequence[UUID], build: Callable[[], Any]) -> tuple[str, float]:
    from portal.tenancy.scope import viewing

    with viewing(scope):
        statement, parameters = build().query.sql_with_params()
    with (
        psycopg.connect(server.url("portal_app", DATABASE), cursor_factory=psycopg.ClientCursor) as held,
        psycopg.connect(server.url("postgres", DATABASE), cursor_factory=psycopg.ClientCursor) as free,
    ):
        setting = f"{{{','.join(map(str, scope))}}}"
        for each in (held, free):
            each.execute("SELECT set_config('app.tenant_ids', %s, true)", [setting])
        _refuse_whole_tables(held, what, statement, parameters)
        seconds: dict[str, list[float]] = {"held": [], "free": []}
        slowest = max(_time(each, statement, parameters) for each in (held, free))  # warms both up too
        for _round in range(ROUNDS_WHEN_SLOW if slowest > SLOW_SECONDS else ROUNDS):
            seconds["held"].append(_time(held, statement, parameters))
            seconds["free"].append(_time(free, statement, parameters))
    with_wall, without = (1000 * statistics.median(seconds[kind]) for kind in ("held", "free"))
    print(f"{what:<30} {with_wall:8.2f} ms with {without:8.2f} ms without   ratio {with_wall / without:5.2f}")
    return what, with_wall / without


def _time(connection: psycopg.Connection[Any], statement: str, parameters: Sequence[Any]) -> float:
    started = time.perf_counter()
    connection.execute(statement.encode(), parameters).fetchall()
    return time.perf_counter() - started


def _refuse_whole_tables(
    connection: psycopg.Connection[Any], what: str, statement: str, parameters: Sequence[Any]
) -> None:
    plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {statement}".encode(), parameters))
    if any(f"Seq Scan on {table} " in plan for table in BIG):
        raise SystemExit(f"“{what}” reads a whole table:\n{plan}")


if __name__ == "__main__":
    main()
