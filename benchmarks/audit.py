"""`python -m benchmarks.audit`: appends to history beside plain INSERTs of the same rows, and the verifier.

Eight clients, each on a tenant of its own, a transaction an event, its statements sent together. The plain table has
the same columns, indexes, foreign key and row-level security, but no chain, lock or function. The verifier reads
exports of 100,000 and of 400,000 rows, each in an interpreter of its own.
"""

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import UUID

import psutil
import psycopg
from uuid_utils.compat import uuid4, uuid7

from portal.embedded.servers import EmbeddedPostgres, join_broker, join_postgres

DATABASE = "quell_bench_audit"
CLIENTS = 8
SECONDS = 6.0
TURNS = 2
SIZES = (100_000, 400_000)
VERIFIER = Path(__file__).resolve().parents[1] / "portal" / "audit" / "verify.py"
MINE = "tenant_id = any((select nullif(current_setting('app.tenant_ids', true), '')::uuid[])::uuid[])"
APPEND = "SELECT audit_append(%(tenant)s, %(events)s::jsonb)"
INSERT = """
INSERT INTO plain_event (id, tenant_id, seq, at, verb, object_type, object_id, actor_id, actor_label, data)
SELECT gen_random_uuid(), %(tenant)s, %(seq)s, clock_timestamp(), e->>'verb', e->>'object_type',
       (e->>'object_id')::uuid, (e->'actor'->>'id')::uuid, e->'actor'->>'label', e->'data'
FROM jsonb_array_elements(%(events)s::jsonb) AS e
"""


def main() -> None:
    """Measure and print."""
    server = _prepare()
    tenants = _add_tenants()
    print(f"{CLIENTS} clients, a tenant each, an event a transaction, synchronous_commit on:")
    plain, chained = [], []
    for turn in range(TURNS):  # in turns, so that a slow spell of the machine slows both
        plain.append(_measure(server, tenants, INSERT, turn))
        chained.append(_measure(server, tenants, APPEND, turn))
    print(f"audit appends            {max(chained):9.0f} /s")
    print(f"plain INSERTs            {max(plain):9.0f} /s   (same columns, indexes, foreign key, policy; no chain)")
    print(f"ratio                    {max(chained) / max(plain):9.2f}")
    with tempfile.TemporaryDirectory() as folder:
        memory = [_measure_verifier(Path(folder), size) for size in SIZES]
    print(f"ratio of memory          {memory[1] / memory[0]:9.2f}   ({SIZES[1]} rows to {SIZES[0]})")


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
    with psycopg.connect(server.url("portal_owner", DATABASE), autocommit=True) as owner:
        owner.execute("CREATE TABLE plain_event (LIKE audit_auditevent INCLUDING INDEXES)")
        link = "FOREIGN KEY (tenant_id) REFERENCES tenancy_tenant DEFERRABLE INITIALLY DEFERRED"
        owner.execute(f"ALTER TABLE plain_event ADD {link}")
        owner.execute("ALTER TABLE plain_event ENABLE ROW LEVEL SECURITY")
        owner.execute(f"CREATE POLICY one_of_mine ON plain_event USING ({MINE}) WITH CHECK ({MINE})")
    return server


def _add_tenants() -> list[UUID]:
    from portal.tenancy.models import Tenant  # Django has been told by now where its database is
    from portal.tenancy.scope import acting_for

    tenants = [
        Tenant(id=uuid7(), slug=f"bench-{n}", name=f"Bench {n}", entra_tenant_id=uuid7()) for n in range(CLIENTS)
    ]
    for tenant in tenants:
        with acting_for(tenant.id):
            tenant.save(force_insert=True)
    return [tenant.id for tenant in tenants]


def _measure(server: EmbeddedPostgres, tenants: list[UUID], statement: str, turn: int) -> float:
    spawning = multiprocessing.get_context("spawn")
    gate, counts = spawning.Barrier(CLIENTS), spawning.SimpleQueue()
    url = server.url("portal_app", DATABASE)
    clients = [
        spawning.Process(target=write_events, args=(url, tenant, statement, turn, gate, counts)) for tenant in tenants
    ]
    for client in clients:
        client.start()
    written = sum(int(counts.get()) for _ in clients)
    for client in clients:
        client.join()
    return written / SECONDS


def write_events(url: str, tenant: UUID, statement: str, turn: int, gate: Barrier, counts: SimpleQueue) -> None:
    """Write one event a transaction for SECONDS, beginning when all clients are there; put how many into the queue."""
    count = 0
    with psycopg.connect(url, autocommit=True) as client:
        gate.wait()
        ends_at = time.monotonic() + SECONDS
        while time.monotonic() < ends_at:
            count += 1
            with client.pipeline(), client.transaction():
                client.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{tenant}}}"])
                values = {"tenant": tenant, "events": json.dumps([_event()]), "seq": turn * 10**9 + count}
                client.execute(statement, values)
    counts.put(count)


def _event() -> dict[str, object]:
    return {
        "verb": "action.approved",
        "object_type": "remediation action",
        "object_id": str(uuid4()),
        "actor": {"id": str(uuid4()), "label": "bob@acme.example"},
        "data": {
            "before": {"state": "pending_approval"},
            "after": {"state": "approved"},
            "target": "laptop-0042",
            "reason": "Confirmed with the owner of the device.",
        },
    }


def _measure_verifier(folder: Path, size: int) -> int:
    """Verify an export of so many rows, print how fast, and return the most memory it took, in bytes."""
    export, seals, key = _write_export(folder, size)
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(export), "--seals", str(seals), "--public-key", key]
    started, most = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as verifier:
        watched = psutil.Process(verifier.pid)
        while verifier.poll() is None:
            most = max(most, watched.memory_info().rss)
            time.sleep(0.02)
        words = verifier.stdout.read() if verifier.stdout else ""
    elapsed = time.monotonic() - started
    if verifier.returncode != 0 or f"{size} rows" not in words:
        raise SystemExit(f"The verifier did not agree: {words}")
    print(f"verifier, {size:>7} rows   {size / elapsed:9.0f} /s   at most {most / 2**20:.1f} MiB")
    return most


def _write_export(folder: Path, size: int) -> tuple[Path, Path, str]:
    """Write an export as the database would have made it, a seal every 500 rows, and return the key's public half."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from portal.audit.keys import public_hex
    from portal.audit.verify import EXPORT_FORMAT, SEAL_FORMAT, canonical

    key, tenant = Ed25519PrivateKey.generate(), str(uuid7())
    export, seals, previous = folder / f"{size}.jsonl", folder / f"{size}.seals", ""
    with export.open("wb") as rows, seals.open("wb") as lines:
        header = {"format": EXPORT_FORMAT, "tenant": tenant, "slug": "bench", "exported_at": 2 * 10**15}
        rows.write(canonical(header) + b"\n")
        for row in _rows(tenant, size):
            rows.write(canonical(row) + b"\n")
            if row["seq"] % 500 == 0:  # type: ignore[operator]  # a number
                head = {"tenant": tenant, "seq": row["seq"], "hash": row["hash"]}
                seal = {"format": SEAL_FORMAT, "sealed_at": row["at"], "heads": [head], "previous": previous}
                line = canonical({**seal, "signature": key.sign(canonical(seal)).hex()}) + b"\n"
                lines.write(line)
                previous = hashlib.sha256(line).hexdigest()
    return export, seals, public_hex(key)


def _rows(tenant: str, size: int) -> Iterator[dict[str, object]]:
    from portal.audit.verify import GENESIS, digest_of

    nothing = hashlib.sha256().hexdigest()
    start = json.dumps({"format": "quell-audit-1", "earlier_rows": 0, "earlier_sha256": nothing})
    last: str | None = None
    for seq in range(1, size + 1):
        event = _event()
        row: dict[str, object] = {
            "seq": seq,
            "at": 1_790_000_000_000_000 + seq * 10_000,
            "id": str(uuid4()),
            "verb": GENESIS if seq == 1 else event["verb"],
            "object_type": event["object_type"],
            "object_id": event["object_id"],
            "actor_id": str(uuid4()),
            "actor_label": "bob@acme.example",
            "data": start if seq == 1 else json.dumps(event["data"]),
            "previous_hash": last,
        }
        row["hash"] = last = digest_of(row, tenant).hex()
        yield row


if __name__ == "__main__":
    main()
