"""Queries that Quell writes itself, in KQL: whatever a person typed goes in as the text of a string, never as KQL.

Tables and columns are those of advanced hunting (Microsoft Defender XDR: `EmailEvents`, `EmailUrlInfo`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

MOST_ROWS: Final = 1000
"""How many rows of an answer are kept; a query of our own asks for one more, to know whether there are more."""

_COLUMNS: Final = (
    "Timestamp, Subject, SenderFromAddress, RecipientEmailAddress, DeliveryAction, LatestDeliveryLocation, "
    "NetworkMessageId"
)


def quote(text: str) -> str:
    """Return the text as a KQL string literal: on one line, with every character that could end it escaped.

    Source: Kusto, "The string data type": a backslash escapes, and `\\uXXXX` is a UTF-16 code unit.
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def mail_query(criteria: Mapping[str, str]) -> str:
    """Return the query that finds mail by `sender` (an address, or a domain), `subject`, `recipient` and `url`.

    Subject and URL are found by a part of them, the others whole; all are blind to case, and an empty one asks nothing.
    """
    given = {name: value for name, value in criteria.items() if value}
    lines = ["EmailEvents"]
    if sender := given.get("sender"):
        column = "SenderFromAddress" if "@" in sender else "SenderFromDomain"
        lines.append(f"| where {column} =~ {quote(sender)}")
    if subject := given.get("subject"):
        lines.append(f"| where Subject contains {quote(subject)}")
    if recipient := given.get("recipient"):
        lines.append(f"| where RecipientEmailAddress =~ {quote(recipient)}")
    if url := given.get("url"):
        found = f"EmailUrlInfo | where Url contains {quote(url)} | distinct NetworkMessageId"
        lines.append(f"| join kind=inner ({found}) on NetworkMessageId")
    return "\n".join([*lines, f"| project {_COLUMNS}", "| sort by Timestamp desc", f"| take {MOST_ROWS + 1}"])


def recipients_query(message_ids: Sequence[str]) -> str:
    """Return the query for who received these messages, by their network message ids."""
    wanted = ", ".join(map(quote, message_ids))
    pair = "NetworkMessageId, RecipientEmailAddress"
    return f"EmailEvents\n| where NetworkMessageId in~ ({wanted})\n| project {pair}\n| distinct {pair}"


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
