"""One cmdlet over the wire: what is posted, how pages are followed, whose words are told, and what a step leaves."""

import json
import socket
from uuid import UUID

import pytest

from connectors.microsoft import exchange, steps
from connectors.microsoft.http import Api
from connectors.microsoft.mailboxes import Mailboxes
from connectors.microsoft.url_blocks import list_entry
from connectors.protocol import ActionRequest, NotSent, OutcomeUnknown, Refused, Throttled
from tests.connectors.microsoft.conftest import Wire, http

REQUEST = ActionRequest(UUID(int=7), "block_url", "", {"url": "bad.example"}, "why")


def path_of(api: Api) -> str:
    return f"/adminapi/beta/{api.tenant_id}/InvokeCommand"


def invoke(api: Api) -> str:
    return exchange.invoke(api, REQUEST, "Set-Mailbox", {"Identity": "a@x.example"}, before_sending=lambda: None)


def test_a_cmdlet_goes_to_the_tenants_own_address_by_its_system_mailbox(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"@adminapi.warnings": ["nothing changed"], "value": []}))

    assert invoke(api) == "nothing changed"
    head, _, body = wire.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST {path_of(api)} HTTP".encode())
    assert (
        f"X-AnchorMailbox: APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{api.tenant_id}".encode() in head
    )
    assert b"Prefer: odata.maxpagesize=1000" in head
    assert json.loads(body) == {"CmdletInput": {"CmdletName": "Set-Mailbox", "Parameters": {"Identity": "a@x.example"}}}


def test_pages_are_asked_for_with_the_same_body(api: Api, wire: Wire) -> None:
    def script(out: socket.socket, request: bytes) -> None:
        more = {} if b"skiptoken" in request else {"@odata.nextLink": f"{wire.url}{path_of(api)}?$skiptoken=1"}
        out.sendall(http(200, {"value": [{"n": len(wire.requests)}], **more}))

    wire.script = script

    assert exchange.read(api, "Get-Mailbox", {}) == [{"n": 1}, {"n": 2}]
    first, second = (request.partition(b"\r\n\r\n")[2] for request in wire.requests)
    assert first == second


@pytest.mark.parametrize("link", ["https://elsewhere.example/next", "{own}"])
def test_a_link_to_another_host_or_to_itself_is_not_followed(api: Api, wire: Wire, link: str) -> None:
    answer = http(200, {"value": [], "@odata.nextLink": link.replace("{own}", f"{wire.url}{path_of(api)}?again")})
    wire.script = lambda out, _request: out.sendall(answer)

    with pytest.raises(OutcomeUnknown):
        exchange.read(api, "Get-Mailbox", {})

    assert len(wire.requests) <= 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            {
                "message": "outer",
                "innererror": {"internalException": {"message": "inner"}},
                "details": [{"message": "deep"}],
            },
            "deep",
        ),
        ({"message": "outer", "innererror": {"internalException": {"message": "inner"}}, "details": []}, "inner"),
        ({"message": "outer", "innererror": {}}, "outer"),
    ],
)
def test_the_deepest_words_of_a_refusal_are_told(api: Api, wire: Wire, error: dict[str, object], words: str) -> None:
    wire.script = lambda out, _request: out.sendall(http(400, {"error": {"code": "BadRequest", **error}}))

    with pytest.raises(Refused, match=f"BadRequest: {words}"):
        invoke(api)


def test_an_error_inside_a_success_is_a_doubt(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(200, {"error": {"code": "x"}}))

    with pytest.raises(OutcomeUnknown):
        invoke(api)


def test_a_read_before_acting_that_breaks_off_is_no_doubt_about_the_action(api: Api, wire: Wire) -> None:
    wire.script = lambda out, _request: out.sendall(http(503))

    with pytest.raises(NotSent), exchange.before_acting():
        exchange.read(api, "Get-Mailbox", {})


def refusing(code: str) -> steps.Step:
    def step(_guard: object) -> None:
        raise Refused(code, code=code)

    return step


def late(_guard: object) -> None:
    raise Throttled("later", retry_after=3)


def test_nothing_done_is_a_plain_no_and_a_part_done_is_a_doubt() -> None:
    done = lambda guard: guard()  # noqa: E731 - a step as short as steps can be
    asked: list[str] = []

    with pytest.raises(Refused, match="one"):
        steps.take([refusing("one"), refusing("two")], before_sending=lambda: None)
    with pytest.raises(NotSent):
        steps.take([late, done], before_sending=lambda: None)
    with pytest.raises(OutcomeUnknown, match="1 of 2"):
        steps.take([done, late], before_sending=lambda: None)
    assert steps.take([done, refusing("one"), done], before_sending=lambda: asked.append("asked")) == ["one"]
    assert asked == ["asked"]


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://Bad.Example/", "bad.example"),
        ("http://bad.example:8080/Path?q=1#part", "bad.example/Path?q=1"),
        ("bad.example/a/b", "bad.example/a/b"),
        ("https://bücher.example/x", "xn--bcher-kva.example/x"),
        ("203.0.113.9/x", "203.0.113.9/x"),
    ],
)
def test_a_url_becomes_what_the_list_takes(url: str, entry: str) -> None:
    assert list_entry(url) == entry


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("*.bad.example", "wildcards"),
        ("~bad.example~", "wildcards"),
        ("ftp://bad.example", "ftp"),
        ("https://ada:x@bad.example", "user name"),
        ("localhost", "full name of a host"),
        ("", "full name of a host"),
        ("https://[bad", "no address"),
        ("bad.example/" + "x" * 250, "250"),
        ("bad.example/a b", "spaces"),
    ],
)
def test_what_the_list_cannot_take_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        list_entry(url)


@pytest.mark.parametrize(
    ("asked", "is_theirs"),
    [("Ada@x.example", True), ("a.l@x.example", True), ("bob@x.example", False), ("*@x.example", False)],
)
def test_the_setting_of_another_mailbox_is_not_taken_for_this_ones(
    api: Api, wire: Wire, asked: str, is_theirs: bool
) -> None:
    ada = {
        "UserPrincipalName": "ada@x.example",
        "PrimarySmtpAddress": "ada@x.example",
        "EmailAddresses": ["SMTP:ada@x.example", "smtp:a.l@x.example"],
        "ForwardingSmtpAddress": "smtp:thief@evil.example",
    }
    wire.script = lambda out, _request: out.sendall(http(200, {"value": [ada]}))
    mailboxes = Mailboxes(api, api)

    if is_theirs:
        assert mailboxes.setting(asked)["ForwardingSmtpAddress"] == "smtp:thief@evil.example"
    else:
        with pytest.raises(OutcomeUnknown, match="not with"):
            mailboxes.setting(asked)


def test_a_rule_to_everybody_has_nobody_looked_up(api: Api, wire: Wire) -> None:
    ada = {"UserPrincipalName": "ada@x.example"}
    rule = {"id": "r", "isEnabled": True, "actions": {"forwardTo": [{"emailAddress": {"address": "*"}}]}}
    wire.script = lambda out, request: out.sendall(http(200, {"value": [rule if request.startswith(b"GET") else ada]}))

    [found] = Mailboxes(api, api).forwarding("ada@x.example")["rules"]

    assert found["outside"] == ["*"]
    assert not [request for request in wire.requests if b"Get-Recipient" in request]
