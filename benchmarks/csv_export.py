"""`python -m benchmarks.csv_export`: 1 M remediation activities' devices as CSV, streamed as the API does.

Beside it PostgreSQL's own COPY of the same rows and columns, unguarded, by psycopg in the same run, in turns. Ends with
an error under 50,000 rows/s, under 0.3 of the bare COPY's speed, or over 64 MiB above idle.
"""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import psutil
import psycopg
from psycopg import sql

from benchmarks import isolation

ROWS = 1_000_000
DEVICES = 20_000
TURNS = 3
LEAST_ROWS_PER_SECOND = 50_000
LEAST_RATIO = 0.3
MOST_MEMORY = 64 * 2**20
SAMPLE_SECONDS = 0.01

FILL = """
INSERT INTO vulnerabilities_remediationactivity (id, tenant_id, campaign, tenants_asked, origin, defender_task_id,
    title, related_component, option, mitigation, priority, notes, group_ids, group_names, state, completion,
    completed_by_label, completion_note, requested_by_label, devices_at_start, devices_fixed, devices_exposed,
    devices_gone, exposed_again_count, wants_ticket)
SELECT uuidv7(), t.id, gen_random_uuid(), 1, 'quell', '', 'Update 7-zip', '7-zip', 'software_update', 'none', 'high',
       '', '{{}}', '{{}}', 'active', '', '', '', 'bench@acme.example', 0, 0, 0, 0, 0, false
FROM generate_series(1, {rows} / {devices}) n, tenancy_tenant t WHERE t.slug = 'bench-1';

INSERT INTO vulnerabilities_activitydevice (id, tenant_id, activity_id, device_id)
SELECT gen_random_uuid(), a.tenant_id, a.id, d.id
FROM vulnerabilities_remediationactivity a JOIN investigations_device d ON d.tenant_id = a.tenant_id;
"""
TABLES = ("vulnerabilities_remediationactivity", "vulnerabilities_activitydevice", "investigations_device")


def main() -> None:
    """Measure and print; end with an error over budget."""
    server = isolation._prepare()
    tenant_id = _fill(server)
    bare, streamed, memory = [], [], []
    for _turn in range(TURNS):  # in turns, so that a slow spell of the machine slows both
        above, rate = _memory_of(lambda: _rate(lambda: _streamed(tenant_id)))
        streamed.append(rate)
        memory.append(above)
        bare.append(_rate(lambda: _bare(tenant_id)))
    ratio = max(streamed) / max(bare)
    print(f"streamed as CSV          {max(streamed):9.0f} rows/s   ({ROWS} rows, guarded, times in ISO 8601)")
    print(f"bare COPY                {max(bare):9.0f} rows/s   (same rows and columns)")
    print(f"ratio                    {ratio:9.2f}")
    print(f"memory above idle        {max(memory) / 2**20:9.1f} MiB")
    if max(streamed) < LEAST_ROWS_PER_SECOND or ratio < LEAST_RATIO or max(memory) > MOST_MEMORY:
        raise SystemExit(
            f"Over budget: {LEAST_ROWS_PER_SECOND} rows/s, {LEAST_RATIO} of COPY, {MOST_MEMORY // 2**20} MiB."
        )


def _fill(server: Any) -> UUID:
    statement = isolation.FILL.format(tenants=1, devices=DEVICES, actions=0, pending=1)
    with psycopg.connect(server.url("postgres", isolation.DATABASE), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement.encode())
        superuser.execute(FILL.format(rows=ROWS, devices=DEVICES).encode())
        for table in TABLES:
            superuser.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))
        [tenant_id] = superuser.execute("SELECT id FROM tenancy_tenant WHERE slug = 'bench-1'").fetchone() or [None]
    return UUID(str(tenant_id))


def _rows() -> Any:
    from remediation.vulnerabilities.models import ActivityDevice

    return ActivityDevice.objects.order_by("activity_id")


def _streamed(tenant_id: UUID) -> Iterable[bytes]:
    from portal.api.csv_export import csv_response
    from portal.tenancy.scope import acting_for
    from remediation.vulnerabilities.activities.exporting import DEVICE_COLUMNS

    with acting_for(tenant_id):
        return csv_response(_rows(), DEVICE_COLUMNS, name="bench").streaming_content  # type: ignore[return-value]


def _bare(tenant_id: UUID) -> Iterable[bytes | memoryview]:
    from django.db import connection

    from portal.tenancy.scope import acting_for
    from remediation.vulnerabilities.activities.exporting import DEVICE_COLUMNS

    with acting_for(tenant_id), connection.cursor() as cursor:
        columns = [str(column.expression) for column in DEVICE_COLUMNS]
        statement, parameters = _rows().values_list(*columns).query.sql_with_params()
        with cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)", parameters) as copy:
            yield from copy


def _rate(read: Callable[[], Iterable[Any]]) -> float:
    """Return how many rows a second come, each block thrown away as it comes."""
    started = time.monotonic()
    lines = sum(bytes(block).count(b"\n") for block in read())
    if lines not in (ROWS, ROWS + 1):
        raise SystemExit(f"{lines} lines came instead of {ROWS}.")
    return ROWS / (time.monotonic() - started)


def _memory_of(work: Callable[[], float]) -> tuple[int, float]:
    """Return the most memory above idle while something ran, and what it returned."""
    gc.collect()
    process, is_done, most = psutil.Process(), threading.Event(), 0
    idle = process.memory_info().rss

    def watch() -> None:
        nonlocal most
        while not is_done.wait(SAMPLE_SECONDS):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = work()
    finally:
        is_done.set()
        watcher.join()
    return max(most - idle, 0), result


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    main()
