"""The vendor of the actions' tests, Acme connected to it, and hunts that workers run at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.hunting import tasks
from remediation.hunting.models import Hunt
from remediation.hunting.states import HuntState
from tests.remediation.actions.conftest import connected, vendor, vendor_process

__all__ = ["connected", "vendor", "vendor_process"]

MESSAGE = "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01"
MACHINE = "1" * 40


def mail(recipient: str = "eve@acme.example", message_id: str = MESSAGE, **fields: Any) -> dict[str, Any]:
    """A mail as the simulator is seeded with it."""
    return {"networkMessageId": message_id, "recipientEmailAddress": recipient, **fields}


def make_hunt(tenant: Tenant, **fields: Any) -> Hunt:
    """Create a hunt that is done, with what it found."""
    rows = fields.pop("rows", [])
    columns = fields.pop("columns", [[name, "String"] for name in (rows[0] if rows else {})])
    values = {"batch": Hunt(tenant=tenant).pk, "source": "advanced_hunting", "query": "DeviceInfo", "state": "done"}
    with acting_for(tenant.id):
        return Hunt.objects.create(tenant=tenant, rows=rows, columns=columns, row_count=len(rows), **(values | fields))


def reread(hunt: Hunt) -> Hunt:
    """The hunt as it is now."""
    with acting_for(hunt.tenant_id):
        return Hunt.objects.select_related("tenant", "asked_by").get(pk=hunt.pk)


def work(tenant: Tenant) -> None:
    """Let beat and a worker do one round for the tenant."""
    tasks.sweep()
    tasks.hunt(str(tenant.id))


def make_due(hunt: Hunt) -> None:
    """Let what was put off be due now."""
    with acting_for(hunt.tenant_id):
        Hunt.objects.filter(pk=hunt.pk, state=HuntState.QUEUED).update(not_before="2020-01-01T00:00:00Z")


@pytest.fixture
def patient(settings: Settings) -> None:
    """Give a query of these tests a few seconds."""
    settings.HUNTING_DEADLINE_SECONDS = 5.0


Post = Callable[..., Any]


def post(client: Client, path: str, body: dict[str, Any], **headers: str) -> Any:
    """POST JSON to the API."""
    return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)
