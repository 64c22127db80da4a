"""While the broker is away one process sends by itself; while it is there, it leaves the work to the workers."""

from threading import Event
from uuid import UUID

import pytest
from pytest_django import Settings

from portal.tenancy.models import Tenant
from remediation.actions import draining
from remediation.actions.dispatching import serve_due
from remediation.actions.states import State
from tests.remediation.actions.test_sending import Vendor, change, queue, reread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vendor(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Acme's vendor; every other tenant's way out is broken."""
    found = Vendor()

    def way_out_of(tenant_id: UUID) -> draining.WayOut:
        if tenant_id != acme.id:
            raise RuntimeError("broken")
        return draining.WayOut(acme.id, found, str(acme.entra_tenant_id))  # type: ignore[arg-type]

    monkeypatch.setattr(draining, "way_out_of", way_out_of)
    return found


def test_without_the_broker_it_sends_and_looks_up_and_one_tenants_error_stops_no_other(
    globex: Tenant, acme: Tenant, vendor: Vendor, settings: Settings
) -> None:
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    queue(globex, "run_antivirus_scan")
    [action] = queue(acme, "run_antivirus_scan")

    serve_due(Event())

    assert reread(action).state == State.ACCEPTED
    change(action, next_check_at="2020-01-01T00:00:00Z")
    serve_due(Event())
    next_check = reread(action).next_check_at
    assert next_check is not None
    assert next_check.year > 2020


def test_while_the_broker_answers_it_leaves_the_work_to_the_workers(acme: Tenant, vendor: Vendor) -> None:
    [action] = queue(acme, "run_antivirus_scan")

    assert not serve_due(Event())

    assert reread(action).state == State.APPROVED
    assert vendor.sent == []
