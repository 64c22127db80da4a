"""The API of exceptions: asking, the preview, deciding, the register and its export."""

import csv
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from uuid_utils.compat import uuid7

from portal.access.models import User
from portal.access.roles import Role
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import RecommendationException
from tests.factories import default_group, make_key
from tests.remediation.vulnerabilities.exceptions.conftest import CVE, Ask, Estate

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
WHY = {"justification": "risk_accepted", "context": "The vendor has no newer one.", "days": 30}


def post(client: Client, path: str, body: dict[str, Any], **headers: str) -> Any:
    return client.post(f"/api/v1/exceptions/{path}", body, content_type="application/json", headers=headers)


def test_from_the_preview_to_the_grant_to_the_end(estate: Estate, ada: User, bob: User, browse: Browse) -> None:
    wanted = {"recommendation": estate.browser.pk, "groups": [estate.servers.pk]}
    told = post(browse(ada), "preview/", wanted).json()
    assert (told["exposed_before"], told["exposed_after"]) == (3, 1)

    asked = post(browse(ada), "", wanted | WHY)
    assert (asked.status_code, asked.json()["state"]) == (201, "requested")
    assert asked.json()["groups"] == [{"id": str(estate.servers.pk), "name": "Servers"}]
    assert asked.json()["preview"] == told
    path = asked.json()["id"]
    assert post(browse(ada), f"{path}/approve/", {"reason": "Mine."}).status_code == 403

    granted = post(browse(bob), f"{path}/approve/", {"reason": "Seen."}).json()
    assert (granted["state"], granted["exposed_before"], granted["exposed_after"]) == ("in_effect", 3, 1)
    assert (granted["decided_by"]["email"], granted["preview"]) == (bob.email, None)
    devices = browse(ada).get(f"/api/v1/exceptions/{path}/devices/").json()["results"]
    assert {(device["name"], device["is_new"]) for device in devices} == {("srv-1", False), ("srv-2", False)}

    ended = post(browse(bob), f"{path}/cancel/", {"reason": "Patched.", "group": str(estate.servers.pk)}).json()
    assert (ended["state"], ended["end_reason"]) == ("cancelled", "Patched.")


def test_a_key_asks_but_never_decides(estate: Estate, ask: Ask, tess: User) -> None:
    key = {"authorization": f"Api-Key {make_key(estate.tenant, Role.TENANT_ADMIN)}"}
    wanted = {"tenant": estate.tenant.pk, "cve_id": CVE.lower(), "is_global": True}
    asked = post(Client(), "", wanted | WHY | {"justification": "cve_without_patch"}, **key)
    assert asked.status_code == 201, asked.content
    assert asked.json()["cve_id"] == CVE
    waiting = ask(estate.servers, by=tess)
    for verb in ("approve", "reject", "cancel"):
        assert post(Client(), f"{waiting.pk}/{verb}/", {"reason": "x"}, **key).status_code == 403
    assert estate.state(waiting) == "requested"


def test_what_is_another_tenants_is_answered_like_what_does_not_exist(
    estate: Estate, globex: Tenant, gil: User, ada: User, ask: Ask, browse: Browse
) -> None:
    theirs, unknown = default_group(globex).pk, uuid7()
    answers = [
        post(browse(ada), "", {"recommendation": estate.browser.pk, "groups": [key]} | WHY) for key in (theirs, unknown)
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert (
        len(
            {
                str(answer.json()["errors"]).replace(str(key), "")
                for answer, key in zip(answers, (theirs, unknown), strict=True)
            }
        )
        == 1
    )
    exception = ask(estate.servers)
    for path in (f"{exception.pk}/", f"{exception.pk}/devices/"):
        assert browse(gil).get(f"/api/v1/exceptions/{path}").status_code == 404
    assert post(browse(gil), f"{exception.pk}/approve/", {"reason": "x"}).status_code == 404


def test_of_ones_own_two_tenants_groups_are_not_mixed(
    estate: Estate, globex: Tenant, pia: User, browse: Browse
) -> None:
    wanted = {"recommendation": estate.browser.pk, "groups": [default_group(globex).pk]}
    for path, body in (("", wanted | WHY), ("preview/", wanted)):
        answer = post(browse(pia), path, body)
        assert (answer.status_code, "not one of yours" in answer.content.decode()) == (400, True)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cve_id": CVE}, "non_field_errors"),
        ({"days": 31}, "days"),
        ({"days": None, "expires_on": "2020-01-01"}, "expires_on"),
        ({"expires_on": "2026-12-01"}, "expires_on"),
        ({"justification": "cve_without_patch"}, "justification"),
        ({"justification": "business_need"}, "justification"),
        ({"context": " "}, "context"),
        ({"groups": []}, "groups"),
        ({"is_global": True}, "groups"),
        ({"global": True}, "global"),
        ({"expire_on": "2026-12-01"}, "expire_on"),
    ],
)
def test_bad_requests_say_so_and_ask_for_nothing(
    estate: Estate, ada: User, browse: Browse, wrong: dict[str, Any], field: str
) -> None:
    body = {"recommendation": estate.browser.pk, "groups": [estate.servers.pk]} | WHY | wrong
    answer = post(browse(ada), "", {name: value for name, value in body.items() if value is not None})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field])
    with acting_for(estate.tenant.id):
        assert not RecommendationException.objects.exists()


def test_a_misspelt_group_does_not_end_it_for_all(estate: Estate, grant: Ask, bob: User, browse: Browse) -> None:
    exception = grant(estate.servers, estate.laptops)
    body = {"reason": "Patched.", "groups": str(estate.servers.pk)}
    assert post(browse(bob), f"{exception.pk}/cancel/", body).status_code == 400
    assert estate.state(exception) == "in_effect"


def test_filters_and_the_number_of_queries(
    estate: Estate, grant: Ask, ask: Ask, ada: User, browse: Browse, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    grant(estate.servers)
    ask()
    ask(estate.laptops, subject=estate.cve(), days=90)
    client = browse(ada)

    def found(query: str) -> int:
        return len(client.get(f"/api/v1/exceptions/?{query}").json()["results"])

    for query, count in {
        "state=requested": 2,
        "state=in_effect": 1,
        "kind=cve": 1,
        f"cve={CVE.lower()}": 1,
        f"recommendation={estate.browser.pk}": 2,
        "is_global=true": 1,
        "justification=risk_accepted": 3,
        "justification=other": 0,
        f"ending_before={estate.today().year + 2}-01-01": 3,
        f"ending_before={estate.today()}": 0,
        f"requested_by={ada.pk}": 3,
        f"requested_by={uuid7()}": 0,
        f"tenant={estate.tenant.pk}": 3,
        f"tenant={uuid7()}": 0,
    }.items():
        assert found(query) == count, query
    assert client.get("/api/v1/exceptions/?global=true").status_code == 400
    with django_assert_num_queries(8):
        assert found("") == 3


def test_the_register_as_csv(estate: Estate, grant: Ask, ask: Ask, ada: User, browse: Browse) -> None:
    granted = grant(estate.servers, estate.laptops)
    estate.age(granted, context="=cmd|' /C calc'!A0")
    ask(subject=estate.cve())
    answer = browse(ada).get("/api/v1/exceptions/export/?kind=recommendation")
    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))  # type: ignore[attr-defined]
    assert [row["recommendation"] for row in rows] == ["Update Browser"]
    assert rows[0]["context"].startswith("'=cmd")
    assert rows[0]["device_groups"] == f"Servers; {estate.laptops.name}"
    assert (rows[0]["requested_by"], rows[0]["exposed_after"]) == (ada.email, "0")
