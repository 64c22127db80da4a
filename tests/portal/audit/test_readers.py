"""People read their own tenants' history, find their way in it, and are told when it is not sealed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from uuid_utils.compat import uuid7

from portal.access.models import User
from portal.audit.models import AuditEvent, Sealing
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, viewing

pytestmark = pytest.mark.django_db
Browse = Callable[[User], Client]
LIST = "/admin/audit/auditevent/"


@pytest.fixture
def happenings(acme: Tenant, globex: Tenant) -> None:
    """One event of each tenant besides the starts of their chains."""
    for tenant, verb, who in ((acme, "thing.made", "Ada"), (globex, "thing.lost", "Gil")):
        with acting_for(tenant.id):
            record(
                tenant.id,
                verb,
                object_type="thing",
                object_id=uuid7(),
                actor=ActorStamp(None, who),
                data={"before": {"size": "small"}, "after": {"size": "<b>large</b>"}},
            )


def verbs_in(page: str) -> set[str]:
    return {verb for verb in ("thing.made", "thing.lost", "audit.chain_started") if f">{verb}</a>" in page}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"thing.made", "thing.lost", "audit.chain_started"}),
        ("verb__startswith=thing.", {"thing.made", "thing.lost"}),
        ("actor_label__icontains=ada", {"thing.made"}),
        ("object_type__istartswith=THING&actor_label__icontains=gil", {"thing.lost"}),
        (f"from={now():%Y-%m-%d}&to={now() + timedelta(days=1):%Y-%m-%d}&verb__startswith=thing.m", {"thing.made"}),
        ("to=2020-01-01", set()),
        ("tenant__id__exact={globex}&verb__startswith=thing.", {"thing.lost"}),
    ],
)
def test_history_is_found_by_what_one_types(
    happenings: None, globex: Tenant, pia: User, browse: Browse, query: str, expected: set[str]
) -> None:
    page = browse(pia).get(f"{LIST}?{query.format(globex=globex.id)}").content.decode()
    assert verbs_in(page) == expected
    assert ("Nothing matches the search and filters." in page) == (not expected)


def test_a_day_that_is_none_is_not_passed_over(happenings: None, pia: User, browse: Browse) -> None:
    answer = browse(pia).get(f"{LIST}?from=yesterday")
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}?e=1")


def test_a_tenants_people_see_its_events_only_with_values_and_hash(
    happenings: None, acme: Tenant, globex: Tenant, ren: User, browse: Browse
) -> None:
    with viewing([acme.id, globex.id]):
        own = AuditEvent.objects.get(verb="thing.made")
        foreign = AuditEvent.objects.get(verb="thing.lost")
    client = browse(ren)
    assert verbs_in(client.get(LIST).content.decode()) == {"thing.made", "audit.chain_started"}
    assert client.get(f"{LIST}{foreign.pk}/change/").status_code == 404
    page = client.get(f"{LIST}{own.pk}/change/").content.decode()
    assert "<b>size</b> small" in page
    assert "<b>size</b> &lt;b&gt;large&lt;/b&gt;" in page
    assert bytes(own.hash or b"").hex() in page


def test_the_overview_tells_provider_admins_when_history_is_not_sealed(
    happenings: None, ren: User, pia: User, browse: Browse
) -> None:
    late, short = "Minutes since history was sealed", "Histories cut short"

    def overview(user: User) -> str:
        return browse(user).get("/admin/").content.decode()

    assert "Seals of history" in overview(pia)
    Sealing.objects.create(sealed_at=now() - timedelta(minutes=4))
    assert late not in overview(pia)
    Sealing.objects.update(sealed_at=now() - timedelta(minutes=6), shortened=2)
    assert late in overview(pia)
    assert short in overview(pia)
    assert late not in overview(ren)
    assert short not in overview(ren)


def test_a_page_of_history_costs_the_same_for_many(happenings: None, acme: Tenant, ren: User, browse: Browse) -> None:
    client = browse(ren)
    with CaptureQueriesContext(connection) as few:
        client.get(LIST)
    with acting_for(acme.id):
        for number in range(20):
            record(acme.id, "x", object_type="x", object_id=uuid7(), actor=ActorStamp(None, "x"), data={"n": number})
    with CaptureQueriesContext(connection) as many:
        client.get(LIST)
    assert len(many) == len(few)
