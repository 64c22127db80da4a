"""How messages look, and where they may go: strangers' words stay words, and nothing leaves for a private network."""

import json
from typing import Any

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from connectors.outbound.addresses import reachable_addresses, read_url
from connectors.outbound.formats import Message, email_of, one_line, slack_body, teams_body
from connectors.outbound.outcomes import Undeliverable

EVIL = "<!channel> [pay](http://evil.example) *now* & <http://evil.example|bank>"


def message(**fields: Any) -> Message:
    values: dict[str, Any] = {
        "delivery_id": uuid7(),
        "event": "overdue",
        "event_label": "Overdue",
        "subject": EVIL,
        "facts": [["Device", EVIL]],
        "url": "https://quell.example/admin/",
        "tenant_id": uuid7(),
        "tenant_name": "Acme",
        "channel_name": "IT",
        "object_type": "activity",
        "object_id": uuid7(),
        "replay_of": None,
        "created_at": timezone.now(),
    }
    return Message(**(values | fields))


def texts_of(part: Any) -> list[dict[str, Any]]:
    """Return every object of a JSON value that holds a text."""
    if isinstance(part, list):
        return [found for inner in part for found in texts_of(inner)]
    if not isinstance(part, dict):
        return []
    own = [part] if isinstance(part.get("text"), str) else []
    return own + [found for inner in part.values() for found in texts_of(inner)]


def test_slack_gets_plain_text_in_which_nothing_is_a_mention_or_a_link() -> None:
    body = json.loads(slack_body(message()))
    assert "<" not in body["text"]
    assert ">" not in body["text"]
    blocks = texts_of(body["blocks"])
    assert {block["type"] for block in blocks} == {"plain_text"}
    assert not [block for block in blocks if "<" in block["text"]]
    assert body["blocks"][0]["text"]["text"].startswith("&lt;!channel&gt; [pay]")


def test_slack_takes_the_longest_message() -> None:
    body = json.loads(slack_body(message(subject="<" * 300, facts=[["Device", "&" * 500]] * 30)))
    assert len(body["blocks"][0]["text"]["text"]) <= 150
    assert len(body["blocks"][1]["text"]["text"]) <= 3000
    assert body["blocks"][0]["text"]["text"].endswith("&lt;")


def test_teams_gets_runs_of_text_that_know_no_markdown_in_the_envelope_of_workflows() -> None:
    body = json.loads(teams_body(message()))
    assert body["type"] == "message"
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    runs = texts_of(attachment["content"]["body"])
    assert {run["type"] for run in runs} == {"TextRun"}
    assert EVIL in [run["text"] for run in runs]
    assert attachment["content"]["actions"][0]["url"] == "https://quell.example/admin/"


def test_teams_takes_the_longest_message() -> None:
    assert len(teams_body(message(subject="ä" * 300, facts=[["ä" * 500, "ä" * 500]] * 30))) < 28_000


def test_a_mail_of_a_tenant_with_a_line_in_its_name_has_a_subject_of_one_line() -> None:
    found = email_of(message(tenant_name="Acme\nBcc: a@b.example", subject="Overdue"), ["it@acme.example"])
    assert found.subject == "[Acme Bcc: a@b.example] Overdue"


def test_one_line_is_cut_and_has_no_control_characters() -> None:
    assert one_line("a\x00b\r\n\u202ec\ud800", 20) == "a b c"
    assert one_line("a" * 30, 10) == "a" * 9 + "…"


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example/",
        "https://user:word@hooks.example/",
        "https://10.0.0.1/",
        "https://127.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/",
        "https://100.100.100.200/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[::127.0.0.1]/",
        "https://[fec0::1]/",
        "https://[fd00:ec2::254]/",
        "https:///nowhere",
        "https://hooks.example/a b",
        "file:///etc/passwd",
        "nothing",
        "",
    ],
)
def test_outside_development_only_https_to_the_public_is_an_address(address: str, settings: Any) -> None:
    settings.IS_DEVELOPMENT = False
    with pytest.raises(ValueError, match="address"):
        read_url(address)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f.1", "2130706433", "0"])
def test_other_ways_to_write_a_private_address_are_seen_when_it_is_sent(host: str, settings: Any) -> None:
    settings.IS_DEVELOPMENT = False
    with pytest.raises(Undeliverable):
        reachable_addresses(host, 443)


def test_public_addresses_are_taken(settings: Any) -> None:
    settings.IS_DEVELOPMENT = False
    assert read_url("https://hooks.slack.com/services/T/B/x").host == "hooks.slack.com"
    assert reachable_addresses("8.8.8.8", 443) == ["8.8.8.8"]
    assert reachable_addresses("2606:4700::1111", 443) == ["2606:4700::1111"]
