"""The API of recommendations: one list over all tenants, what it hides, and which customers are exposed."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import (
    Exposure,
    ExposureDay,
    KnownExploitedFeed,
    KnownExploitedVulnerability,
    Recommendation,
)
from tests.factories import make_device

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
LOG4J = "CVE-2021-44228"


def make(tenant: Tenant, product: str = "7-zip", *, devices: int = 0, **fields: Any) -> Recommendation:
    exposed = [make_device(tenant, f"pc-{number}") for number in range(devices)]
    values = {"name": f"Update {product}", "product_name": product, "exposed_count": devices, "raw": {}} | fields
    with acting_for(tenant.id):
        row = Recommendation.objects.create(tenant=tenant, recommendation_id=f"va-_-{product}-_-{product}", **values)
        for device in exposed:
            Exposure.objects.create(tenant=tenant, recommendation=row, device=device)
    return row


def names(client: Client, **query: Any) -> list[str]:
    answer = client.get("/api/v1/recommendations/", query)
    assert answer.status_code == 200, answer.content
    return sorted(row["product_name"] for row in answer.json()["results"])


def test_one_list_over_all_tenants_and_nobody_elses(
    acme: Tenant, globex: Tenant, ren: User, pia: User, browse: Browse
) -> None:
    make(acme, "edge")
    theirs = make(globex, "java")

    assert names(browse(ren)) == ["edge"]
    assert names(browse(pia)) == ["edge", "java"]
    for part in ("", "devices/", "history/", "options/"):
        assert browse(ren).get(f"/api/v1/recommendations/{theirs.pk}/{part}").status_code == 404


def test_filters_find_by_cve_product_vendor_search_exploits_and_size(acme: Tenant, ren: User, browse: Browse) -> None:
    make(acme, "log4j", vendor="Apache", cve_ids=[LOG4J], is_known_exploited=True, devices=2)
    make(acme, "edge", vendor="Microsoft", category="Application", remediation_type="Update", has_public_exploit=True)
    client = browse(ren)

    for query in (
        {"cve": LOG4J.lower()}, {"product": "LOG"}, {"vendor": "apa"}, {"search": "log4"}, {"search": LOG4J.lower()},
        {"is_known_exploited": "true"}, {"exposed_min": 2}, {"tenant": str(acme.pk), "has_public_exploit": "false"},
    ):  # fmt: skip
        assert names(client, **query) == ["log4j"], query
    assert names(client, category="application", remediation_type="update") == ["edge"]
    assert client.get("/api/v1/recommendations/", {"cvee": LOG4J}).status_code == 400


def test_full_exceptions_and_what_is_no_longer_listed_are_hidden_until_asked_for(
    acme: Tenant, ren: User, browse: Browse
) -> None:
    make(acme, "edge", status="partial_exception")
    hidden = make(acme, "java", status="full_exception")
    make(acme, "gone", disappeared_at=datetime.now(UTC))
    client = browse(ren)

    assert names(client) == ["edge"]
    assert names(client, status="full_exception") == ["java"]
    assert names(client, is_listed="false") == ["gone"]
    assert client.get(f"/api/v1/recommendations/{hidden.pk}/").status_code == 200


def test_one_call_says_which_customers_are_exposed(
    acme: Tenant, globex: Tenant, ren: User, pia: User, browse: Browse
) -> None:
    first = make(acme, "log4j", cve_ids=[LOG4J], devices=2)
    second = make(acme, "log4j-core", cve_ids=[LOG4J], is_known_exploited=True)
    with acting_for(acme.id):  # the same device twice, and it counts once
        device_id = Exposure.objects.filter(recommendation=first).values_list("device_id", flat=True)[0]
        Exposure.objects.create(tenant=acme, recommendation=second, device_id=device_id)
    make(globex, "log4j", cve_ids=[LOG4J], devices=3)
    client = browse(pia)

    answer = client.get("/api/v1/recommendations/customers/", {"cve": LOG4J})

    assert [
        (row["tenant_name"], row["recommendations"], row["exposed_devices"], row["is_known_exploited"])
        for row in answer.json()
    ] == [("Globex", 1, 3, False), ("Acme", 2, 2, True)]
    by_product = browse(ren).get("/api/v1/recommendations/customers/", {"product": "log4"}).json()
    assert [row["tenant"] for row in by_product] == [str(acme.pk)]
    assert client.get("/api/v1/recommendations/customers/").status_code == 400
    assert client.get("/api/v1/recommendations/customers/", {"cvee": LOG4J}).status_code == 400
    assert client.get("/api/v1/recommendations/customers/", {"cve": LOG4J, "product": "\x00"}).status_code == 400
    unread = browse(ren).get("/api/v1/recommendations/customers/never-read/").json()
    assert unread == [{"tenant": str(acme.pk), "tenant_name": "Acme"}]
    for path in ("", "customers/"):  # a slip must not read as nobody exposed
        assert client.get(f"/api/v1/recommendations/{path}", {"cve": "2021-44228"}).status_code == 400


def test_a_customer_whose_devices_are_not_read_yet_counts_as_microsoft_says(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse
) -> None:
    make(acme, "log4j", cve_ids=[LOG4J], exposed_count=40)
    make(globex, "log4j", cve_ids=[LOG4J], exposures_read_at=datetime.now(UTC))

    answer = browse(pia).get("/api/v1/recommendations/customers/", {"cve": LOG4J})

    assert [(row["tenant_name"], row["exposed_devices"]) for row in answer.json()] == [("Acme", 40)]


def test_devices_history_and_options_of_one(acme: Tenant, ren: User, browse: Browse) -> None:
    row = make(acme, "edge", devices=2)
    with acting_for(acme.id):
        for day, count in ((date(2026, 11, 2), 2), (date(2026, 11, 1), 5)):
            ExposureDay.objects.create(tenant=acme, recommendation=row, day=day, exposed_count=count, total_count=9)
    client, path = browse(ren), f"/api/v1/recommendations/{row.pk}/"

    devices = client.get(f"{path}devices/").json()["results"]
    assert sorted(device["name"] for device in devices) == ["pc-0", "pc-1"]
    assert client.get(f"{path}history/").json() == [
        {"day": "2026-11-01", "exposed_count": 5, "total_count": 9},
        {"day": "2026-11-02", "exposed_count": 2, "total_count": 9},
    ]
    offer = client.get(f"{path}options/").json()
    assert offer["options"] == ["software_update", "software_uninstall", "attention_required"]
    assert "open_ticket" not in offer


def test_the_known_exploited_list_is_everybodys(acme: Tenant, ren: User, browse: Browse, client: Client) -> None:
    for number, added in enumerate((date(2026, 1, 1), date(2026, 2, 1))):
        KnownExploitedVulnerability.objects.create(cve_id=f"CVE-2026-{1000 + number}", product="zip", added_on=added)
    KnownExploitedFeed.objects.create(pk=1, state="working", entry_count=2)

    found = browse(ren).get("/api/v1/known-exploited/", {"search": "ZIP"}).json()["results"]

    assert [row["cve_id"] for row in found] == ["CVE-2026-1001", "CVE-2026-1000"]
    assert browse(ren).get("/api/v1/known-exploited/feed/").json()["state"] == "working"
    assert client.get("/api/v1/known-exploited/").status_code in (401, 403)


@pytest.mark.parametrize("count", [2, 12])
def test_the_list_costs_the_same_however_long_it_is(
    count: int, acme: Tenant, ren: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        make(acme, f"p{number}")
    client = browse(ren)
    client.get("/api/v1/recommendations/")

    with django_assert_num_queries(8):
        client.get("/api/v1/recommendations/")


def test_a_second_tenants_reader_sees_both(acme: Tenant, globex: Tenant, ren: User, browse: Browse) -> None:
    make(acme, "edge")
    make(globex, "java")
    with acting_for(globex.id):
        TenantMembership.objects.create(tenant=globex, user=ren, role=Role.READER)

    assert names(browse(ren)) == ["edge", "java"]
