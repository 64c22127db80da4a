"""`python -m benchmarks.groups`: a page of groups of 200,000 pending actions, and 1,000 decided about at once.

As portal_app, in the scope of a person who may decide for all of them. Ends with an error over 2 s for the decision.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import isolation

TENANTS = 500
DEVICES = 20_000
PENDING = 200_000
PENDING_IF_SMALL = 20_000
FILES = 20_000
ROUNDS = 31
AT_ONCE = 1000
BUDGET_SECONDS = 2.0

GROUPED = """
UPDATE actions_remediationaction SET type = 'stop_and_quarantine_file',
    entity = 'sha1:' || md5(((('x' || substr(md5(id::text), 1, 7))::bit(28)::int) % {files})::text) || '00000000'
"""


def main() -> None:
    """Measure and print; end with an error when deciding takes too long."""
    server = isolation._prepare()
    import portal.celery  # noqa: F401 the workers' bells are rung over the broker

    for pending in (PENDING_IF_SMALL, PENDING):
        _fill(server, pending)
        _measure_pages(pending)
    taken = _measure_decision(server)
    if taken > BUDGET_SECONDS:
        raise SystemExit(f"Deciding about {AT_ONCE} actions took {taken:.2f} s, over {BUDGET_SECONDS} s.")


def _fill(server: Any, pending: int) -> None:
    statement = isolation.FILL.format(tenants=TENANTS, devices=DEVICES, actions=pending, pending=1)
    with psycopg.connect(server.url("postgres", isolation.DATABASE), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("TRUNCATE tenancy_tenant CASCADE")
        superuser.execute(statement.encode())
        superuser.execute(GROUPED.format(files=min(FILES, pending // 10)).encode())
        for table in (*isolation.BIG, "tenancy_tenant"):
            superuser.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))


def _measure_pages(pending: int) -> None:
    from portal.tenancy.scope import viewing
    from remediation.actions.grouping import GroupFilter, find_groups

    actor = _decider()
    with viewing(actor.capabilities):
        first = find_groups(GroupFilter(), actor=actor, after=None, limit=51)
        middle = ("stop_and_quarantine_file", "sha1:8")
        pages: list[tuple[str, Callable[[], object]]] = [
            ("first page", lambda: find_groups(GroupFilter(), actor=actor, after=None, limit=51)),
            ("a page in the middle", lambda: find_groups(GroupFilter(), actor=actor, after=middle, limit=51)),
            ("groups of 20 or more", lambda: find_groups(GroupFilter(at_least=20), actor=actor, after=None, limit=51)),
            ("groups of 1,000 or more: none, so all are walked",
             lambda: find_groups(GroupFilter(at_least=1000), actor=actor, after=None, limit=51)),
            ("one tenant's", lambda: find_groups(
                GroupFilter(tenants=(min(actor.capabilities),)), actor=actor, after=None, limit=51)),
        ]  # fmt: skip
        print(f"{pending} pending, {TENANTS} tenants, {len(first)} groups a page of {first[0].count} and so on")
        for what, ask in pages:
            print(f"  {what}: {_median(ask) * 1000:.1f} ms")


def _measure_decision(server: Any) -> float:
    from portal.tenancy.scope import viewing
    from remediation.actions.bulk import Result, decide_many
    from remediation.actions.models import RemediationAction
    from remediation.actions.states import Answer

    _bind(server)
    actor = _decider()
    with viewing(actor.capabilities):
        for tenants in (1, 10, TENANTS):
            among = sorted(actor.capabilities)[:tenants]
            rows = RemediationAction.objects.awaiting_approval().filter(tenant__in=among).order_by("id")
            ids = list(rows.values_list("pk", flat=True)[:AT_ONCE])
            started = time.monotonic()
            results = decide_many(ids, Answer.APPROVE, actor=actor, reason="Bench.")
            done = sum(result.result == Result.APPROVED for result in results)
            taken = time.monotonic() - started
            print(f"  {len(ids)} over up to {tenants} tenants: {taken:.2f} s before COMMIT, {done} approved")
    started = time.monotonic()
    with viewing(actor.capabilities):
        waiting = RemediationAction.objects.awaiting_approval().order_by("id").values_list("pk", flat=True)
        results = decide_many(list(waiting[:AT_ONCE]), Answer.APPROVE, actor=actor, reason="Bench.")
    taken = time.monotonic() - started
    print(f"{len(results)} decided about in {taken:.2f} s with COMMIT and history, budget {BUDGET_SECONDS} s")
    return taken


def _decider() -> Any:
    from datetime import UTC, datetime

    from portal.access.actors import actor_for
    from portal.access.models import ProviderMembership, Reach, User
    from portal.access.roles import Role

    user, is_new = User.objects.get_or_create(email="bench@provider.example", defaults={"name": "Bench"})
    if is_new:
        ProviderMembership.objects.create(user=user, role=Role.APPROVER, reach=Reach.ALL)
    return actor_for(user, by_key=False, second_factor_at=datetime.now(UTC))


def _bind(server: Any) -> None:
    """Make what each action does fit its fingerprint, which made-up rows do not."""
    from remediation.actions.binding import fingerprint

    with psycopg.connect(server.url("postgres", isolation.DATABASE), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        rows = superuser.execute(
            "SELECT a.id, a.tenant_id, a.type, d.machine_id, a.parameters FROM actions_remediationaction a"
            " JOIN investigations_device d ON d.id = a.device_id ORDER BY a.id"
        ).fetchall()
        with superuser.cursor() as cursor:
            digests = [
                (fingerprint(tenant, type_name, machine, parameters | {"n": str(key)}), str(key))
                for key, tenant, type_name, machine, parameters in rows
            ]
            cursor.execute("CREATE TEMPORARY TABLE digests (id uuid, digest text)")
            with cursor.copy("COPY digests (digest, id) FROM STDIN") as copy:
                for row in digests:
                    copy.write_row(row)
            cursor.execute(
                "UPDATE actions_remediationaction a SET parameters = a.parameters || jsonb_build_object('n', a.id),"
                " parameters_sha256 = d.digest FROM digests d WHERE d.id = a.id"
            )


def _median(ask: Callable[[], object]) -> float:
    times = []
    for _round in range(ROUNDS):
        started = time.monotonic()
        ask()
        times.append(time.monotonic() - started)
    return statistics.median(times)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    main()
