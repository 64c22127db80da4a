"""Old rows for retention: what a tenant completed long ago, told to PostgreSQL by the owner role."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from investigations.models import Device
from portal.embedded.servers import join_postgres
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention import purging
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity


@pytest.fixture(autouse=True)
def receipts_file(settings: Any, tmp_path: Path) -> Path:
    """Keep each test's receipts in a file of its own."""
    settings.RETENTION_RECEIPTS_FILE = str(tmp_path / "receipts.jsonl")
    return Path(settings.RETENTION_RECEIPTS_FILE)


@pytest.fixture(autouse=True)
def without_rests(monkeypatch: Any) -> None:
    """Let batches follow each other at once."""
    monkeypatch.setattr(purging, "RESTS_FOR", 0)


@contextmanager
def as_owner(tenant: Tenant) -> Iterator[psycopg.Connection]:
    """Open a connection as the tables' owner, in the tenant's scope; commit at the end."""
    name = str(connection.settings_dict["NAME"])
    with psycopg.connect(join_postgres().url("portal_owner", name)) as owner:
        owner.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{tenant.id}}}"])
        yield owner


def make_activity(tenant: Tenant, *, days_ago: float = 181, devices: tuple[Device, ...] = ()) -> RemediationActivity:
    """Create an activity that was completed so many days ago: the owner role moves its completion back."""
    with acting_for(tenant.id):
        activity = RemediationActivity.objects.create(
            tenant=tenant,
            campaign=uuid7(),
            title="Update the browser",
            option="software_update",
            priority="high",
            state="completed",
            completion="system",
            completed_by_label="System confirmation",
        )
        for device in devices:
            ActivityDevice.objects.create(tenant=tenant, activity=activity, device=device)
    move_back(tenant, activity.pk, days_ago)
    return activity


def move_back(tenant: Tenant, activity_id: UUID, days_ago: float) -> None:
    """Move an activity's completion into the past, as the owner role."""
    with as_owner(tenant) as owner:
        owner.execute(
            "UPDATE vulnerabilities_remediationactivity SET completed_at = now() - %s * interval '1 day' WHERE id = %s",
            [days_ago, activity_id],
        )


def kept(tenant: Tenant) -> set[UUID]:
    """Return the ids of the tenant's activities that are still there."""
    with acting_for(tenant.id):
        return set(RemediationActivity.objects.filter(tenant=tenant).values_list("pk", flat=True))
