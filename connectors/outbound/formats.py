"""How a message looks to each kind of receiver. Names of devices are strangers' words: no markup of theirs counts.

Slack: "Reference: Block Kit" (plain_text objects know no markup) and "Formatting text for app surfaces" (& < > are
escaped; what is left in `text` can name nobody and link nowhere). Teams: "Create incoming webhooks with Workflows"
(the message envelope) and the Adaptive Cards schema (a TextRun knows no Markdown, unlike a TextBlock or a FactSet).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

SLACK_HEADER: Final = 150
SLACK_TEXT: Final = 2900
"""Slack takes 150 characters in a header and 3,000 in a section, and refuses the whole message for more."""

TEAMS_BYTES: Final = 24_000
"""Teams refuses messages of more than 28 KB; facts beyond this many bytes are left out."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery says. `url` is the page in the portal, "" where the portal's own address is not set."""

    delivery_id: UUID
    event: str
    event_label: str
    subject: str
    facts: Sequence[Sequence[str]]
    url: str
    tenant_id: UUID
    tenant_name: str
    channel_name: str
    object_type: str
    object_id: UUID
    replay_of: UUID | None
    created_at: datetime


def one_line(text: str, longest: int) -> str:
    """Return the text on one line without control characters, cut to so many characters."""
    printable = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(printable.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def page_url(path: str) -> str:
    """Return the address of a page of the portal, "" where PORTAL_URL is not set."""
    return urljoin(settings.PORTAL_URL, path) if settings.PORTAL_URL and path else ""


def email_of(message: Message, addresses: Sequence[str]) -> EmailMessage:
    """Return a plain text mail; its Message-ID is the delivery's, the same at every try (RFC 5322, 3.6.4)."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return EmailMessage(
        f"[{one_line(message.tenant_name, 100)}] {message.subject}",
        "\n".join(_email_lines(message)),
        to=list(addresses),
        headers={"Message-ID": f"<{message.delivery_id}@{domain}>", "Auto-Submitted": "auto-generated"},
    )


def slack_body(message: Message) -> bytes:
    """Return the JSON for a Slack incoming webhook: blocks, and `text` for where blocks are not shown."""
    lines = [f"{label}: {value}" for label, value in message.facts]
    facts = _cut("\n".join([message.tenant_name, *lines]), SLACK_TEXT)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _slack_text(_cut(message.subject, SLACK_HEADER))},
        {"type": "section", "text": _slack_text(facts)},
    ]
    if message.url:
        button = {"type": "button", "text": _slack_text(_("Open in Quell")), "url": message.url}
        blocks.append({"type": "actions", "elements": [button]})
    blocks.append({"type": "context", "elements": [_slack_text(_cut(_why(message), SLACK_TEXT))]})
    return _json({"text": _slack_escaped(f"{message.tenant_name}: {message.subject}"), "blocks": blocks})


def teams_body(message: Message) -> bytes:
    """Return the JSON for a Teams workflow that begins with "When a Teams webhook request is received"."""
    room = TEAMS_BYTES
    body = [_teams_heading(message.subject), _teams_line(message.tenant_name)]
    for label, value in message.facts:
        line = _teams_fact(label, value)
        room -= len(_json(line))
        if room > 0:
            body.append(line)
    body.append(_teams_line(_why(message)))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": body,
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": _("Open in Quell"), "url": message.url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return _json({"type": "message", "attachments": [attachment]})


def webhook_body(message: Message) -> bytes:
    """Return the JSON of a signed webhook: `type`, `timestamp` and `data`, as Standard Webhooks has them."""
    data = {
        "delivery": str(message.delivery_id),
        "replay_of": str(message.replay_of) if message.replay_of else None,
        "tenant": {"id": str(message.tenant_id), "name": message.tenant_name},
        "subject": message.subject,
        "facts": [{"label": label, "value": value} for label, value in message.facts],
        "object": {"type": message.object_type, "id": str(message.object_id)},
        "url": message.url or None,
    }
    return _json({"type": message.event, "timestamp": message.created_at.isoformat(), "data": data})


def _email_lines(message: Message) -> Iterator[str]:
    yield message.subject
    yield ""
    yield from (f"{label}: {value}" for label, value in message.facts)
    if message.url:
        yield ""
        yield message.url
    yield ""
    yield "-- "
    yield _why(message)


def _why(message: Message) -> str:
    return _("Quell for %(tenant)s: the channel “%(channel)s” asks for “%(event)s”.") % {
        "tenant": message.tenant_name,
        "channel": message.channel_name,
        "event": message.event_label,
    }


def _cut(text: str, longest: int) -> str:
    """Return as much of the text as fits once Slack's three characters are escaped."""
    kept, room = [], longest
    for each in text:
        room -= len(_slack_escaped(each))
        if room < 0:
            break
        kept.append(each)
    return "".join(kept)


def _slack_escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": _slack_escaped(text), "emoji": False}


def _teams_heading(text: str) -> dict[str, Any]:
    return {
        "type": "RichTextBlock",
        "inlines": [{"type": "TextRun", "text": text, "size": "Medium", "weight": "Bolder"}],
    }


def _teams_line(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}


def _teams_fact(label: str, value: str) -> dict[str, Any]:
    runs = [{"type": "TextRun", "text": f"{label}: ", "weight": "Bolder"}, {"type": "TextRun", "text": value}]
    return {"type": "RichTextBlock", "inlines": runs, "spacing": "Small"}


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
