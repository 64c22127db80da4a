"""The suite's database, as portal_app on this clone's PostgreSQL, and the two standing tenants with their people.

Ada requests for Acme, Bob and Bea approve there, Ren only reads; Gil approves for Globex and is a stranger to Acme; Pia
administers all.
"""

import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import LazySettings, settings
from django.core.management import call_command
from django.db import connection
from django.test import Client, TransactionTestCase
from psycopg import sql
from uuid_utils.compat import uuid7

from portal.access.actors import Actor, actor_for
from portal.access.models import ProviderMembership, Reach, TenantMembership, User
from portal.access.roles import Role
from portal.audit import refusals
from portal.celery import app
from portal.embedded.servers import EmbeddedPostgres, join_postgres
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from portal.tenancy.scope import acting_for

ROOT = Path(__file__).resolve().parents[1]
settings.MICROSOFT_QUOTA_PERCENT = 1_000_000
"""The suite asks more often than Microsoft allows; tests of quotas say how often they may ask."""
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""The suite's passwords guard nothing, and the real hasher takes a quarter of a second for each."""
gc.set_threshold(5_000, 20, 20)
"""Garbage is looked for less often than Python's default: the suite spent a tenth of its time on it."""

LONGEST_FIRST = (
    "tests/chaos/test_fault_run.py",
    "tests/isolation/test_walls.py",
    "tests/isolation/test_canaries.py",
    "tests/isolation/test_matrix_admin.py",
    "tests/portal/demo/test_story.py",
    "tests/isolation/test_matrix_paths.py",
    "tests/remediation/actions/test_fairness.py",
    "tests/isolation/test_residue.py",
    "tests/isolation/test_matrix_bodies.py",
    "tests/architecture/test_migrations.py",
)
"""Files that take longest, so that no worker ends alone with one. What starts processes by the dozen or counts seconds
comes beside files that do neither."""

KEPT_TABLES = {"django_migrations", "django_content_type", "auth_permission"}
USED_TABLES = """
SELECT relname, pg_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0 AND relname <> ALL (%s)
"""
LARGE_BYTES = 1024 * 1024
"""A table that has grown beyond is vacuumed too, so that what was deleted slows no later test."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; all others stay in the order that chance gave them."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


def template_name() -> str:
    """One migrated database per state of the migrations, copied for each worker and each run."""
    digest = hashlib.sha256()
    for file in sorted(ROOT.glob("*/**/migrations/*.py")):
        if ".venv" not in file.parts:
            digest.update(file.read_bytes())
    for name in ("portal/tenancy/operations.py", "portal/tenancy/roles.py"):
        digest.update((ROOT / name).read_bytes())
    return f"quell_template_{digest.hexdigest()[:12]}"


def _prepare_database(server: EmbeddedPostgres, name: str) -> None:
    template = template_name()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(20261122)")
        done = admin.execute(
            "SELECT 1 FROM pg_database d JOIN pg_shdescription s ON s.objoid = d.oid WHERE d.datname = %s", [template]
        ).fetchone()
        if not done:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(template)))
            server.create_database(template)
            connection.settings_dict["NAME"] = template
            call_command("migrate", verbosity=0)
            admin.execute(sql.SQL("COMMENT ON DATABASE {} IS 'migrated'").format(sql.Identifier(template)))
        _drop_databases_of_ended_runs(admin)
        target = sql.Identifier(name)
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER portal_owner").format(target, sql.Identifier(template))
        )
        admin.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(target))


def _drop_databases_of_ended_runs(admin: psycopg.Connection) -> None:
    for (name,) in admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test\\_quell\\_%%'").fetchall():
        if not Path(f"/proc/{name.rpartition('_')[2]}").exists():
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def database_name() -> str:
    """The name of this process's own database: several runs may go on at once."""
    return f"test_quell_{os.getpid()}"


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any, database_name: str, worker_id: str) -> Iterator[None]:
    """Copy the migrated template for this worker; sign in as portal_app, whom both walls hold."""
    server = join_postgres()
    with django_db_blocker.unblock():
        connection.close()
        _prepare_database(server, database_name)
        connection.close()
        connection.settings_dict["NAME"] = database_name
        number = 1 + int("0" + "".join(filter(str.isdigit, worker_id)))
        app.conf["broker_url"] = settings.CELERY_BROKER_URL.replace("virtual_host=0", f"virtual_host={number}")
    yield
    with django_db_blocker.unblock():
        connection.close()
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database_name)))


def _empty_tables(case: TransactionTestCase) -> None:
    """Empty the tables between tests that commit: those that hold anything, since a TRUNCATE of all takes 0.3 s."""
    server = join_postgres()
    with psycopg.connect(server.url("postgres", str(connection.settings_dict["NAME"])), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")  # history refuses to be emptied; no order to keep
        sizes: dict[str, int] = dict(admin.execute(USED_TABLES, [list(KEPT_TABLES)]).fetchall())
        for name in sizes:
            admin.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        for name in (name for name, size in sizes.items() if size > LARGE_BYTES):
            admin.execute(sql.SQL("VACUUM {}").format(sql.Identifier(name)))
        admin.execute(
            "INSERT INTO tenancy_tenant"
            " (id, slug, name, entra_tenant_id, device_isolation_is_automatic, is_active, created_at)"
            " VALUES (%s, 'provider', 'Provider', %s, false, false, now())",
            [PROVIDER_TENANT_ID, PROVIDER_TENANT_ID],
        )


TransactionTestCase._fixture_teardown = _empty_tables  # type: ignore[attr-defined]


def make_tenant(slug: str) -> Tenant:
    """Create a tenant inside a scope of its own."""
    tenant = Tenant(id=uuid7(), slug=slug, name=slug.title(), entra_tenant_id=uuid7())
    with acting_for(tenant.id):
        tenant.save(force_insert=True)
    return tenant


def make_member(name: str, tenant: Tenant, role: Role) -> User:
    """Create a person with one role in one tenant."""
    user = User.objects.create_user(f"{name}@{tenant.slug}.example", name=name.title())
    with acting_for(tenant.id):
        TenantMembership.objects.create(tenant=tenant, user=user, role=role)
    return user


@pytest.fixture
def forget_cache(settings: LazySettings) -> Callable[[], None]:
    """A cache that is empty for this test, and what empties it again: cache.clear() would empty that of all workers."""

    def forget() -> None:
        settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid4().hex}}

    forget()
    return forget


@pytest.fixture
def acme(db: None) -> Tenant:
    """The tenant most tests are about."""
    return make_tenant("acme")


@pytest.fixture
def globex(db: None) -> Tenant:
    """The other tenant."""
    return make_tenant("globex")


@pytest.fixture
def ada(acme: Tenant) -> User:
    """An analyst of Acme: requests, never decides."""
    return make_member("ada", acme, Role.ANALYST)


@pytest.fixture
def bob(acme: Tenant) -> User:
    """An approver of Acme."""
    return make_member("bob", acme, Role.APPROVER)


@pytest.fixture
def bea(acme: Tenant) -> User:
    """A second approver of Acme."""
    return make_member("bea", acme, Role.APPROVER)


@pytest.fixture
def ren(acme: Tenant) -> User:
    """A reader of Acme."""
    return make_member("ren", acme, Role.READER)


@pytest.fixture
def tess(acme: Tenant) -> User:
    """Acme's own admin."""
    return make_member("tess", acme, Role.TENANT_ADMIN)


@pytest.fixture
def gil(globex: Tenant) -> User:
    """An approver of Globex, a stranger to Acme."""
    return make_member("gil", globex, Role.APPROVER)


@pytest.fixture
def pia(db: None) -> User:
    """A provider admin over all tenants."""
    user = User.objects.create_user("pia@provider.example", name="Pia")
    ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
    return user


@pytest.fixture(autouse=True)
def no_refusals_left_over() -> Iterator[None]:
    """Forget refusals that a test noted without going through a door, lest the next test's door writes them."""
    yield
    refusals._noted.set(())


@pytest.fixture
def as_actor() -> Callable[[User], Actor]:
    """Return what a person may do, read as a request would read it, with a second factor just shown."""
    return lambda user: actor_for(user, by_key=False, second_factor_at=datetime.now(UTC))


@pytest.fixture
def browse() -> Callable[[User], Client]:
    """Return an HTTP client signed in as a person, with a second factor just shown."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        session = client.session
        session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time()}]
        session["account_authentication_methods_user"] = str(user.pk)
        session["sign_in_started_at"] = session["sign_in_seen_at"] = time.time()
        session.save()
        return client

    return sign_in
