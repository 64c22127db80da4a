"""Exchange's cmdlets, inbox rules and batches: what is done, and every call Microsoft would not take."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.connectors.simulator.conftest import Company, RunningSimulator

pytestmark = pytest.mark.process

EXCHANGE = "https://outlook.office365.com"
ADA = "ada@acme.example"
RULES = f"/v1.0/users/{ADA}/mailFolders/inbox/messageRules"
FORWARDS = {"forwardTo": [{"emailAddress": {"address": "x@evil.example"}}]}


@pytest.fixture
def exchange(acme: Company, simulator: RunningSimulator) -> Iterator[httpx.Client]:
    with simulator.client(acme.id, EXCHANGE) as client:
        yield client


def run(client: httpx.Client, company: Company, cmdlet: str, prefer: str = "", **parameters: Any) -> httpx.Response:
    body = {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}}
    return client.post(f"/adminapi/beta/{company.id}/InvokeCommand", json=body, headers={"Prefer": prefer})


def block(client: httpx.Client, company: Company, *entries: str, **more: Any) -> httpx.Response:
    given = {"ListType": "Url", "Entries": list(entries), "Block": True, **more}
    return run(client, company, "New-TenantAllowBlockListItems", **given)


@pytest.mark.parametrize(
    ("cmdlet", "parameters", "words"),
    [
        ("Format-Disk", {}, "not recognized"),
        ("Get-Mailbox", {"Colour": "red"}, "parameter name 'Colour'"),
        ("Set-Mailbox", {"Identity": ADA, "DeliverToMailboxAndForward": "false"}, "DeliverToMailboxAndForward"),
        ("Set-Mailbox", {"ForwardingAddress": None}, "mandatory parameters: Identity"),
        ("Get-QuarantineMessage", {"PageSize": True}, "PageSize"),
        ("Get-QuarantineMessage", {"RecipientAddress": [7]}, "RecipientAddress"),
        ("Get-QuarantineMessage", {"PageSize": 1001}, "between 1 and 1000"),
        ("Get-TenantAllowBlockListItems", {}, "mandatory parameters: ListType"),
        ("New-TenantAllowBlockListItems", {"ListType": "Url", "Entries": ["a.example"]}, "Allow and Block"),
        (
            "New-TenantAllowBlockListItems",
            {"ListType": "Url", "Entries": ["https://a.example"], "Block": True},
            "not a valid URL",
        ),
        (
            "New-TenantAllowBlockListItems",
            {"ListType": "Url", "Entries": ["a.example"], "Allow": True, "NoExpiration": True},
            "Block only",
        ),
    ],
)
def test_a_cmdlet_exchange_would_not_run_is_refused(
    exchange: httpx.Client, acme: Company, cmdlet: str, parameters: dict[str, Any], words: str
) -> None:
    acme.seed(mailboxes=[{"address": ADA}])
    answer = run(exchange, acme, cmdlet, **parameters)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert words in error["details"][0]["message"]
    assert error["innererror"]["internalException"]["message"] == error["details"][0]["message"]
    assert [entry["accepted"] for entry in acme.log()] == [False]


def test_a_call_is_for_ones_own_tenant_with_the_role_and_a_command(
    exchange: httpx.Client, acme: Company, globex: Company, simulator: RunningSimulator
) -> None:
    assert run(exchange, globex, "Get-Mailbox").status_code == 403
    assert exchange.post(f"/adminapi/beta/{acme.id}/InvokeCommand", json={"CmdletName": "x"}).status_code == 400
    assert run(acme.graph, acme, "Get-Mailbox").status_code == 401
    acme.seed(withheld_roles=["Exchange.ManageAsApp"])
    with simulator.client(acme.id, EXCHANGE) as without_role:
        assert run(without_role, acme, "Get-Mailbox").status_code == 403


def test_an_entry_lives_thirty_days_unless_it_is_said_otherwise(exchange: httpx.Client, acme: Company) -> None:
    [usual] = block(exchange, acme, "bad.example", Notes="quell 7").json()["value"]
    [lasting] = block(exchange, acme, "worse.example", NoExpiration=True).json()["value"]
    expires = datetime.fromisoformat(usual["ExpirationDate"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < expires <= timedelta(days=30)
    assert lasting["ExpirationDate"] is None
    assert [entry["path"].partition("#")[2] for entry in acme.log(external_id="quell 7")] == [
        "New-TenantAllowBlockListItems"
    ]
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    block(exchange, acme, "old.example", ExpirationDate=past)
    rows = run(exchange, acme, "Get-TenantAllowBlockListItems", ListType="Url").json()["value"]
    assert [row["Value"] for row in rows] == ["bad.example", "worse.example"]
    assert not {"ListType"} & set(rows[0])


def test_the_list_takes_a_value_once_and_no_more_than_its_limit(exchange: httpx.Client, acme: Company) -> None:
    acme.seed(url_limit=2)
    assert block(exchange, acme, "bad.example").status_code == 200
    assert block(exchange, acme, "BAD.example").status_code == 400
    assert block(exchange, acme, "a.example", "b.example").status_code == 400
    remove = run(exchange, acme, "Remove-TenantAllowBlockListItems", ListType="Url", Entries=["gone.example"])
    assert remove.status_code == 404
    assert acme.truth()["urls"] == ["bad.example"]


def test_rows_come_in_pages_for_the_same_body(exchange: httpx.Client, acme: Company) -> None:
    block(exchange, acme, *(f"n{n}.example" for n in range(5)))
    body = {"CmdletInput": {"CmdletName": "Get-TenantAllowBlockListItems", "Parameters": {"ListType": "Url"}}}
    link, sizes = f"/adminapi/beta/{acme.id}/InvokeCommand", []
    while link:
        page = exchange.post(link, json=body, headers={"Prefer": "odata.maxpagesize=2"}).json()
        sizes.append(len(page["value"]))
        link = page.get("@odata.nextLink", "")
    assert sizes == [2, 2, 1]


def test_a_change_that_changes_nothing_warns(exchange: httpx.Client, acme: Company) -> None:
    acme.seed(mailboxes=[{"address": ADA}])
    changes = {"Identity": ADA, "ForwardingSmtpAddress": "x@evil.example"}
    assert run(exchange, acme, "Set-Mailbox", **changes).json()["@adminapi.warnings"] == []
    assert "no settings" in run(exchange, acme, "Set-Mailbox", **changes).json()["@adminapi.warnings"][0]
    assert acme.truth()["mailboxes"][0]["ForwardingSmtpAddress"] == "smtp:x@evil.example"
    assert run(exchange, acme, "Set-Mailbox", Identity=ADA, ForwardingAddress="nobody").status_code == 404


def test_only_the_named_recipients_mail_is_released(exchange: httpx.Client, acme: Company) -> None:
    acme.seed(
        emails=[
            {"networkMessageId": "mail-1", "recipientEmailAddress": ADA, "latestDelivery": {"location": "quarantine"}}
        ]
    )
    [row] = run(exchange, acme, "Get-QuarantineMessage", RecipientAddress=[ADA]).json()["value"]
    assert (row["Identity"].partition("\\")[0], row["ReleaseStatus"]) == ("mail-1", "NOTRELEASED")
    release = {"Identity": row["Identity"], "ReleaseToAll": False}
    assert run(exchange, acme, "Release-QuarantineMessage", **release, User=["bob@acme.example"]).status_code == 400
    assert run(exchange, acme, "Release-QuarantineMessage", **release).status_code == 400
    assert run(exchange, acme, "Release-QuarantineMessage", Identity="x\\y", User=[ADA]).status_code == 404
    assert run(exchange, acme, "Release-QuarantineMessage", **release, User=[ADA]).status_code == 200
    assert run(exchange, acme, "Release-QuarantineMessage", **release, User=[ADA]).status_code == 400


def test_inbox_rules_are_read_and_switched(acme: Company) -> None:
    acme.seed(
        mailboxes=[
            {
                "address": ADA,
                "rules": [
                    {"id": "AQAAAJ5dZqA=", "actions": FORWARDS},
                    {"id": "fixed", "isReadOnly": True},
                ],
            }
        ]
    )
    assert [row["id"] for row in acme.graph.get(RULES).json()["value"]] == ["AQAAAJ5dZqA=", "fixed"]
    assert acme.graph.patch(f"{RULES}/AQAAAJ5dZqA=", json={"isEnabled": False}).json()["isEnabled"] is False
    assert acme.graph.get(f"{RULES}/AQAAAJ5dZqA=").json()["isEnabled"] is False
    for path, body, status in (
        (f"{RULES}/fixed", {"isEnabled": False}, 403),
        (f"{RULES}/AQAAAJ5dZqA=", {"isReadOnly": True}, 400),
        (f"{RULES}/AQAAAJ5dZqA=", {"isEnabled": "no"}, 400),
        (f"{RULES}/gone", {"isEnabled": False}, 404),
        (RULES.replace("ada@", "eve@") + "/AQAAAJ5dZqA=", {"isEnabled": False}, 404),
    ):
        assert acme.graph.patch(path, json=body).status_code == status
    assert [entry["status"] for entry in acme.log()] == [200, 403, 400, 400, 404, 404]


def batch(company: Company, *parts: dict[str, Any]) -> httpx.Response:
    return company.graph.post("/v1.0/$batch", json={"requests": list(parts)})


def test_each_part_of_a_batch_has_its_own_end(acme: Company, simulator: RunningSimulator) -> None:
    acme.fault("throttle", method="GET", path="alerts_v2", retry_after="2.5")
    window = "startTime=2020-01-01T00:00:00Z&endTime=2100-01-01T00:00:00Z"
    answer = batch(
        acme,
        {"id": "1", "method": "GET", "url": f"/security/collaboration/analyzedEmails?{window}"},
        {"id": "2", "method": "GET", "url": "/security/alerts_v2"},
        {"id": "3", "method": "GET", "url": "/nowhere"},
    )
    parts = {part["id"]: part for part in answer.json()["responses"]}
    assert {number: part["status"] for number, part in parts.items()} == {"1": 200, "2": 429, "3": 404}
    assert len(parts["1"]["body"]["value"]) == 1
    assert parts["2"]["headers"] == {"Retry-After": "2.5"}
    assert acme.log() == []


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{"id": str(n), "method": "GET", "url": "/x"} for n in range(21)],
        [{"id": "1", "method": "GET", "url": "/x"}] * 2,
        [{"id": "1", "method": "GET"}],
    ],
)
def test_a_batch_graph_would_not_take_is_refused(acme: Company, parts: list[dict[str, Any]]) -> None:
    assert batch(acme, *parts).status_code == 400
    assert acme.defender.post("/v1.0/$batch", json={"requests": parts}).status_code == 401


def test_quarantine_is_a_place_only_where_it_is_offered(
    found_company: Callable[..., Company], after_action: Callable[[], None]
) -> None:
    mail = {"networkMessageId": f"mail-{uuid4()}", "recipientEmailAddress": ADA}
    company = found_company(emails=[mail], capabilities=["move_to_quarantine"])
    assert company.remediate(mail["networkMessageId"], "moveToQuarantine").status_code == 202
    assert company.remediate(mail["networkMessageId"], "release").status_code == 400
    after_action()
    assert company.mail(mail["networkMessageId"])["latestDelivery"]["location"] == "quarantine"
