"""Quotas are counted for all workers together, in the broker's store, and hold to the last call."""

import threading
import time
from uuid import UUID, uuid4

import pytest

from connectors import quotas
from connectors.microsoft.connector import Microsoft
from connectors.microsoft.quotas import quota_of_call
from connectors.protocol import ConnectionSettings, NotSent, Quota
from portal.secrets.secret_text import SecretText
from remediation.catalogue import CATALOGUE, Route

SCANS = Quota("POST scans", 100, 1500)


@pytest.fixture(autouse=True)
def _all_of_it(settings):
    settings.MICROSOFT_QUOTA_PERCENT = 100


def test_the_hundred_and_first_call_of_a_minute_is_not_made_and_says_when_it_can_be():
    tenant = str(uuid4())

    for _ in range(100):
        quotas.spend(tenant, SCANS)

    assert quotas.room(tenant, SCANS) == 0
    with pytest.raises(NotSent) as refused:
        quotas.spend(tenant, SCANS)
    assert refused.value.code == "QuotaSpent"
    assert 50 < (refused.value.retry_after or 0) <= 60


def test_workers_beside_each_other_never_make_more_calls_than_allowed_together():
    tenant, made = str(uuid4()), list[int]()

    def call() -> None:
        for _ in range(40):
            try:
                quotas.spend(tenant, Quota("POST beside", 50))
            except NotSent:
                continue
            made.append(1)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 50


def test_the_hour_counts_as_well_as_the_minute():
    tenant = str(uuid4())
    packages = Quota("GET packages", 1000, 3)

    for _ in range(3):
        quotas.spend(tenant, packages)

    with pytest.raises(NotSent) as refused:
        quotas.spend(tenant, packages)
    assert (refused.value.retry_after or 0) > 3000


def test_another_tenant_and_another_api_keep_their_room():
    tenant = str(uuid4())
    for _ in range(100):
        quotas.spend(tenant, SCANS)

    assert quotas.room(str(uuid4()), SCANS) == 100
    assert quotas.room(tenant, Quota("POST isolations", 100, 1500)) == 100


def test_after_a_429_the_api_rests_for_as_long_as_microsoft_says():
    tenant = str(uuid4())

    quotas.rest(tenant, SCANS, 0.4)

    assert quotas.room(tenant, SCANS) == 0
    with pytest.raises(NotSent):
        quotas.spend(tenant, SCANS)
    time.sleep(0.5)
    quotas.spend(tenant, SCANS)


def test_quell_can_be_told_to_leave_some_of_the_quota_to_others(settings):
    settings.MICROSOFT_QUOTA_PERCENT = 20

    assert quotas.room(str(uuid4()), SCANS) == 20


def test_a_store_that_cannot_be_reached_holds_nothing_up(settings):
    settings.BROKER_URL = "redis://127.0.0.1:1/0"

    quotas.spend(str(uuid4()), SCANS)


@pytest.mark.parametrize(
    ("method", "path", "name", "per_minute", "per_hour"),
    [
        ("POST", f"/api/machines/{'a1' * 20}/isolate", "POST /api/machines/*/isolate", 100, 1500),
        ("POST", f"/api/machines/{'a1' * 20}/runliveresponse", "POST /api/machines/*/runliveresponse", 10, None),
        ("GET", f"/api/machineactions/{UUID(int=5)}/getPackageUri", "GET /api/machineactions/*/getpackageuri", 2, 120),
        ("POST", "/v1.0/security/microsoft.graph.security.runHuntingQuery", "POST /v1.0/security/runhuntingquery",
         45, 1500),
        ("GET", "/v1.0/users/ada@acme.example/messages", "GET /v1.0/users/*/messages", 100, 1500),
    ],
)  # fmt: skip
def test_calls_count_by_what_they_ask_for_and_not_by_whom_about(method, path, name, per_minute, per_hour):
    assert quota_of_call(method, path) == Quota(name, per_minute, per_hour)


def test_every_type_that_calls_microsoft_names_the_quota_it_spends():
    address = "https://localhost"
    settings = ConnectionSettings("microsoft", str(uuid4()), "id", SecretText("s"), address, address, address)
    connector = Microsoft(settings, deadline_seconds=1)

    called = {name for name, kind in CATALOGUE.items() if kind.route not in (Route.QUELL, Route.PORTAL_LINK)}

    assert {name for name in CATALOGUE if connector.quota_of(name)} == called
