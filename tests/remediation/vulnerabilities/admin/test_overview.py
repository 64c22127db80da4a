"""The dashboard's panel of top activities, and the burn-down."""

from collections.abc import Callable
from datetime import timedelta

from django.test import Client
from pytest_django import DjangoAssertNumQueries
from uuid_utils.compat import uuid7

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import BurnDownDay
from remediation.vulnerabilities.querysets import today
from tests.factories import make_device
from tests.remediation.vulnerabilities.admin.conftest import PAGES, make_activity

Browse = Callable[[User], Client]


def order_of(shown: str, *titles: str) -> list[str]:
    """The titles in the order they stand on the page."""
    return sorted(titles, key=shown.index)


def test_the_first_page_names_the_top_activities_and_where_to_complete_them(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse
) -> None:
    chrome = make_activity(acme, make_device(acme), make_device(acme, "pc-2", machine_id="f" * 40), title="Chrome")
    make_activity(globex, make_device(globex), title="Zoom", priority="high", due_on=today())
    make_activity(acme, title="Ended", state="completed", completion="unknown")
    client = browse(pia)

    shown = client.get("/admin/").content.decode()
    assert order_of(shown, "Chrome", "Zoom") == ["Chrome", "Zoom"]
    assert f"{PAGES}{chrome.pk}/complete/" in shown
    assert "Ended" not in shown
    for order in ("priority", "due"):
        assert order_of(client.get("/admin/", {"top": order}).content.decode(), "Chrome", "Zoom") == ["Zoom", "Chrome"]
    narrowed = client.get("/admin/", {"tenant": str(globex.pk)}).content.decode()
    assert "Zoom" in narrowed
    assert ">Chrome<" not in narrowed


def test_the_panel_costs_the_same_whatever_there_is(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = browse(pia)
    client.get("/admin/")
    with django_assert_max_num_queries(60) as before:
        client.get("/admin/")
    for tenant in (acme, globex):
        make_activity(tenant)
        make_activity(tenant)
    with django_assert_max_num_queries(len(before.captured_queries)):
        client.get("/admin/")


def test_without_remediation_the_first_page_says_where_to_begin(acme: Tenant, ada: User, browse: Browse) -> None:
    assert "No remediation is open." in browse(ada).get("/admin/").content.decode()


def test_the_burn_down_draws_and_tables_one_tenants_days(
    acme: Tenant, globex: Tenant, pia: User, browse: Browse
) -> None:
    for tenant, open_activities in ((acme, 8), (globex, 99)):
        with acting_for(tenant.id):
            for ago in (2, 0):
                BurnDownDay.objects.create(
                    tenant=tenant,
                    day=today() - timedelta(days=ago),
                    open_activities=open_activities - (0 if ago else 4),
                    overdue_activities=1,
                    completed_activities=0,
                    exposed_devices=1200,
                )
    shown = browse(pia).get(f"{PAGES}burn-down/", {"tenant": str(acme.pk)}).content.decode()

    assert 'points="0.0,0.0 640.0,100.0"' in shown
    assert "<td>99</td>" not in shown
    assert "style=" not in shown
    unknown = browse(pia).get(f"{PAGES}burn-down/", {"tenant": str(uuid7())}).content.decode()
    assert ("There is no such tenant" in unknown, "<polyline" in unknown) == (True, False)


def test_a_burn_down_of_one_day_has_no_line_and_of_none_says_so(acme: Tenant, ada: User, browse: Browse) -> None:
    assert "Nothing has been counted yet." in browse(ada).get(f"{PAGES}burn-down/").content.decode()
    with acting_for(acme.id):
        BurnDownDay.objects.create(
            tenant=acme,
            day=today(),
            open_activities=1,
            overdue_activities=0,
            completed_activities=0,
            exposed_devices=3,
        )
    shown = browse(ada).get(f"{PAGES}burn-down/").content.decode()
    assert "<polyline" not in shown
    assert "<td>3</td>" in shown
