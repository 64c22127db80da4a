"""The pages of exceptions: the preview before anything is sent, who may do what, the register and the cards."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import RecommendationException
from tests.factories import make_group
from tests.portal.access.sign_in.codes import give_app
from tests.remediation.vulnerabilities.exceptions.conftest import CVE, Ask, Estate

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
PAGES = "/admin/vulnerabilities/recommendationexception/"
WHY = {"justification": "risk_accepted", "context": "No newer one.", "term": "30"}


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def stale(client: Client) -> Client:
    """Let the second factor this client showed be six minutes old."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "type": "totp", "at": time.time() - 360}]
    session.save()
    return client


def rows(tenant: Tenant) -> list[RecommendationException]:
    with acting_for(tenant.id):
        return list(RecommendationException.objects.order_by("pk"))


def test_nothing_is_sent_before_what_it_changes_was_shown(estate: Estate, ada: User, browse: Browse) -> None:
    client, page = browse(ada), f"{PAGES}add/?recommendation={estate.browser.pk}"
    wanted = WHY | {"scope": "groups", "groups": [str(estate.servers.pk)]}
    shown = client.post(page, wanted | {"step": "send"})
    assert "Exposed devices: 3 now, 1 with this exception." in words(shown)
    last_day = estate.today() + timedelta(days=30)
    assert f"up to and including {last_day} (UTC)" in words(shown)
    assert rows(estate.tenant) == []

    seen = {"step": "send", "previewed": f"{estate.servers.pk} {last_day}"}
    other = client.post(page, wanted | seen | {"groups": [str(estate.laptops.pk)]})
    assert "3 now, 2 with this exception." in words(other)
    longer = client.post(page, wanted | seen | {"term": "90"})
    assert f"up to and including {estate.today() + timedelta(days=90)} (UTC)" in words(longer)
    assert rows(estate.tenant) == []

    sent = client.post(page, wanted | seen, follow=True)
    assert "It waits for a second person." in words(sent)
    assert "You asked for this exception yourself" in words(sent)
    assert [row.state for row in rows(estate.tenant)] == ["requested"]


def test_two_answers_to_one_question_are_refused_where_they_stand(estate: Estate, ada: User, browse: Browse) -> None:
    client, page = browse(ada), f"{PAGES}add/?recommendation={estate.browser.pk}"
    soon = estate.today() + timedelta(days=5)
    both = WHY | {"scope": "tenant", "groups": [str(estate.servers.pk)], "until": soon, "step": "preview"}
    shown = client.post(page, both)
    assert sorted(shown.context["form"].errors) == ["groups", "until"]
    assert ("says the whole tenant" in words(shown), "What it would change" in words(shown)) == (True, False)


def test_groups_excepted_already_are_not_offered(estate: Estate, ask: Ask, ada: User, browse: Browse) -> None:
    ask(estate.servers)
    page = words(browse(ada).get(f"{PAGES}add/?recommendation={estate.browser.pk}"))
    assert str(estate.servers.pk) not in page
    assert str(estate.laptops.pk) in page


def test_the_form_says_where_devices_are_exposed_and_warns_of_what_covers_none(
    estate: Estate, ada: User, browse: Browse
) -> None:
    client, page = browse(ada), f"{PAGES}add/?recommendation={estate.browser.pk}"
    assert f"{estate.servers.name}: 2 exposed" in words(client.get(page))
    empty = make_group(estate.tenant, name="Kiosks")
    wanted = WHY | {"scope": "groups", "step": "preview"}
    assert "It covers no device" in words(client.post(page, wanted | {"groups": [str(empty.pk)]}))
    assert "It covers no device" not in words(client.post(page, wanted | {"groups": [str(estate.servers.pk)]}))


def test_a_cve_is_asked_for_by_name(estate: Estate, globex: Tenant, ada: User, browse: Browse) -> None:
    client = browse(ada)
    assert estate.tenant.name in words(client.get(f"{PAGES}add/"))
    page = words(client.get(f"{PAGES}add/?tenant={estate.tenant.pk}&cve={CVE.lower()}"))
    assert "CVE with no patch" in page
    assert CVE in page
    for wrong, said in (("nonsense", "is no CVE"), ("CVE-1999-0001", "No recommendation of this tenant names")):
        assert said in words(client.get(f"{PAGES}add/?tenant={estate.tenant.pk}&cve={wrong}"))
    assert client.get(f"{PAGES}add/?tenant={globex.pk}&cve={CVE}").status_code == 404
    assert client.get(f"{PAGES}add/?recommendation=nonsense").status_code == 404


def test_the_second_person_reads_the_effect_and_grants(estate: Estate, ask: Ask, bob: User, browse: Browse) -> None:
    exception, client = ask(estate.servers), browse(bob)
    detail = words(client.get(f"{PAGES}{exception.pk}/change/"))
    assert "Exposed devices: 3 now, 1 with this exception." in detail
    asked = words(client.get(f"{PAGES}{exception.pk}/approve/decide/"))
    assert "Exposed devices are 3 now and 1 with it" in asked
    done = words(client.post(f"{PAGES}{exception.pk}/approve/decide/", {"reason": "Seen."}, follow=True))
    assert "The exception is granted." in done
    assert "2 devices." in done
    assert estate.left() == ("partial_exception", 1)


def test_granting_one_for_the_whole_tenant_asks_for_a_fresh_second_factor_before_the_reason(
    estate: Estate, ask: Ask, bob: User, tess: User, browse: Browse
) -> None:
    exception = ask()
    page = f"{PAGES}{exception.pk}/approve/decide/"
    give_app(tess)
    client, clerk = stale(browse(tess)), stale(browse(bob))
    for answer in (client.get(page), client.post(page, {"reason": "Seen."})):
        assert answer["Location"].startswith("/accounts/2fa/reauthenticate/")
    assert client.get(page.replace("approve", "reject")).status_code == 200
    address = f"/api/v1/exceptions/{exception.pk}/approve/"
    refused = client.post(address, {"reason": "Seen."}, content_type="application/json")
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/second-factor-needed")
    assert estate.state(exception) == "requested"
    assert clerk.get(page).status_code == 200, "who may not decide is told so, not asked who they are"
    assert "The exception is granted." in words(browse(tess).post(page, {"reason": "Seen."}, follow=True))


def test_one_group_is_let_go_from_the_page(estate: Estate, grant: Ask, bob: User, browse: Browse) -> None:
    exception, client = grant(estate.servers, estate.laptops), browse(bob)
    url = f"{PAGES}{exception.pk}/cancel-group/decide/?group={estate.servers.pk}"
    assert url in words(client.get(f"{PAGES}{exception.pk}/change/"))
    assert "“Servers”, whose devices are shown as exposed again" in words(client.get(url))
    client.post(url, {"reason": "Patched."})
    assert rows(estate.tenant)[0].group_names == [estate.laptops.name]
    assert "no longer" not in words(client.post(url.replace(str(estate.servers.pk), "nonsense"), {"reason": "x"}))


def test_buttons_are_only_for_who_may(
    estate: Estate, ask: Ask, ada: User, bob: User, tess: User, ren: User, browse: Browse
) -> None:
    everywhere = ask()
    offered = {
        user.name: [verb for verb in ("approve", "reject", "cancel") if f"/{verb}/decide/" in page]
        for user in (ada, bob, tess, ren)
        for page in [words(browse(user).get(f"{PAGES}{everywhere.pk}/change/"))]
    }
    assert offered == {"Ada": ["cancel"], "Bob": [], "Tess": ["approve", "reject", "cancel"], "Ren": []}
    browse(bob).post(f"{PAGES}{everywhere.pk}/approve/decide/", {"reason": "Mine."})
    assert estate.state(everywhere) == "requested"
    assert browse(ren).get(f"{PAGES}add/?recommendation={estate.browser.pk}").status_code == 403


def test_the_list_its_queries_its_filter_and_the_cards(
    estate: Estate, ask: Ask, grant: Ask, bob: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = browse(bob)
    assert "There are no exceptions." in words(client.get(PAGES))
    ending = grant(estate.servers)
    estate.age(ending, expires_on=estate.today() + timedelta(days=3), new_device_count=2)
    ask(subject=estate.cve())
    ask(estate.laptops)
    with django_assert_num_queries(12):
        page = words(client.get(PAGES))
    assert ("Update Browser" in page, CVE in page, "2 new" in page) == (True, True, True)
    assert f"{PAGES}csv/?ending=week" in words(client.get(f"{PAGES}?ending=week"))
    register = b"".join(client.get(f"{PAGES}csv/?ending=week")).decode().splitlines()
    assert len(register) == 2
    assert "Update Browser" in register[1]
    assert client.get(f"{PAGES}csv/?bogus=1").headers["Location"] == f"{PAGES}?e=1"
    narrowed = words(client.get(f"{PAGES}?ending=week"))
    assert ("Update Browser" in narrowed, CVE in narrowed) == (True, False)
    overview = words(client.get("/admin/"))
    for label, count in (("Exceptions that wait for a second person", 2), ("Exceptions that end within a week", 1)):
        assert f'<span class="count">{count}</span> <span class="count-label">{label}</span>' in overview
