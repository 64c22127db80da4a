"""What the demo offers to hunt in, as the simulator's tables show it."""

import pytest

from connectors.simulator.hunting_tables import table_of
from connectors.simulator.kql import run
from connectors.simulator.moments import now_ticks
from connectors.simulator.seeds import put_alert, put_email, put_event, put_machine
from connectors.simulator.store import Tenant
from portal.demo.companies import COMPANIES, Company
from portal.demo.hunting_ground import hunting_ground
from portal.demo.opening import opening_scene
from portal.demo.scenery import sha1_of
from remediation.hunting.kql import mail_query
from remediation.hunting.ready_made import READY_MADE


@pytest.fixture(params=COMPANIES, ids=[company.slug for company in COMPANIES])
def company(request: pytest.FixtureRequest) -> Company:
    chosen: Company = request.param
    return chosen


@pytest.fixture
def tenant(company: Company) -> Tenant:
    made = Tenant(str(company.entra_tenant_id))
    scene, ground = opening_scene(company), hunting_ground(company)
    for put, rows in (
        (put_machine, scene["machines"]),
        (put_alert, scene["alerts"]),
        (put_email, [*scene["emails"], *ground["emails"]]),
        (put_event, ground["events"]),
    ):
        for row in rows:
            put(made, row)
    return made


def found(tenant: Tenant, query: str) -> int:
    now = now_ticks()
    return len(run(query, lambda name: table_of(tenant, name, now), now).rows)


def test_the_campaign_is_larger_than_the_alert_says(tenant: Tenant) -> None:
    assert found(tenant, mail_query({"url": "login-check.example", "subject": "overdue"})) == 8
    assert found(tenant, mail_query({"sender": "overdue-invoice.example"})) == 8
    assert found(tenant, "EmailEvents | where Subject startswith 'Your payslip'") == 3


def test_the_stealer_lies_on_more_devices_than_raised_an_alert(tenant: Tenant, company: Company) -> None:
    query = READY_MADE["devices-with-file"].query.replace("0" * 40, sha1_of(f"{company.slug}-stealer"))

    assert found(tenant, query) == 3


@pytest.mark.parametrize("name", READY_MADE)
def test_every_ready_made_query_runs(tenant: Tenant, name: str) -> None:
    expected = {"threats-delivered": 8, "from-sender": 0, "devices-with-file": 0, "script-downloads": 1}

    assert found(tenant, READY_MADE[name].query) == expected[name]
