"""The owner of the tables, who can do to history what the app cannot; histories; and a seal file for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from pytest_django import Settings
from uuid_utils.compat import uuid7

from portal.audit.recording import SYSTEM, record
from portal.embedded.servers import join_postgres
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for


@pytest.fixture
def seal_file(settings: Settings, tmp_path: Path) -> Path:
    """Where this test's histories are sealed."""
    settings.AUDIT_SEAL_FILE = str(tmp_path / "seals.jsonl")
    settings.AUDIT_SEALING_KEY_FILE = str(tmp_path / "key.pem")
    return tmp_path / "seals.jsonl"


@pytest.fixture
def owner(transactional_db: None) -> Iterator[psycopg.Connection]:
    """A connection of portal_owner, who may switch the triggers off."""
    url = join_postgres().url("portal_owner", str(connection.settings_dict["NAME"]))
    with psycopg.connect(url, autocommit=True) as signed_in:
        yield signed_in


@pytest.fixture
def write_events() -> Callable[[Tenant, int], None]:
    """Record so many events, each in its own transaction."""

    def write(tenant: Tenant, count: int) -> None:
        for number in range(count):
            with acting_for(tenant.id):
                record(
                    tenant.id,
                    f"thing.made_{number}",
                    object_type="thing",
                    object_id=uuid7(),
                    actor=SYSTEM,
                    data={"before": None, "after": {"name": f"Åsa's №{number}", "size": 1.50}},
                )

    return write


@pytest.fixture
def write_old_rows(owner: psycopg.Connection) -> Callable[[Tenant, int], None]:
    """Write rows as the version before the chain wrote them."""

    def write(tenant: Tenant, count: int) -> None:
        with owner.transaction():
            owner.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{tenant.id}}}"])
            owner.execute(
                """
                INSERT INTO audit_auditevent
                    (id, tenant_id, seq, at, verb, object_type, object_id, actor_id, actor_label, data)
                SELECT gen_random_uuid(), %s, n, clock_timestamp(), 'old.made', 'thing', gen_random_uuid(), NULL,
                       'Automation', jsonb_build_object('n', n) FROM generate_series(1, %s) AS n
                """,
                [tenant.id, count],
            )

    return write
