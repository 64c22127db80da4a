"""One request for many tenants: what came of it in each, and the page where all of them are followed."""

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.access.models import User
from portal.tenancy.models import Tenant
from remediation.vulnerabilities.models import Recommendation
from remediation.vulnerabilities.querysets import today
from tests.factories import connect_intune, make_device
from tests.remediation.vulnerabilities.admin.conftest import (
    PAGES,
    activities_of,
    make_activity,
    make_recommendation,
)

Browse = Callable[[User], Client]


def test_each_tenant_gets_an_activity_or_the_reason_why_not(
    acme: Tenant, globex: Tenant, chrome: Recommendation, pia: User, browse: Browse
) -> None:
    make_recommendation(globex)
    due_on = (today() + timedelta(days=7)).isoformat()
    data = {"option": "software_update", "priority": "low", "due_on": due_on, "tenants": [acme.pk, globex.pk]}
    client, path = browse(pia), f"{PAGES}request-many/{chrome.pk}/"

    assert "2 customers get an activity." in client.post(path, data).content.decode()
    assert activities_of(acme) == []
    shown = client.post(path, {**data, "confirmed": "1"}, follow=True).content.decode()
    assert "Remediation was requested for 1 customer." in shown
    assert "Not requested for Globex: No device is exposed" in shown
    assert "Where nothing was requested" in shown
    assert "<strong>Globex</strong>: No device is exposed" in shown
    assert "more customer was asked for" not in shown
    assert (len(activities_of(acme)), activities_of(globex)) == (1, [])


def test_customers_without_intune_are_named_before_it_is_confirmed(
    acme: Tenant, globex: Tenant, chrome: Recommendation, pia: User, browse: Browse
) -> None:
    make_recommendation(globex, make_device(globex))
    connect_intune(acme)
    due_on = (today() + timedelta(days=7)).isoformat()
    data = {"option": "software_update", "priority": "low", "due_on": due_on, "tenants": [acme.pk, globex.pk]}
    shown = browse(pia).post(f"{PAGES}request-many/{chrome.pk}/", {**data, "opens_ticket": "on"}).content.decode()

    assert "The Intune connection is off for Globex" in shown
    assert "1 customer gets an activity." in shown
    assert "Globex: nothing is requested, Intune is off" in shown
    assert "3 devices are exposed there; at most 3 go to Intune" in shown


def test_a_campaign_adds_up_its_tenants_in_a_fixed_number_of_queries(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = make_activity(
        acme, make_device(acme), tenants_asked=2, devices_at_start=10, devices_exposed=4, devices_fixed=6
    )
    make_activity(globex, make_device(globex), tenants_asked=2, campaign=first.campaign)
    client = browse(pia)
    client.get(PAGES)
    with django_assert_num_queries(11):
        shown = client.get(f"{PAGES}campaign/{first.campaign}/").content.decode()

    assert "6 of 11 devices are done" in shown
    assert "0 of 2 (0 by System confirmation)" in shown


def test_a_campaign_tells_each_person_only_of_their_own_tenants(
    acme: Tenant, globex: Tenant, gil: User, pia: User, browse: Browse
) -> None:
    """Nor how many others there are: one customer's people learn nothing of what the others are exposed to."""
    first = make_activity(acme, tenants_asked=37)
    path = f"{PAGES}campaign/{first.campaign}/"
    assert browse(gil).get(path).status_code == 404

    theirs = make_activity(globex, campaign=first.campaign, tenants_asked=37)
    page = f"{PAGES}{theirs.pk}/change/"
    shown = [browse(gil).get(each).content.decode() for each in (path, page)]
    assert [word for word in ("Acme", "36 more", "37 customers") if word in "".join(shown)] == []
    assert f"campaign/{first.campaign}/" not in shown[1]
    assert "One of 2 customers" in browse(pia).get(page).content.decode()
