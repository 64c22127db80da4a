"""The two ways a register comes in: the API takes the file as its body, the page shows it before anything is sent."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from portal.access.models import User
from portal.access.roles import Role
from tests.factories import make_key
from tests.remediation.vulnerabilities.exceptions.conftest import CVE, Ask, Estate
from tests.remediation.vulnerabilities.exceptions.test_admin_exceptions import PAGES, words
from tests.remediation.vulnerabilities.exceptions.test_importing import HEAD, line, rows

pytestmark = pytest.mark.django_db

Browse = Callable[[User], Client]
PATH = "/api/v1/exceptions/import/"
PAGE = f"{PAGES}import/"


def send(client: Client, text: str, path: str = PATH, **headers: str) -> Any:
    return client.post(path, text, content_type="text/csv; charset=utf-8", headers=headers)


def test_the_api_previews_imports_and_replays(estate: Estate, ada: User, browse: Browse) -> None:
    text, client = HEAD + line(estate) + line(estate, tenant="Nobody"), browse(ada)
    shown = send(client, text, f"{PATH}preview/").json()
    assert (shown["requested"], shown["refused"], rows(estate.tenant)) == (1, 1, [])
    answers = [send(client, text, **{"Idempotency-Key": "file-1"}) for _each in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].content
    assert answers[1].json() == answers[0].json()
    (made,) = rows(estate.tenant)
    told = answers[0].json()["results"]
    assert told[0] == shown["results"][0] | {"exception": str(made.pk)}
    assert told[0]["group_names"] == ["Servers"]
    assert (told[1]["line"], told[1]["outcome"], told[1]["exception"]) == (3, "refused", None)
    assert send(client, text + line(estate), **{"Idempotency-Key": "file-1"}).status_code == 422
    detail = client.get(f"/api/v1/exceptions/{made.pk}/").json()
    assert (detail["imported_from"]["file"], detail["imported_from"]["line"]) == ("", 2)
    again = send(client, text).json()
    assert (again["requested"], again["refused"]) == (0, 2)


def test_a_key_may_ask_by_file_and_a_reader_may_not(estate: Estate, ren: User, browse: Browse) -> None:
    key = {"authorization": f"Api-Key {make_key(estate.tenant, Role.ANALYST)}"}
    assert send(Client(), HEAD + line(estate), **key).json()["requested"] == 1
    for path in (PATH, f"{PATH}preview/"):
        assert send(browse(ren), HEAD + line(estate, cve=CVE), path).status_code == 403
    assert len(rows(estate.tenant)) == 1


def test_what_the_api_cannot_read_it_says_so(estate: Estate, ada: User, browse: Browse) -> None:
    client = browse(ada)
    for body, kind, status in (
        ("", "text/csv", 400),
        (b"\xff\xfe", "text/csv", 400),
        ("{}", "application/json", 415),
        (HEAD + "x" * (2 * 1024 * 1024), "text/csv", 400),
        (HEAD + "x" * (10 * 1024 * 1024), "text/csv", 413),
    ):
        answer = client.post(PATH, body, content_type=kind)
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), kind
        assert answer.json()["detail"]


def test_the_page_shows_what_a_file_would_ask_for_and_asks_only_then(
    estate: Estate, ada: User, bob: User, browse: Browse
) -> None:
    client = browse(ada)
    assert f'href="{PAGE}"' in words(client.get(PAGES))
    assert "va-_-7-zip-_-7-zip" in words(client.get(PAGE))
    text = HEAD + line(estate, context="<b>Why</b>") + line(estate, tenant="Nobody")
    page = client.post(PAGE, {"file": SimpleUploadedFile("register.csv", b"\xef\xbb\xbf" + text.encode())})
    shown = words(page)
    assert ("Ask for 1 exception" in shown, "1 line refused" in shown, "not one of yours" in shown) == (True,) * 3
    assert ("&lt;b&gt;Why" in shown, "Nothing is asked for yet." in shown, rows(estate.tenant)) == (True, True, [])

    signed = {"previewed": page.context["previewed"]}
    for somebody, sent in ((bob, signed), (ada, {"previewed": "made:up"}), (ada, {"previewed": ""})):
        assert "Choose the file again" in words(browse(somebody).post(PAGE, sent)), "shown to nobody, or to another"
    assert rows(estate.tenant) == []
    done = words(client.post(PAGE, signed))
    (made,) = rows(estate.tenant)
    assert (f"{PAGES}{made.pk}/change/" in done, "before a second person approves it" in done) == (True, True)
    assert "Line 2 of “register.csv”" in words(client.get(f"{PAGES}{made.pk}/change/"))
    assert "Excepted already, or asked for" in words(client.post(PAGE, signed)), "sent again, nothing is made twice"
    assert f"{made.pk}" in words(browse(bob).get(f"{PAGES}?q={ada.email}"))


def test_the_page_refuses_what_is_no_register_or_too_large_and_who_may_not(
    estate: Estate, ask: Ask, ada: User, ren: User, browse: Browse
) -> None:
    for content, said in ((b"", "The file is empty"), (b"\xff", "CSV UTF-8"), (b"a,b\n1,2", "missing: tenant"),
                          (b"x" * (2 * 1024 * 1024 + 1), "too large")):  # fmt: skip
        page = browse(ada).post(PAGE, {"file": SimpleUploadedFile("x.csv", content)})
        assert said in words(page)
    assert "Choose the file." in words(browse(ada).post(PAGE))
    by_hand = ask(estate.servers)
    assert "Imported" not in words(browse(ada).get(f"{PAGES}{by_hand.pk}/change/"))
    assert browse(ada).get(f"/api/v1/exceptions/{by_hand.pk}/").json()["imported_from"] is None
    assert browse(ren).get(PAGE).status_code == 403
    assert PAGE not in words(browse(ren).get(PAGES))
