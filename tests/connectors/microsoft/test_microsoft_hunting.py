"""Hunting: what is asked, what is read of the answer, and what becomes of queries that go wrong."""

import json
import socket
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from connectors.microsoft import http, hunting
from connectors.microsoft.connector import Microsoft
from connectors.microsoft.http import Api
from connectors.protocol import HuntingResult, OutcomeUnknown, Refused, Throttled
from tests.connectors.microsoft import conftest
from tests.connectors.microsoft.conftest import Simulator, Wire

FOUND = {
    "schema": [{"name": "Timestamp", "type": "DateTime"}, {"name": "DeviceName", "type": "String"}],
    "results": [{"Timestamp": "2026-11-20T06:59:10.1Z", "DeviceName": name} for name in ("a", "b", "c")],
}
COLUMNS = [("Timestamp", "DateTime"), ("DeviceName", "String")]


def hunt(api: Api, query: str = "DeviceInfo", timespan: str = "P7D", most_rows: int = 1000) -> HuntingResult:
    return hunting.hunt(api, query, timespan=timespan, most_rows=most_rows)


def answer(wire: Wire, response: bytes) -> None:
    wire.script = lambda out, _request: out.sendall(response)


def upper(found: dict[str, Any]) -> dict[str, Any]:
    schema = [{"Name": column["name"], "Type": column["type"]} for column in found["schema"]]
    return {"Schema": schema, "Results": found["results"]}


@pytest.mark.parametrize("found", [FOUND, upper(FOUND), {"results": FOUND["results"], "schema": FOUND["schema"]}])
def test_rows_are_read_however_their_keys_are_written(api: Api, wire: Wire, found: dict[str, Any]) -> None:
    answer(wire, conftest.http(200, found))

    assert hunt(api, "DeviceInfo | where DeviceName == 'Ü'") == HuntingResult(COLUMNS, FOUND["results"], 3)
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1.0/security/runHuntingQuery HTTP")
    assert b"content-type: application/json; charset=utf-8" in head.lower()
    assert json.loads(body) == {"query": "DeviceInfo | where DeviceName == 'Ü'", "timespan": "P7D"}


def test_more_rows_than_wanted_are_counted_and_left_out(api: Api, wire: Wire) -> None:
    answer(wire, conftest.http(200, FOUND))

    found = hunt(api, timespan="", most_rows=2)

    assert ([row["DeviceName"] for row in found.rows], found.row_count) == (["a", "b"], 3)
    assert json.loads(wire.requests[0].partition(b"\r\n\r\n")[2]) == {"query": "DeviceInfo"}


def test_annotations_are_not_columns(api: Api, wire: Wire) -> None:
    row = {"@odata.type": "#microsoft.graph.security.huntingRowResult", "N@odata.type": "#Int64", "N": 7}
    answer(wire, conftest.http(200, {"schema": [{"name": "N", "type": "Int64"}], "results": [row]}))

    assert hunt(api).rows == [{"N": 7}]


def test_nothing_found_is_an_answer(api: Api, wire: Wire) -> None:
    answer(wire, conftest.http(200, {**FOUND, "results": []}))

    assert hunt(api) == HuntingResult(COLUMNS, [], 0)


def whole(length: int | None, content: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length or len(content)}\r\n\r\n".encode() + content


@pytest.mark.parametrize(
    "content",
    [
        b"<html>Service unavailable</html>",
        json.dumps(FOUND).encode()[:-40],
        b"",
        b"[]",
        b'{"error": {"code": "InternalServerError"}}',
        json.dumps({**FOUND, "schema": [{"title": "x"}]}).encode(),
        json.dumps({**FOUND, "schema": FOUND["schema"][:1]}).encode(),
        json.dumps({**FOUND, "results": ["a"]}).encode(),
    ],
    ids=["html", "cut", "empty", "a list", "an error", "no columns", "columns of another query", "no rows"],
)
def test_an_answer_that_is_no_hunting_result_says_so(api: Api, wire: Wire, content: bytes) -> None:
    answer(wire, whole(None, content))

    with pytest.raises(OutcomeUnknown, match="ask again"):
        hunt(api)


def test_an_answer_given_twice_is_read_once(api: Api, wire: Wire) -> None:
    answer(wire, conftest.http(200, FOUND) * 2)

    assert hunt(api).row_count == 3
    assert hunt(api).row_count == 3


def test_an_answer_without_end_is_left(api: Api, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1024)
    answer(wire, conftest.http(200, {**FOUND, "results": FOUND["results"] * 100}))

    with pytest.raises(Refused, match=r"take 1000") as caught:
        hunt(api)
    assert caught.value.code == "TooLarge"


def test_a_late_answer_leaves_the_outcome_open(api: Api, wire: Wire) -> None:
    wire.script = lambda _out, _request: None

    with pytest.raises(OutcomeUnknown, match="broke off"):
        hunt(api)


def test_a_token_turned_away_is_replaced_once(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        out.sendall(conftest.http(200, FOUND) if b"secret-token-1" in request else conftest.http(401))

    wire.script = script

    assert hunt(api).row_count == 3
    assert len(wire.requests) == 2


@pytest.fixture
def microsoft(simulator: Simulator) -> Microsoft:
    return Microsoft(simulator.settings, deadline_seconds=20)


@pytest.mark.process
def test_devices_and_mails_are_found(microsoft: Microsoft) -> None:
    devices = microsoft.hunt("DeviceInfo | project DeviceId, DeviceName", timespan="P30D", most_rows=10)
    query = "EmailEvents | where RecipientEmailAddress =~ 'ADA@x.example' | summarize count()"
    mails = microsoft.hunt(query, timespan="", most_rows=10)

    assert devices == HuntingResult(
        [("DeviceId", "String"), ("DeviceName", "String")], [{"DeviceId": "a" * 40, "DeviceName": "lap-01"}], 1
    )
    assert mails.rows == [{"count_": 2}]


@pytest.mark.process
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DeviceInfo | where Nonsense == 1", "Failed to resolve column or scalar expression named 'Nonsense'"),
        ("Nowhere", "Failed to resolve table"),
        ("DeviceInfo | whre true", "could not be parsed at 'whre' on line \\[1,13\\]"),
        ("DeviceInfo | where Timestamp > 'x'", "Cannot compare values of types datetime and string"),
    ],
)
def test_a_query_that_fails_is_refused_in_microsofts_words(microsoft: Microsoft, query: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        microsoft.hunt(query, timespan="P1D", most_rows=10)
    assert caught.value.code == "BadRequest"


@pytest.mark.process
def test_used_up_processor_time_is_told_from_too_many_calls(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(hunting={"trouble": "cpu_quota"})

    with pytest.raises(Throttled, match="CPU resources") as caught:
        microsoft.hunt("DeviceInfo", timespan="P1D", most_rows=10)
    assert caught.value.retry_after == 900


@pytest.mark.process
def test_a_query_that_ran_too_long_leaves_the_outcome_open(microsoft: Microsoft, simulator: Simulator) -> None:
    simulator.seed(hunting={"trouble": "time_out"})

    with pytest.raises(OutcomeUnknown, match="504"):
        microsoft.hunt("DeviceInfo", timespan="P1D", most_rows=10)


@pytest.mark.process
@pytest.mark.parametrize("kind", ["truncate", "html", "error_in_success"])
def test_a_spoilt_answer_is_never_half_a_result(microsoft: Microsoft, simulator: Simulator, kind: str) -> None:
    simulator.fault(kind=kind, path="runHuntingQuery", method="POST")

    with pytest.raises(OutcomeUnknown):
        microsoft.hunt("DeviceInfo", timespan="P1D", most_rows=10)


READS_MUCH = """
    import re, sys
    from pathlib import Path

    import django
    django.setup()
    from connectors.microsoft.connector import Microsoft
    from connectors.protocol import ConnectionSettings
    from portal.secrets.secret_text import SecretText

    url, ca_file, tenant = sys.argv[1:]
    settings = ConnectionSettings(
        "microsoft", tenant, "quell-demo", SecretText("demo-secret"), url, url, url, url, ca_file
    )
    microsoft = Microsoft(settings, deadline_seconds=60)
    microsoft.hunt("DeviceInfo | take 1", timespan="P30D", most_rows=1)
    peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    before = peak()
    found = microsoft.hunt("DeviceInfo", timespan="P30D", most_rows=1000)
    print(found.row_count, len(found.rows), (peak() - before) // 1024)
"""


@pytest.mark.process
def test_a_hundred_thousand_rows_are_counted_and_cost_little_memory(simulator: Simulator) -> None:
    """The rest of the answer (some 50 MB of it) is never in memory at once; a process of its own shows how much is."""
    simulator.seed(hunting={"rows": 100_000})

    command = [sys.executable, "-c", textwrap.dedent(READS_MUCH), simulator.url, simulator.ca_file, simulator.tenant_id]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)

    row_count, kept, grown = (int(number) for number in ended.stdout.split())
    assert (row_count, kept) == (100_000, 1000)
    assert grown < 24, f"{grown} MB more than before"


def test_an_answer_nested_without_end_is_no_answer(api: Api, wire: Wire) -> None:
    # Memory for it would grow with the square of the depth: half a megabyte of brackets once took all there was.
    depth = 1000
    cell = b'{"schema":[{"name":"N","type":"Dynamic"}],"results":[{"N":' + b"[" * depth + b"]" * depth + b"}]}"
    answer(wire, b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(cell)).encode() + b"\r\n\r\n" + cell)

    with pytest.raises(OutcomeUnknown, match="nested"):
        hunt(api)
