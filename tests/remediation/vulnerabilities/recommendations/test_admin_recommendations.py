"""The pages of recommendations, as people see them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import (
    ExposureDay,
    KnownExploitedFeed,
    KnownExploitedVulnerability,
    VulnerabilitySync,
)
from tests.remediation.vulnerabilities.recommendations.test_api_recommendations import LOG4J, make

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
LIST = "/admin/vulnerabilities/recommendation/"


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_shows_microsofts_columns_over_all_tenants(
    acme: Tenant, globex: Tenant, pia: User, ren: User, browse: Browse
) -> None:
    row = make(acme, "log4j", devices=2, exposed_after_exceptions=1, is_known_exploited=True, exposure_impact=1.84)
    make(globex, "edge", status="full_exception")
    with acting_for(acme.id):
        day = timezone.now().date() - timedelta(days=8)
        ExposureDay.objects.create(tenant=acme, recommendation=row, day=day, exposed_count=5, total_count=9)
        VulnerabilitySync.objects.create(tenant=acme, detail="Shrunk: the list has 1 recommendations and had 5.")

    shown = page(browse(pia), LIST)

    for words in ("Update log4j", "Known exploited", "−3 in a week", "↓ 1.84", "Acme", "Shrunk: the list has 1"):
        assert words in shown
    assert "Update edge" not in shown
    assert "Update edge" in page(browse(pia), f"{LIST}?status=full_exception")
    assert "Update edge" not in page(browse(ren), f"{LIST}?status=all")
    assert "Update log4j" in page(browse(pia), f"{LIST}?q=LOG4&threat=is_known_exploited&product=log")
    assert "Nothing matches" in page(browse(pia), f"{LIST}?cve={LOG4J}")


def test_the_overview_counts_tenants_that_were_not_read_whole_until_they_are(
    acme: Tenant, globex: Tenant, ren: User, browse: Browse
) -> None:
    for tenant in (acme, globex):
        with acting_for(tenant.id):
            VulnerabilitySync.objects.create(tenant=tenant, detail="HTTP 503")
    words = "Tenants whose recommendations were not read whole"

    assert words in page(browse(ren), "/admin/")
    with acting_for(acme.id):
        VulnerabilitySync.objects.update(detail="")
    assert words not in page(browse(ren), "/admin/")


def test_the_overview_says_that_the_known_exploited_list_was_refused(acme: Tenant, ren: User, browse: Browse) -> None:
    KnownExploitedFeed.objects.create(pk=1, state="shrunk", detail="The list has 1 entries and had 4.")
    assert "Known-exploited list not read" in page(browse(ren), "/admin/")
    KnownExploitedFeed.objects.update(state="working")
    assert "Known-exploited list not read" not in page(browse(ren), "/admin/")


def test_an_empty_list_says_where_recommendations_come_from(acme: Tenant, ren: User, browse: Browse) -> None:
    assert "SecurityRecommendation.Read.All" in page(browse(ren), LIST)


def test_the_page_of_one_says_what_is_known_and_offers_what_the_person_may_do(
    acme: Tenant, ada: User, ren: User, gil: User, browse: Browse
) -> None:
    row = make(acme, "log4j", devices=2, cve_ids=[LOG4J, "CVE-2021-1"], remediation_type="ConfigurationChange")
    added = timezone.now().date()
    KnownExploitedVulnerability.objects.create(cve_id=LOG4J, added_on=added, due_on=added)
    with acting_for(acme.id):
        for back in (0, 1):
            day = added - timedelta(days=back)
            ExposureDay.objects.create(tenant=acme, recommendation=row, day=day, exposed_count=2, total_count=9)

    shown = page(browse(ada), f"{LIST}{row.pk}/change/")

    for words in (
        LOG4J, "Known exploited", "Configuration change", "pc-0", "<polyline", "Request remediation",
        "Request an exception",
    ):  # fmt: skip
        assert words in shown
    assert "No remediation has been requested." in shown
    as_reader = page(browse(ren), f"{LIST}{row.pk}/change/")
    assert "Request remediation" not in as_reader
    assert "Request an exception" not in as_reader
    assert browse(gil).get(f"{LIST}{row.pk}/change/").status_code == 404


def test_exposed_customers_are_found_by_cve_or_product(
    acme: Tenant, globex: Tenant, pia: User, ren: User, browse: Browse
) -> None:
    make(acme, "log4j", cve_ids=[LOG4J], devices=2)
    make(globex, "log4j", cve_ids=[LOG4J], devices=1)

    with acting_for(acme.id):
        VulnerabilitySync.objects.create(tenant=acme, read_at=timezone.now())

    assert "2 customers are exposed" in page(browse(pia), f"{LIST}customers/?cve={LOG4J}")
    nothing_known = page(browse(pia), f"{LIST}customers/?product=nothing")
    assert "1 customer was never read whole" in nothing_known
    assert "<li>Globex</li>" in nothing_known
    assert "never read" not in page(browse(ren), f"{LIST}customers/?product=nothing")
    assert "1 customer is exposed" in page(browse(ren), f"{LIST}customers/?product=log")
    with acting_for(globex.id):
        Tenant.objects.filter(pk=globex.id).update(is_active=False)
    assert "1 customer is exposed" in page(browse(pia), f"{LIST}customers/?cve={LOG4J}")
    assert "No device of a customer you see" in page(browse(ren), f"{LIST}customers/?product=nothing")
    for path in ("customers/", ""):  # a slip must not read as nobody exposed
        assert "is no CVE; write it whole" in page(browse(ren), f"{LIST}{path}?cve=2021-44228")
    assert "Type a CVE" in page(browse(ren), f"{LIST}customers/")


def test_the_page_of_the_known_exploited_list_says_how_its_reading_went(
    acme: Tenant, ren: User, browse: Browse
) -> None:
    path = "/admin/vulnerabilities/knownexploitedvulnerability/"
    assert "Set KNOWN_EXPLOITED_URL" in page(browse(ren), path)
    KnownExploitedVulnerability.objects.create(cve_id=LOG4J, product="Log4j", added_on=timezone.now().date())
    KnownExploitedFeed.objects.create(pk=1, state="shrunk", detail="The list has 2 entries and had 4.")

    shown = page(browse(ren), path)

    assert LOG4J in shown
    assert "Refused: shrunk by half or more" in shown
    assert "The list has 2 entries and had 4." in shown
    assert "Log4j" in page(browse(ren), f"{path}{LOG4J}/change/")


@pytest.mark.parametrize("count", [2, 12])
def test_the_list_costs_the_same_however_long_it_is(
    count: int, acme: Tenant, ren: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(count):
        make(acme, f"p{number}")
    client = browse(ren)
    client.get(LIST)

    with django_assert_num_queries(14):
        client.get(LIST)
