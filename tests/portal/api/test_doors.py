"""The API's front: who gets in, and how it says no."""

from uuid import uuid4

import pytest
from django.test import Client

from portal.access.models import User
from portal.access.roles import Role
from tests.factories import make_device, make_key

LISTS = ["tenants", "audit-events", "devices", "device-groups", "alerts", "investigations", "evidence", "actions"]


@pytest.mark.parametrize("path", [*(f"{name}/" for name in LISTS), "me/", "action-types/", "schema/"])
def test_anonymous_is_asked_to_sign_in(db, path):
    answer = Client().get(f"/api/v1/{path}")

    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == "Api-Key"
    assert set(answer.json()) == {"type", "title", "status", "detail", "errors"}


def test_a_wrong_key_gets_401_even_with_a_session(ada, browse):
    answer = browse(ada).get("/api/v1/tenants/", headers={"authorization": "Api-Key quell_0_0"})

    assert answer.status_code == 401


def test_a_key_reads_what_its_account_may_see(acme, globex):
    make_device(acme), make_device(globex)
    key = make_key(acme, Role.READER)

    answer = Client().get("/api/v1/devices/", headers={"authorization": f"Api-Key {key}"})

    assert [row["tenant"] for row in answer.json()["results"]] == [str(acme.id)]


def test_a_session_needs_its_csrf_token(acme, ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    answer = client.post("/api/v1/investigations/", {}, content_type="application/json")

    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_a_session_with_its_csrf_token_gets_to_the_question(acme, ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    client.cookies["quell_csrf"] = "a" * 32

    answer = client.post(
        "/api/v1/investigations/", {}, content_type="application/json", headers={"x-csrftoken": "a" * 32}
    )

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/", "/api/v1/none/", "/api/v1/devices", "/api/v2/devices/"])
def test_a_path_that_leads_nowhere_is_a_problem_too(db, path):
    for answer in (Client().get(path), Client().post(path, {}, content_type="application/json")):
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("name", LISTS)
def test_strangers_and_unknown_ids_get_the_same_404(acme, globex, gil, browse, name):
    foreign = {"tenants": acme.id, "devices": make_device(acme).pk}.get(name, uuid4())
    client = browse(gil)

    known, unknown = client.get(f"/api/v1/{name}/{foreign}/"), client.get(f"/api/v1/{name}/{uuid4()}/")

    assert known.status_code == unknown.status_code == 404
    assert known.json() == unknown.json()


@pytest.mark.parametrize("name", LISTS)
def test_somebody_without_memberships_sees_empty_lists_and_no_rows(acme, browse, name):
    nobody = User.objects.create_user("nobody@nowhere.example")
    client = browse(nobody)

    answer = client.get(f"/api/v1/{name}/")

    assert answer.status_code == 200
    assert answer.json()["results"] == []
    assert client.get(f"/api/v1/{name}/{acme.id}/").status_code == 404


@pytest.mark.parametrize("name", [name for name in LISTS if name != "tenants"])
def test_filtering_by_a_foreign_tenant_is_an_empty_list_and_by_nonsense_400(acme, globex, gil, browse, name):
    make_device(acme), make_device(globex)
    client = browse(gil)

    assert client.get(f"/api/v1/{name}/?tenant={acme.id}").json()["results"] == []
    assert client.get(f"/api/v1/{name}/?tenant={uuid4()}").json()["results"] == []
    answer = client.get(f"/api/v1/{name}/?tenant=globex")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["tenant"]


@pytest.mark.parametrize("name", LISTS)
def test_a_misspelt_filter_is_refused_not_ignored(ada, browse, name):
    answer = browse(ada).get(f"/api/v1/{name}/?tennant=x")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["tennant"]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", ["nonsense", "cD1ub25zZW5zZQ==", "ü"])
def test_a_cursor_of_ones_own_making_is_refused(ada, browse, name, cursor):
    answer = browse(ada).get(f"/api/v1/{name}/", {"cursor": cursor})

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]


def test_paging_shows_every_row_once_newest_first(acme, ada, browse):
    made = [str(make_device(acme, f"pc-{number}").pk) for number in range(5)]
    client, url, seen = browse(ada), "/api/v1/devices/?limit=2", []

    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]

    assert seen == made[::-1]


@pytest.mark.parametrize("name", ["actions", "investigations"])
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_states_are_not_edited(acme, bob, browse, name, method):
    answer = getattr(browse(bob), method)(
        f"/api/v1/{name}/{uuid4()}/", {"state": "succeeded"}, content_type="application/json"
    )

    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"tenant": }', "line 1 column 12"),
        (b'{\n"tenant": "x",\n}', "line 3 column 1"),
        (b"\xff", "position 0"),
        (b"[" * 100_000, "deep"),
    ],
)
def test_malformed_json_is_named_by_its_place(acme, ada, browse, body, place):
    answer = browse(ada).post("/api/v1/investigations/", body, content_type="application/json")

    assert answer.status_code == 400
    assert place in answer.json()["detail"]


def test_half_a_character_is_refused_not_stumbled_over(acme, ada, browse):
    body = b'{"tenant": "\\ud800", "type": "\\ud800", "reason": "\\ud800", "parameters": {"\\ud800": 1}}'

    answer = browse(ada).post("/api/v1/actions/", body, content_type="application/json")

    assert answer.status_code == 400


def test_other_media_types_and_large_bodies_are_refused(acme, ada, browse):
    client = browse(ada)

    assert client.post("/api/v1/alerts/", {"a": 1}).status_code == 415
    answer = client.post("/api/v1/alerts/", b" " * (10 * 1024 * 1024 + 1), content_type="application/json")
    assert answer.status_code == 413
    assert answer.json()["title"] == "Too large"


def test_our_own_mistakes_are_problems_that_tell_nothing(acme, ada, browse, monkeypatch):
    def stumble(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("portal.api.viewsets.rows_in_scope", stumble)
    client = browse(ada)
    client.raise_request_exception = False

    answer = client.get("/api/v1/devices/")

    assert answer.status_code == 500
    assert answer["Content-Type"] == "application/problem+json"
    assert b"secret" not in answer.content
