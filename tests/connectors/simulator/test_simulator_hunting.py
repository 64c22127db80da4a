"""Hunting at the simulator: what the interpreter understands, what it refuses, and the older endpoints."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.connectors.simulator.conftest import Company

pytestmark = pytest.mark.process

GRAPH = "/v1.0/security/runHuntingQuery"
SHA1 = "5e0f7a1b9c3d4826e7f81209ab34cd56ef781290"
KIND = "#microsoft.graph.security."


@pytest.fixture
def hunted(found_company: Callable[..., Company]) -> Company:
    """A tenant with two machines, a file and a process on the first, and three mails, two of them with a link."""
    machines = [{"id": "a" * 40, "computerDnsName": "LAP-01"}, {"id": "b" * 40, "computerDnsName": "srv-02"}]
    file = {"fileName": "svc helper.exe", "filePath": "C:\\Temp", "sha1": SHA1, "sha256": "ab" * 32, "fileSize": 7}
    place = {"mdeDeviceId": "a" * 40}
    evidence = [
        {"@odata.type": f"{KIND}fileEvidence", "fileDetails": file, **place},
        {"@odata.type": f"{KIND}processEvidence", "imageFile": file, "processId": 4711, **place},
        {"@odata.type": f"{KIND}urlEvidence", "url": "https://evil.example"},
    ]
    mails = [
        mail("m-1", "ada@acme.example", "Your parcel is waiting", urls=["https://evil.example/renew"]),
        mail("m-1", "bob@acme.example", "Your parcel is waiting", urls=["https://evil.example/renew"]),
        mail("m-2", "ada@acme.example", "Lunch?", sender="eve@friends.example", hours=60),
    ]
    return found_company(machines=machines, alerts=[{"evidence": evidence}], emails=mails)


def mail(
    message_id: str, recipient: str, subject: str, *, urls: list[str] | None = None, sender: str = "", hours: int = 1
) -> dict[str, Any]:
    """A mail of so many hours ago."""
    logged = datetime.now(UTC) - timedelta(hours=hours)
    seed: dict[str, Any] = {
        "networkMessageId": message_id,
        "recipientEmailAddress": recipient,
        "subject": subject,
        "loggedDateTime": f"{logged:%Y-%m-%dT%H:%M:%SZ}",
        "urls": [{"url": url, "threatType": "phish", "detectionMethod": None} for url in urls or []],
    }
    return {**seed, "senderDetail": {"fromAddress": sender}} if sender else seed


def ask(company: Company, query: str, **more: Any) -> httpx.Response:
    return company.graph.post(GRAPH, json={"Query": query, **more})


def rows(company: Company, query: str, **more: Any) -> list[list[Any]]:
    """The values of the answer, row by row, in the order of the columns."""
    answer = ask(company, query, **more)
    assert answer.status_code == 200, answer.text
    names = [column["name"] for column in answer.json()["schema"]]
    return [[row[name] for name in names] for row in answer.json()["results"]]


ADA, BOB = "ada@acme.example", "bob@acme.example"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("DeviceInfo | where DeviceName == 'LAP-01' | project DeviceId", [["a" * 40]]),
        ("DeviceInfo | where DeviceName == 'lap-01' | project DeviceId", []),
        ("DeviceInfo | where DeviceName =~ 'lap-01' | project Id = DeviceId", [["a" * 40]]),
        ("DeviceInfo | where DeviceName != 'LAP-01' | project DeviceName", [["srv-02"]]),
        ("DeviceInfo | where DeviceName !~ 'lap-01' and true | project DeviceName", [["srv-02"]]),
        ("DeviceInfo | where DeviceName has 'lap' | project DeviceName", [["LAP-01"]]),
        ("DeviceInfo | where DeviceName has 'la' | project DeviceName", []),
        ("DeviceInfo | where DeviceName contains 'P-0' | project DeviceName", [["LAP-01"]]),
        ("DeviceInfo | where DeviceName !contains 'P-0' | project DeviceName", [["srv-02"]]),
        ("DeviceInfo | where DeviceName startswith 'SRV' | project DeviceName", [["srv-02"]]),
        ("DeviceInfo | where DeviceName endswith '02' | project DeviceName", [["srv-02"]]),
        ("DeviceInfo | where DeviceName in~ ('lap-01', 'x') | project DeviceName", [["LAP-01"]]),
        ("DeviceInfo | where DeviceName !in ('srv-02') | project DeviceName", [["LAP-01"]]),
        ("DeviceInfo | where DeviceName has_any ('x', 'srv') | project DeviceName", [["srv-02"]]),
        ("DeviceInfo | where OSBuild >= 26100 and OSBuild < 3e4", None),
        ("DeviceInfo | where not(OSBuild between (1 .. 26099)) | count", [[2]]),
        ("DeviceInfo | where (isempty(MachineGroup) or false) and isnotempty(DeviceName) | count", [[2]]),
        ("DeviceInfo | sort by DeviceName | project DeviceName", [["srv-02"], ["LAP-01"]]),
        ("DeviceInfo | order by DeviceName asc | limit 1 | project DeviceName", [["LAP-01"]]),
        ("DeviceInfo | top 1 by DeviceName asc | project DeviceName;", [["LAP-01"]]),
        ("DeviceInfo // all of them\n| summarize count()", [[2]]),
        ("DeviceInfo | summarize Devices=dcount(DeviceId), max(OSBuild) by OSPlatform", [["Windows11", 2, 26100]]),
        (
            "DeviceInfo | summarize arg_max(Timestamp, *) by DeviceId | project DeviceName | sort by DeviceName",
            [["srv-02"], ["LAP-01"]],
        ),
        ("DeviceFileEvents | project DeviceName, FolderPath, SHA1", [["LAP-01", "C:\\Temp\\svc helper.exe", SHA1]]),
        ("DeviceFileEvents | where FolderPath =~ @'c:\\temp\\SVC helper.exe' | count", [[1]]),
        ('EmailEvents | where Subject == "\\u004cunch\\u003f" and "\\ud83d\\ude00" == "\U0001f600" | count', [[1]]),
        ("DeviceFileEvents | where FolderPath startswith 'C:\\\\Temp' | count", [[1]]),
        ("DeviceProcessEvents | where ProcessId == 4711 | project FileName, FileSize", [["svc helper.exe", 7]]),
        ("EmailEvents | where Timestamp > ago(1d) | distinct NetworkMessageId", [["m-1"]]),
        ("EmailEvents | where Timestamp between (ago(3d) .. ago(2d)) | project Subject", [["Lunch?"]]),
        ("EmailEvents | where Timestamp < datetime(2020-01-01) | count", [[0]]),
        ('EmailEvents | where SenderFromAddress == "eve@friends.example" | project Subject', [["Lunch?"]]),
        (
            "EmailEvents | join kind=inner (EmailUrlInfo | where Url has 'evil.example') on NetworkMessageId "
            "| distinct RecipientEmailAddress, NetworkMessageId1 | sort by RecipientEmailAddress asc",
            [[ADA, "m-1"], [BOB, "m-1"]],
        ),
        (
            "EmailUrlInfo | join kind=leftouter (EmailEvents | where RecipientEmailAddress == 'nobody') "
            "on $left.NetworkMessageId == $right.NetworkMessageId | where isnull(Subject) | count",
            [[2]],
        ),
    ],
)
def test_a_query_finds_what_it_says(hunted: Company, query: str, found: list[list[Any]] | None) -> None:
    if found is None:
        assert ask(hunted, query).status_code == 400
    else:
        assert rows(hunted, query) == found


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "The query is missing"),
        ("DeviceInfo |", "could not be parsed at 'end of query' on line [1,12]"),
        ("DeviceInfo\n| take many", "could not be parsed at 'many' on line [2,7]"),
        ("DeviceInfo | evaluate bag_unpack(x)", "could not be parsed at 'evaluate'"),
        ("DeviceInfo | where", "could not be parsed at 'end of query'"),
        ("DeviceInfo | where DeviceName = 'x'", "could not be parsed at '='"),
        ("DeviceInfo | where DeviceName == 'x", "could not be parsed at '''"),
        ("DeviceInfo | where DeviceName", "the condition is of type string, not bool"),
        ("DeviceInfo | where OSBuild has 'x'", "wants operands of type string"),
        ("DeviceInfo | where OSBuild == 'x'", "Cannot compare values of types number and string"),
        ("DeviceInfo | where devicename == 'x'", "scalar expression named 'devicename'"),
        ("DeviceInfo | where frob(OSBuild)", "Unknown function: 'frob'"),
        ("DeviceInfo | summarize frob(OSBuild)", "Unknown function: 'frob'"),
        ("DeviceInfo | join kind=fullouter (DeviceInfo) on DeviceId", "kind 'fullouter' is not supported"),
        ("IdentityLogonEvents | take 1", "Failed to resolve table"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(hunted: Company, query: str, words: str) -> None:
    answer = ask(hunted, query)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BadRequest"
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("timespan", "count"),
    [
        (None, 3),
        ("P1D", 2),
        ("P3D", 3),
        ("PT30M", 0),
        ("{now:-3d}/{now}", 3),
        ("{now:-3d}/P1D", 1),
        ("P1D/{now}", 2),
        ("{now:-1d}", 2),
    ],
)
def test_a_timespan_comes_in_every_form(hunted: Company, timespan: str | None, count: int) -> None:
    class Now:
        """A moment for the templates above."""

        def __format__(self, days: str) -> str:
            return f"{datetime.now(UTC) + timedelta(days=int(days.rstrip('d') or 0)):%Y-%m-%dT%H:%M:%SZ}"

    more = {"Timespan": timespan.format(now=Now())} if timespan else {}

    assert rows(hunted, "EmailEvents | count", **more) == [[count]]


def test_a_timespan_that_is_none_is_refused(hunted: Company) -> None:
    assert ask(hunted, "EmailEvents", Timespan="soon").status_code == 400
    assert ask(hunted, "EmailEvents", Timespan=7).status_code == 400
    assert ask(hunted, "EmailEvents", Span="P1D").status_code == 400


def test_a_remediation_shows_where_the_mail_is_now(hunted: Company, after_action: Callable[[], None]) -> None:
    hunted.remediate("m-1", "softDelete")
    after_action()

    query = "EmailPostDeliveryEvents | project NetworkMessageId, RecipientEmailAddress, Action, ActionResult"
    assert rows(hunted, query) == [["m-1", ADA, "Soft deleted", "Success"]]
    where = f"EmailEvents | where RecipientEmailAddress == '{ADA}' and NetworkMessageId == 'm-1'"
    assert rows(hunted, f"{where} | project DeliveryLocation, LatestDeliveryLocation") == [["Inbox/folder", "Others"]]


def test_plain_and_namespaced_and_small_letters_are_one(hunted: Company) -> None:
    plain = hunted.graph.post("/v1.0/Security/RunHuntingQuery", json={"query": "DeviceInfo | count"})
    named = hunted.graph.post(
        "/v1.0/security/microsoft.graph.security.runHuntingQuery", json={"Query": "DeviceInfo | count"}
    )

    assert plain.json()["results"] == named.json()["results"] == [{"Count": 2}]


def test_the_older_endpoints_answer_in_their_own_keys(hunted: Company) -> None:
    query = {"Query": "DeviceInfo | project DeviceName, OSBuild | take 1"}
    older = hunted.defender.post("/api/advancedqueries/run", json=query).json()
    newer = hunted.defender.post("/api/v1.0/advancedhunting/run", json=query).json()

    assert older["Schema"] == [{"Name": "DeviceName", "Type": "String"}, {"Name": "OSBuild", "Type": "Int64"}]
    assert older["Results"] == newer["Results"] == [{"DeviceName": "LAP-01", "OSBuild": 26100}]
    mails = {"Query": "EmailEvents | count"}
    assert hunted.defender.post("/api/advancedqueries/run", json=mails).status_code == 400
    assert hunted.defender.post("/api/advancedhunting/run", json=mails).json()["Results"] == [{"Count": 3}]


def test_another_tenant_has_tables_of_its_own(hunted: Company, globex: Company) -> None:
    assert rows(globex, "DeviceInfo | project DeviceName") == [["globex-1"]]


def test_trouble_can_be_switched_on_and_off(hunted: Company) -> None:
    hunted.seed(hunting={"trouble": "cpu_quota", "rows": 500})
    assert ask(hunted, "DeviceInfo").status_code == 429
    hunted.seed(hunting={"trouble": "time_out"})
    assert ask(hunted, "DeviceInfo").status_code == 504
    hunted.seed(hunting={"rows": 500})
    assert rows(hunted, "EmailEvents | count") == [[500]]
    hunted.seed(hunting={})
    assert rows(hunted, "EmailEvents | count") == [[3]]


def test_it_needs_its_permission(found_company: Callable[..., Company]) -> None:
    company = found_company(withheld_roles=["ThreatHunting.Read.All", "AdvancedQuery.Read.All"])

    assert ask(company, "DeviceInfo").status_code == 403
    assert company.defender.post("/api/advancedqueries/run", json={"Query": "DeviceInfo"}).status_code == 403
