"""Every kind of secret is a unique string here; after forced errors it is looked for wherever the portal writes."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.db import connection as database
from django.test import Client
from kombu import Connection as KombuConnection
from psycopg import sql

from connectors.models import Connection
from investigations.syncing import sync_tenant
from portal.access.models import User
from portal.access.roles import Role
from portal.celery import app
from portal.embedded.servers import join_broker, join_postgres
from portal.secrets import master
from portal.secrets.envelope import unseal
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions import bells
from remediation.actions.draining import way_out_of
from tests.factories import make_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.process]
ROOT = Path(__file__).resolve().parents[3]
BROKER = 14
CLIENT_SECRET = "Canary1client8secret5b0e"
PROVIDER_SECRET = "Canary2provider8secret77a1"
PASSWORD = "Canary3password8word91cd"
WRONG_PASSWORD = "Canary4mistyped8word03ef"
CODE = "Canary5oauth8code44d2"
TOKEN = "Canary6bearer8token5e61"


def broker_url() -> str:
    """The broker as Celery calls it."""
    return join_broker().replace("unix://", "redis+socket://").replace("?db=0", f"?virtual_host={BROKER}")


def forms_of(secret: str) -> list[bytes]:
    """The ways a secret may stand in a text or a dump."""
    return [secret.encode(), secret.encode().hex().encode(), secret.encode()[::-1]]


def found_in(what: bytes, secrets: list[str]) -> list[str]:
    """Return which secrets are in there."""
    return [secret[:9] for secret in secrets if any(form in what for form in forms_of(secret))]


@pytest.fixture
def store(settings: Any) -> Iterator[redis.Redis]:
    """A broker and cache of the test's own."""
    broker = join_broker().replace("db=0", f"db={BROKER}")
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": broker}}
    found = redis.Redis.from_url(broker)
    found.flushdb()
    yield found
    found.flushdb()


@pytest.fixture
def canaries(acme: Tenant, tess: User, settings: Any, tmp_path: Path) -> list[str]:
    """Put a canary wherever a secret belongs, and return them all."""
    settings.MASTER_KEY_FILE = str(tmp_path / "master-keys")
    settings.MICROSOFT_CLIENT_SECRET = PROVIDER_SECRET
    master.key_ids()
    tess.set_password(PASSWORD)
    tess.save()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"https://127.0.0.1:{gone.getsockname()[1]}"
    with acting_for(acme.id):
        Connection.objects.create(tenant=acme, client_id="own-app", login_url=url, defender_url=url, graph_url=url)
    key = make_key(acme, Role.TENANT_ADMIN)
    line = Path(settings.MASTER_KEY_FILE).read_text().strip()
    return [CLIENT_SECRET, PROVIDER_SECRET, PASSWORD, WRONG_PASSWORD, CODE, TOKEN, line, key.split("_", 2)[2], key]


def go_wrong(acme: Tenant, tess: User, key: str, browse: Callable[[User], Client], crash: Any) -> list[bytes]:
    """Sign in, set, sync and send, each well and badly; return every answer."""
    with acting_for(acme.id):
        row = Connection.objects.get()
    client, stranger, robot = browse(tess), Client(), Client(headers={"Authorization": f"Api-Key {key}"})
    for each in (client, stranger, robot):
        each.raise_request_exception = False
    set_secret = f"/api/v1/connections/{row.pk}/set-client-secret/"
    page = f"/admin/connectors/connection/{row.pk}/change/"
    answers = [
        stranger.post("/accounts/login/", {"login": tess.email, "password": WRONG_PASSWORD}),
        stranger.post("/accounts/login/", {"login": tess.email, "password": PASSWORD}),
        Client().get(f"/accounts/organisation/acme/callback/?code={CODE}&state=unknown"),
        Client(headers={"Authorization": f"Bearer {TOKEN}"}).get("/api/v1/me/"),
        Client(headers={"Authorization": f"Api-Key {key}x"}).get("/api/v1/me/"),
        robot.get("/api/v1/connections/"),
        robot.post(set_secret, {"client_secret": CLIENT_SECRET}, content_type="application/json"),
        client.post(set_secret, f'{{"client_secret": "{CLIENT_SECRET}"', content_type="application/json"),
        client.post(set_secret, {"client_secret": [CLIENT_SECRET]}, content_type="application/json"),
        client.post(set_secret, {"client_secret": CLIENT_SECRET * 40}, content_type="application/json"),
        client.post(page, {"client_id": "x" * 99, "new_client_secret": CLIENT_SECRET}),
        client.post(page, {"is_enabled": "on", "client_id": "own-app", "new_client_secret": CLIENT_SECRET}),
        client.post(set_secret, {"client_secret": CLIENT_SECRET}, content_type="application/json"),
    ]
    assert [each.status_code for each in answers[-2:]] == [302, 200]
    with crash("connectors.services.seal"), crash("connectors.services.record"):
        answers.append(client.post(set_secret, {"client_secret": CLIENT_SECRET}, content_type="application/json"))
        assert answers[-1].status_code == 500
    assert sync_tenant(acme.id, lambda page: None) is False
    connector = way_out_of(acme.id).connector
    assert connector is not None
    with pytest.raises(Exception, match="not available"):
        list(connector.devices())
    with acting_for(acme.id):
        row = Connection.objects.defer(None).get()
        logging.getLogger("test").error("opened %r with %s", connector, row.as_settings())
        with pytest.raises(SecretUnreadable):
            unseal(acme.id, "another.field", bytes(row.client_secret_sealed or b""))
    with KombuConnection(broker_url()) as bell:
        app.send_task(bells.TASKS["sync"], args=[str(acme.id)], connection=bell)
    for path in ("connections/", f"connections/{row.pk}/", "audit-events/", "me/", "schema/", "tenants/"):
        answers.append(client.get(f"/api/v1/{path}"))
    for path in ("", "connectors/connection/", f"connectors/connection/{row.pk}/history/", "audit/auditevent/"):
        answers.append(client.get(f"/admin/{path}"))
    answers.append(client.get(page))
    return [bytes(str(each.headers), "utf-8") + (b"" if each.streaming else each.content) for each in answers]


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a way to make a function fail with its arguments at hand, as a bug would."""

    def stumble(*args: Any, **options: Any) -> None:
        raise RuntimeError("a bug of ours")

    def at(name: str) -> Any:
        context = monkeypatch.context()
        patch = context.__enter__()
        patch.setattr(name, stumble)

        class Until:
            def __enter__(self) -> None: ...

            def __exit__(self, *error: object) -> None:
                context.__exit__(None, None, None)

        return Until()

    return at


def dump_of(store: redis.Redis) -> bytes:
    """Return all keys and values of the broker and cache."""
    parts: list[bytes] = []
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": store.get,
        b"list": lambda key: store.lrange(key, 0, -1),
        b"hash": store.hgetall,
        b"set": store.smembers,
        b"zset": lambda key: store.zrange(key, 0, -1, withscores=True),
    }
    for key in store.scan_iter():
        kind: Any = store.type(key)
        parts += [key, repr(readers[kind](key)).encode()]
    return b"\n".join(parts)


def rows_of_all_tables() -> bytes:
    """Return every row of every table, as a superuser would copy them."""
    server = join_postgres()
    with psycopg.connect(server.url("postgres", str(database.settings_dict["NAME"]))) as copy:
        names = [row[0] for row in copy.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        found = [
            str(copy.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall())
            for name in names
        ]
    return "\n".join(found).encode()


def standard_error_of_a_worker(tmp_path: Path, tenant: Tenant, settings: Any) -> bytes:
    """Start a real worker that logs all it can, let it fail at a sync, and return what it wrote."""
    broker = join_broker().replace("db=0", f"db={BROKER}")
    environment = {
        **os.environ,
        "DATABASE_URL": join_postgres().url("portal_app", str(database.settings_dict["NAME"])),
        "BROKER_URL": broker,
        "QUELL_DEVELOPMENT": "1",
        "LOG_LEVEL": "DEBUG",
        "MASTER_KEY_FILE": settings.MASTER_KEY_FILE,
        "MICROSOFT_CLIENT_SECRET": PROVIDER_SECRET,
    }
    celery = [sys.executable, "-m", "celery", "-A", "portal.celery", "-b", broker_url()]
    command = [*celery, "worker", "--pool", "solo", "-l", "DEBUG"]
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 40
        while f"Sync of tenant {tenant.id} stopped".encode() not in log.read_bytes():
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
    finally:
        worker.terminate()
        worker.wait(20)
    return log.read_bytes()


def test_no_secret_is_found_where_none_belongs(
    acme: Tenant,
    tess: User,
    canaries: list[str],
    browse: Callable[[User], Client],
    store: redis.Redis,
    crash: Any,
    caplog: pytest.LogCaptureFixture,
    settings: Any,
    tmp_path: Path,
) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = go_wrong(acme, tess, canaries[-1], browse, crash)
    assert store.llen("celery") == 1, "the ring is in the broker while it is looked through"
    places = {
        "answers": b"\n".join(answers),
        "log": caplog.text.encode(),
        "broker and cache": dump_of(store),
        "tables": rows_of_all_tables(),
        "worker": standard_error_of_a_worker(tmp_path, acme, settings),
    }
    assert {place: found_in(what, canaries) for place, what in places.items()} == dict.fromkeys(places, [])
    assert all(places.values())
    assert b"a bug of ours" in places["log"]
    assert b"Traceback" in places["log"]


def test_the_search_finds_a_secret_that_is_planted(
    acme: Tenant, canaries: list[str], store: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("test").error("secret %s", CLIENT_SECRET)
    assert found_in(caplog.text.encode(), canaries) == ["Canary1cl"]
    plants: list[Callable[[str, str], Any]] = [store.set, store.lpush, store.sadd]
    for number, plant in enumerate(plants):
        plant(f"planted {number}", f"x{PASSWORD}x")
        assert found_in(dump_of(store), canaries) == ["Canary3pa"]
        store.flushdb()
    store.hset("planted", "field", CODE)
    assert found_in(dump_of(store), canaries) == ["Canary5oa"]
    with acting_for(acme.id):
        Connection.objects.update(health_detail=f"wrong: {PROVIDER_SECRET}")
    assert found_in(rows_of_all_tables(), canaries) == ["Canary2pr"]
    with acting_for(acme.id):
        Connection.objects.update(
            health_detail="", client_secret_sealed=CLIENT_SECRET.encode(), client_secret_set_at=acme.created_at
        )
    assert found_in(rows_of_all_tables(), canaries) == ["Canary1cl"]
