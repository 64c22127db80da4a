"""Submissions at the simulator: what it takes, how often, and how it ends."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.connectors.simulator.conftest import Company

pytestmark = pytest.mark.process

ROOT = "/beta/security/threatSubmission"
ADA = "ada@acme.example"


def message(company: Company) -> dict[str, Any]:
    """Ada's mail, as her mailbox has it."""
    query = {"$filter": "internetMessageId eq '<mail-1@mail.example>'"}
    [found] = company.graph.get(f"/v1.0/users/{ADA}/messages", params=query).json()["value"]
    return dict(found)


def submit(company: Company, **changes: Any) -> httpx.Response:
    body = {
        "@odata.type": "#microsoft.graph.security.emailUrlThreatSubmission",
        "category": "notJunk",
        "recipientEmailAddress": ADA,
        "messageUrl": f"https://graph.microsoft.com/beta/users/{ADA}/messages/{message(company)['id']}",
    }
    given = {name: value for name, value in {**body, **changes}.items() if value is not None}
    return company.graph.post(f"{ROOT}/emailThreats", json=given)


def test_a_submission_is_looked_at_and_ends(acme: Company, after_action: Callable[[], None]) -> None:
    made = submit(acme)
    assert made.status_code == 201
    assert made.json()["status"] == "notStarted"
    assert made.json()["internetMessageId"] == "<mail-1@mail.example>"
    after_action()

    ended = acme.graph.get(f"{ROOT}/emailThreats/{made.json()['id']}").json()

    assert (ended["status"], ended["result"]["category"]) == ("succeeded", "notJunk")
    assert [row["id"] for row in acme.graph.get(f"{ROOT}/emailThreats").json()["value"]] == [made.json()["id"]]
    assert acme.graph.get(f"{ROOT}/urlThreats/{made.json()['id']}").status_code == 404


def test_the_type_is_known_with_and_without_its_namespace(acme: Company) -> None:
    assert submit(acme, **{"@odata.type": "#microsoft.graph.emailUrlThreatSubmission"}).status_code == 201


def test_a_message_can_come_by_its_content(acme: Company) -> None:
    content = base64.b64encode(b"Message-ID: <x@y>\r\nSubject: Hello\r\n\r\nBody").decode()

    made = submit(
        acme, **{"@odata.type": "#microsoft.graph.security.emailContentThreatSubmission", "fileContent": content}
    )

    assert (made.json()["internetMessageId"], made.json()["subject"]) == ("<x@y>", "Hello")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"category": "notSpam"}, 400),
        ({"@odata.type": "#microsoft.graph.security.urlThreatSubmission"}, 400),
        ({"recipientEmailAddress": None}, 400),
        ({"recipientEmailAddress": "bob@acme.example"}, 400),
        ({"messageUrl": "https://graph.microsoft.com/beta/me/messages/1"}, 400),
        ({"messageUrl": f"https://graph.microsoft.com/beta/users/{ADA}/messages/gone"}, 404),
    ],
)
def test_what_names_no_message_is_refused(acme: Company, changes: dict[str, Any], status: int) -> None:
    assert submit(acme, **changes).status_code == status
    assert acme.truth()["submissions"] == []


def test_the_same_message_to_the_same_person_is_once_in_a_quarter(acme: Company) -> None:
    submit(acme)

    again = submit(acme, category="phishing")

    assert again.status_code == 429
    assert 890 < int(again.headers["Retry-After"]) <= 900


def test_urls_have_a_list_of_their_own(acme: Company, globex: Company) -> None:
    body = {
        "@odata.type": "#microsoft.graph.security.urlThreatSubmission",
        "category": "phishing",
        "webUrl": "https://evil.example/a",
    }
    made = [acme.graph.post(f"{ROOT}/urlThreats", json=body) for _ in range(2)]

    assert [answer.status_code for answer in made] == [201, 201]
    assert acme.truth()["submissions"] == ["https://evil.example/a"] * 2
    assert globex.graph.get(f"{ROOT}/urlThreats").json()["value"] == []
    assert acme.graph.post(f"{ROOT}/urlThreats", json={**body, "webUrl": "evil.example"}).status_code == 400


def test_a_mail_that_left_the_mailbox_is_not_listed(acme: Company, after_action: Callable[[], None]) -> None:
    there = message(acme)
    assert there["parentFolderId"] == "inbox"
    acme.remediate("mail-1", "softDelete")
    after_action()

    assert acme.graph.get(f"/v1.0/users/{ADA}/messages").json()["value"] == []
    url = f"https://graph.microsoft.com/beta/users/{ADA}/messages/{there['id']}"
    made = acme.graph.post(
        f"{ROOT}/emailThreats",
        json={
            "@odata.type": "#microsoft.graph.security.emailUrlThreatSubmission",
            "category": "notJunk",
            "recipientEmailAddress": ADA,
            "messageUrl": url,
        },
    )
    assert made.status_code == 404
    assert acme.graph.get("/v1.0/users/nobody@acme.example/messages").status_code == 404
