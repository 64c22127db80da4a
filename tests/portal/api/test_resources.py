"""Tenants, history and who am I."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid4

from portal.audit.recording import SYSTEM, ActorStamp, record
from portal.tenancy.scope import acting_for


@pytest.fixture
def happenings(acme, globex, ada):
    """Two events of Acme on one object, by Ada and by automation, and one of Globex."""
    thing = uuid4()
    for tenant, verb, actor in (
        (acme, "thing.made", ActorStamp(ada.pk, ada.email)),
        (acme, "thing.changed", SYSTEM),
        (globex, "thing.made", SYSTEM),
    ):
        with acting_for(tenant.id):
            record(tenant.id, verb, object_type="thing", object_id=thing, actor=actor, data={})
    return thing


def test_people_see_their_tenants_and_the_provider_sees_all(acme, globex, ada, pia, browse):
    assert [row["slug"] for row in browse(ada).get("/api/v1/tenants/").json()["results"]] == ["acme"]
    assert [row["slug"] for row in browse(pia).get("/api/v1/tenants/").json()["results"]] == ["globex", "acme"]
    assert browse(ada).get(f"/api/v1/tenants/{acme.id}/").json()["entra_tenant_id"] == str(acme.entra_tenant_id)


def test_history_is_newest_first_and_only_ones_own(happenings, acme, ada, pia, browse):
    found = browse(ada).get("/api/v1/audit-events/").json()["results"]

    assert [(row["tenant"], row["seq"], row["verb"], row["actor_label"]) for row in found] == [
        (str(acme.id), 3, "thing.changed", "Automation"),
        (str(acme.id), 2, "thing.made", ada.email),
        (str(acme.id), 1, "audit.chain_started", "Automation"),
    ]
    assert [row["previous_hash"] for row in found] == [found[1]["hash"], found[2]["hash"], None]
    assert all(len(row["hash"]) == 64 for row in found)
    assert len(browse(pia).get("/api/v1/audit-events/").json()["results"]) == 5


def test_history_is_found_by_object_event_person_and_time(happenings, ada, pia, browse):
    client = browse(pia)

    def count(query: str) -> int:
        return len(client.get(f"/api/v1/audit-events/?{query}").json()["results"])

    assert count(f"object_id={happenings}") == 3
    assert count(f"object_id={uuid4()}") == 0
    assert count("verb=thing.changed") == 1
    assert count(f"actor_id={ada.pk}") == 1
    assert count("object_type=thing") == 3
    assert count("at_after=2020-01-01T00:00:00Z") == 5
    assert count("at_before=2020-01-01T00:00:00Z") == 0


def test_history_pages_through_without_losing_a_row(happenings, pia, browse):
    client, url, seen = browse(pia), "/api/v1/audit-events/?limit=1", []

    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]

    assert len(seen) == len(set(seen)) == 5


def test_me_says_what_i_may_do_where(acme, globex, ren, bob, browse):
    me = browse(bob).get("/api/v1/me/").json()

    assert me["email"] == bob.email
    assert [tenant["slug"] for tenant in me["tenants"]] == ["acme"]
    assert "response (manage)" in me["tenants"][0]["permissions"]
    assert browse(ren).get("/api/v1/me/").json()["tenants"][0]["permissions"] == ["security data basics (read)"]


def test_history_costs_the_same_for_one_row_and_for_many(happenings, acme, ada, browse):
    client = browse(ada)
    with CaptureQueriesContext(connection) as few:
        client.get("/api/v1/audit-events/?verb=thing.made")
    for _ in range(5):
        with acting_for(acme.id):
            record(acme.id, "thing.made", object_type="thing", object_id=happenings, actor=SYSTEM, data={})
    with CaptureQueriesContext(connection) as many:
        client.get("/api/v1/audit-events/?verb=thing.made")

    assert len(many) == len(few)
