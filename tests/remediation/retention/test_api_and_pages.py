"""Retention over the API and on its pages: what is asked before something leaves, and how it is told."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from portal.access.models import ProviderMembership, Reach, User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention.models import LegalHold, Purge, RetentionRule
from remediation.retention.purging import purge_tenant
from tests.factories import make_key
from tests.remediation.retention.conftest import kept, make_activity

pytestmark = pytest.mark.django_db(transaction=True)
Browse = Callable[[User], Client]


@pytest.fixture
def pat(db: None) -> User:
    """A second provider admin over all tenants."""
    user = User.objects.create_user("pat@provider.example", name="Pat")
    ProviderMembership.objects.create(user=user, role=Role.PROVIDER_ADMIN, reach=Reach.ALL)
    return user


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def test_rules_over_the_api(acme: Tenant, globex: Tenant, pia: User, tess: User, browse: Browse) -> None:
    make_activity(acme)
    client, kind = browse(pia), "remediation_activities"
    rule = {"tenant": str(acme.id), "kind": kind, "reason": "Contract."}
    assert post(browse(tess), "retention-rules/", **rule, days=400).status_code == 403
    answer = post(client, "retention-rules/", **rule, days=400)
    assert (answer.status_code, answer.json()["days"]) == (200, 400)
    refused = post(client, "retention-rules/", **rule, days=100)
    assert refused.status_code == 409
    assert "1 row leave at once" in refused.json()["detail"]
    assert post(client, "retention-rules/", **rule, days=20, confirmed_rows=1).status_code == 400
    assert post(client, "retention-rules/", **rule, days=100, confirmed_rows=1).status_code == 200
    listed = browse(tess).get("/api/v1/retention-rules/", {"kind": kind}).json()["results"]
    assert [(row["kind"], row["days"], row["changed_by"]) for row in listed] == [(kind, 100, "pia@provider.example")]
    shown = browse(tess).get("/api/v1/purges/preview/", {"tenant": str(acme.id)}).json()
    assert (shown[0]["kind"], shown[0]["days"], shown[0]["due"], shown[0]["held"]) == (kind, 100, 1, 0)
    assert shown[0]["shortest_days"] == 30
    for foreign in (str(globex.id), ""):
        assert browse(tess).get("/api/v1/purges/preview/", {"tenant": foreign}).status_code == 400


def test_holds_over_the_api_take_two_people_to_lift_and_no_key(
    acme: Tenant, pia: User, pat: User, browse: Browse
) -> None:
    activity = make_activity(acme)
    key = {"authorization": f"Api-Key {make_key(acme, Role.TENANT_ADMIN)}"}
    body = {"activity": str(activity.pk), "reason": "Litigation."}
    refused = Client().post("/api/v1/legal-holds/", body, content_type="application/json", headers=key)
    assert refused.status_code == 403
    client = browse(pia)
    assert post(client, "legal-holds/", **body, tenant=str(acme.id)).status_code == 400
    assert post(client, "legal-holds/", **body, actoin=str(acme.id)).status_code == 400
    hold = post(client, "legal-holds/", **body).json()
    assert (hold["covers"], hold["in_force"], hold["placed_by"]["name"]) == ("activity", True, "Pia")
    assert post(client, "legal-holds/", **body).status_code == 409
    assert post(client, f"legal-holds/{hold['id']}/lift/", reason="Done.").json()["in_force"] is True
    assert post(client, f"legal-holds/{hold['id']}/lift/", reason="Done.").status_code == 403
    lifted = post(browse(pat), f"legal-holds/{hold['id']}/lift/", reason="Done.").json()
    assert (lifted["in_force"], lifted["lifted_by"]["name"]) == (False, "Pat")


@pytest.mark.parametrize("count", [1, 3])
def test_receipts_are_listed_in_the_same_queries_however_many(
    acme: Tenant, ren: User, browse: Browse, count: int
) -> None:
    for _each in range(count):
        make_activity(acme)
        assert purge_tenant(acme.id)
    client = browse(ren)
    client.get("/api/v1/purges/")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        results = client.get("/api/v1/purges/", {"returned": "false"}).json()["results"]
    assert len(results) == count
    assert results[0]["row_count"] == 1
    assert len(queries) <= 12
    assert [query["sql"] for query in queries if "retention_purge" in query["sql"]][1:] == []


def test_a_shorter_rule_on_the_page_asks_for_the_number_of_rows(
    acme: Tenant, pia: User, ren: User, browse: Browse
) -> None:
    make_activity(acme)
    client = browse(pia)
    page = client.get(reverse("admin:retention_retentionrule_changelist")).content.decode()
    assert "Completed remediation activities" in page
    assert (
        "Change"
        not in browse(ren)
        .get(reverse("admin:retention_retentionrule_changelist"))
        .content.decode()
        .split("<main")[-1]
        .split("Change</th>")[-1]
    )
    url = reverse("admin:retention_retentionrule_set", args=[acme.id, "remediation_activities"])
    assert "kept for 180 days" in client.get(url).content.decode()
    assert browse(ren).get(url).status_code == 403
    asked = client.post(url, {"days": "60", "reason": "Less data."}).content.decode()
    assert "makes 1 row leave at once" in asked
    assert "Days:" not in asked
    with acting_for(acme.id):
        assert not RetentionRule.objects.exists()
    again = client.post(url, {"days": "60", "reason": "Less data.", "confirmed_rows": "0"}).content.decode()
    assert "makes 1 row leave at once" in again
    done = client.post(url, {"days": "60", "reason": "Less data.", "confirmed_rows": "1"}, follow=True)
    assert "kept for 60 days from now on" in done.content.decode()
    refused = client.post(url, {"days": "9", "reason": "Our policy."}).content.decode()
    assert "can be kept for" in refused
    assert "Our policy." in refused
    fixed = reverse("admin:retention_retentionrule_set", args=[acme.id, "idempotent_answers"])
    assert client.get(fixed).status_code == 404


def test_a_hold_on_the_pages(acme: Tenant, pia: User, pat: User, ren: User, browse: Browse) -> None:
    activity = make_activity(acme)
    client = browse(pia)
    assert "Nothing is held" in client.get(reverse("admin:retention_legalhold_changelist")).content.decode()
    add = reverse("admin:retention_legalhold_add")
    assert browse(ren).get(add).status_code == 403
    form = {"tenant": str(acme.id), "covers": "activity", "object_id": "", "reason": "Litigation."}
    assert "There is no such row" in client.post(add, form).content.decode()
    placed = client.post(add, form | {"object_id": str(activity.pk)}, follow=True).content.decode()
    assert "The hold is in force from now on" in placed
    assert purge_tenant(acme.id)
    assert kept(acme) == {activity.pk}
    with acting_for(acme.id):
        hold = LegalHold.objects.get()

    def decide(who: User, verb: str) -> Any:
        url = reverse("admin:retention_legalhold_decide", args=[hold.pk, verb])
        client = browse(who)
        if client.get(url).status_code != 200:
            return client.get(url)
        return client.post(url, {"reason": "Settled."}, follow=True)

    assert decide(ren, "ask").status_code == 403
    assert decide(pia, "lift").status_code == 404
    assert "until somebody else lifts it" in decide(pia, "ask").content.decode()
    assert decide(pia, "lift").status_code == 404
    assert "The hold is lifted" in decide(pat, "lift").content.decode()
    assert "Lifted" in browse(ren).get(reverse("admin:retention_legalhold_changelist")).content.decode()


def test_a_receipt_on_its_page_tells_what_came_back(acme: Tenant, ren: User, browse: Browse) -> None:
    client, page = browse(ren), reverse("admin:retention_purge_changelist")
    assert "Nothing has been purged" in client.get(page).content.decode()
    make_activity(acme)
    call_command("retention", "--purge", "--tenant", "acme")
    assert "Gone" in client.get(page).content.decode()
    with acting_for(acme.id):
        receipt = Purge.objects.get()
        Purge.objects.update(returned_count=1, returned_at=receipt.purged_at)
    assert "Came back: 1" in client.get(page, {"kind": "remediation_activities"}).content.decode()
    detail = client.get(reverse("admin:retention_purge_change", args=[receipt.pk])).content.decode()
    assert "a backup was restored" in detail
    assert receipt.sha256 in detail
    assert "retention.purged" in detail
