"""One exchange: how it may end, how long it may take, and what must never happen on the way."""

import json
import socket
import time
from datetime import UTC, datetime

import httpx
import pytest
from django.db import connections

from connectors.microsoft.http import Answer, Api, TransactionOpen, classify
from connectors.microsoft.sign_in import DEFENDER
from connectors.protocol import AlreadyInProgress, ConnectorError, NotSent, OutcomeUnknown, Refused, Throttled
from connectors.retry_after import parse_retry_after
from tests.connectors.microsoft.conftest import TENANT, Tokens, Wire, drip, http, reset

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def post(api: Api) -> Answer:
    return api.post("/api/act", {"Comment": "x"}, action_id="a-1", before_sending=lambda: None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        ("2.128", 2.128),
        ("Fri, 20 Nov 2026 12:00:45 GMT", 45.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("1" + "0" * 400, None),
        ("1000000000", 86400.0),
        ("Fri, 20 Nov 9999 12:00:45 GMT", 86400.0),
        ("Fri, 20 Nov 2026 12:00:45 +99999999999999999", None),
    ],
)
def test_retry_after_is_read_in_every_form(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "TooManyRequests", Throttled),
        (401, "Unauthorized", NotSent),
        (400, "ActiveRequestAlreadyExists", AlreadyInProgress),
        (409, "ActiveRequestAlreadyExists", Refused),
        (400, "InvalidInput", Refused),
        (403, "Forbidden", Refused),
        (404, "ResourceNotFound", Refused),
        (408, "", OutcomeUnknown),
        (307, "", OutcomeUnknown),
        (500, "InternalServerError", OutcomeUnknown),
        (503, "", OutcomeUnknown),
    ],
)
def test_a_status_means_one_of_three_outcomes(status: int, code: str, kind: type[ConnectorError]) -> None:
    body = {"error": {"code": code, "message": "words"}} if code else {}

    error = classify(Answer(status, httpx.Headers({"Retry-After": "2.5"}), body), "POST /x")

    assert type(error) is kind
    assert getattr(error, "code", code) == code
    assert getattr(error, "retry_after", None) == (2.5 if status == 429 else None)


def test_an_error_names_call_and_code_but_no_secret(api: Api, wire: Wire) -> None:
    echo = {"error": {"code": "Forbidden", "message": "secret-token-0 has no role " + "x" * 165 + " secret-token-0"}}
    wire.script = lambda out, _request: out.sendall(http(403, echo))

    with pytest.raises(Refused, match="POST /api/act for tenant .*Forbidden.*consent") as caught:
        post(api)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_dripping_server_meets_the_deadline_of_the_whole_call(api: Api, wire: Wire, start: bytes) -> None:
    wire.script = lambda out, _request: drip(out, start)
    began = time.monotonic()

    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        post(api)

    assert 0.9 < time.monotonic() - began < 1.5
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{",
        http(201, [1, 2]),
        b'HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n{"a"',
    ],
)
def test_a_broken_answer_is_unknown_and_never_sent_again(api: Api, wire: Wire, rubbish: bytes) -> None:
    def script(out: socket.socket, _request: bytes) -> None:
        out.sendall(rubbish)
        reset(out)

    wire.script = script

    with pytest.raises(OutcomeUnknown):
        post(api)

    assert len(wire.requests) == 1


def test_a_post_follows_no_redirect(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(307, Location=f"{wire.url}/elsewhere"))

    with pytest.raises(OutcomeUnknown):
        post(api)

    assert len(wire.requests) == 1


def test_no_listener_means_not_sent(tokens: Tokens, ca_file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"https://localhost:{gone.getsockname()[1]}"
    api = Api(url, resource=DEFENDER, tokens=tokens, tenant_id=TENANT, ca_file=ca_file, deadline_seconds=1)

    with pytest.raises(NotSent):
        post(api)


def test_a_silent_handshake_means_not_sent_within_the_deadline(tokens: Tokens, ca_file: str) -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://localhost:{mute.getsockname()[1]}"
        api = Api(url, resource=DEFENDER, tokens=tokens, tenant_id=TENANT, ca_file=ca_file, deadline_seconds=1)
        with pytest.raises(NotSent):
            post(api)

    assert time.monotonic() - began < 1.5


def test_a_certificate_nobody_vouches_for_means_not_sent(wire: Wire, tokens: Tokens) -> None:
    api = Api(wire.url, resource=DEFENDER, tokens=tokens, tenant_id=TENANT, ca_file="", deadline_seconds=1)

    with pytest.raises(NotSent):
        post(api)

    assert wire.requests == []


def test_a_read_gets_one_fresh_token_and_a_post_none(api: Api, wire: Wire, tokens: Tokens) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        out.sendall(http(200, {}) if b"secret-token-1" in request else http(401))

    wire.script = script

    assert api.get("/api/x").status == 200
    assert len(wire.requests) == 2
    tokens.forgotten = 5
    with pytest.raises(NotSent):
        post(api)
    assert len(wire.requests) == 3
    assert tokens.forgotten == 6


def test_nothing_is_sent_inside_a_transaction(api: Api, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections["default"], "in_atomic_block", True)

    with pytest.raises(TransactionOpen):
        post(api)

    assert wire.requests == []


def test_what_before_sending_raises_stops_the_call(api: Api, wire: Wire) -> None:
    def freeze() -> None:
        raise ValueError("frozen")

    with pytest.raises(ValueError, match="frozen"):
        api.post("/api/act", {}, action_id="a-1", before_sending=freeze)

    assert wire.requests == []


@pytest.mark.parametrize("link", ["https://evil.example/next", "http://localhost/next", "https://localhost:1/", "x y"])
def test_a_page_link_to_another_origin_is_not_followed(api: Api, wire: Wire, link: str) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"value": [{"id": "1"}], "@odata.nextLink": link}))
    pages = api.pages("/api/things", {})

    assert next(pages) == [{"id": "1"}]
    with pytest.raises(OutcomeUnknown, match="another host"):
        next(pages)
    assert len(wire.requests) == 1


def test_a_list_without_links_is_read_by_skip_until_a_short_page(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        out.sendall(http(200, {"value": [{}, {}] if b"$skip=0" in request else [{}]}))

    wire.script = script

    assert [len(page) for page in api.pages("/api/things", {"$top": "2", "$skip": "0"})] == [2, 1]
    assert b"$skip=2" in wire.requests[1]


def test_a_cookie_never_travels_to_the_next_call(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {}, Set_Cookie="session=of-one-customer"))

    api.get("/api/x")
    api.get("/api/y")

    assert b"cookie" not in wire.requests[1].lower()


def test_a_second_answer_is_never_taken_for_the_next_call(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        number = request.split(b" ")[1].decode()
        out.sendall(http(200, {"path": number}) * 2)

    wire.script = script

    assert [api.get(f"/{number}").body for number in range(3)] == [{"path": f"/{number}"} for number in range(3)]


def test_a_connection_is_used_again(api: Api, wire: Wire) -> None:
    peers = set()

    def script(out: socket.socket, _request: bytes) -> None:
        peers.add(out.getpeername())
        out.sendall(http(200, {}))

    wire.script = script
    api.get("/a")
    post(api)

    assert len(peers) == 1


def test_words_that_intune_wraps_in_json_twice_are_unwrapped(api: Api, wire: Wire) -> None:
    inner = {"_version": 3, "Message": "An error has occurred - Activity ID: 5b1f2c1e", "CustomApiErrorPhrase": ""}
    wrapped = json.dumps({"ErrorCode": "Forbidden", "Message": json.dumps(inner)})
    answer = http(403, {"error": {"code": "UnknownError", "message": wrapped}})
    wire.script = lambda out, _request: out.sendall(answer)

    with pytest.raises(Refused, match="An error has occurred - Activity ID: 5b1f2c1e") as refused:
        api.get("/v1.0/deviceManagement/managedDevices")

    assert "_version" not in str(refused.value)


def test_a_list_whose_pages_go_in_circles_is_not_walked_for_ever(api: Api, wire: Wire) -> None:
    def page(out: socket.socket, request: bytes) -> None:
        other = "b" if b"?page=a" in request else "a"
        out.sendall(http(200, {"value": [{"id": other}], "@odata.nextLink": f"{wire.url}/api/list?page={other}"}))

    wire.script = page

    with pytest.raises(OutcomeUnknown, match="circles"):
        list(api.pages("/api/list", {}))
    assert len(wire.requests) == 3


def test_an_answer_nested_too_deep_to_be_read_leaves_the_outcome_open(api: Api, wire: Wire) -> None:
    nested = b"[" * 100_000
    wire.script = lambda out, _request: out.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(nested)).encode() + b"\r\n\r\n" + nested
    )

    with pytest.raises(OutcomeUnknown):
        post(api)
