"""What a person types into the explorer is the text of a string and never KQL, whatever it is."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.simulator.kql_expressions import tokens_of
from remediation.hunting.kql import mail_query, quote, recipients_query

NASTY = st.text(alphabet=st.one_of(st.sampled_from("\"'\\\n\r\t|;/*(),@~`$h \u2028\u0085\x00"), st.characters()))
PLAIN = "x"


def unquoted(literal: str) -> str:
    """Read a KQL string literal as Kusto's page on the string type says, by itself and not by our own code."""
    assert re.fullmatch(r'"(?:[^"\\\n\r]|\\.)*"', literal), literal
    units = re.sub(
        r"\\(?:u([0-9a-f]{4})|(.))", lambda found: chr(int(found[1], 16)) if found[1] else found[2], literal[1:-1]
    )
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@settings(max_examples=300, deadline=None)
@given(NASTY)
@example('" | take 1000000 //')
@example("\\")
@example('\\" or 1 == 1 //')
@example("line\nbreak")
@example("\U000e0001 beyond the plane")
def test_a_literal_is_one_line_and_says_exactly_what_was_typed(text: str) -> None:
    literal = quote(text)

    assert "\n" not in literal
    assert "\r" not in literal
    assert unquoted(literal) == text


@settings(max_examples=200, deadline=None)
@given(*[NASTY.filter(bool)] * 4)
@example(*['" | union AADSignInEventsBeta | where "" == "'] * 4)
def test_nothing_typed_adds_a_word_to_the_query(sender: str, subject: str, recipient: str, url: str) -> None:
    typed = {"sender": sender, "subject": subject, "recipient": recipient, "url": url}
    harmless = dict.fromkeys(typed, PLAIN) | {"sender": "a@b" if "@" in sender else PLAIN}

    def shape(query: str) -> list[tuple[str, str]]:
        return [(token.kind, "" if token.kind == "string" else token.text) for token in tokens_of(query)]

    assert shape(mail_query(typed)) == shape(mail_query(harmless))
    assert shape(recipients_query([subject, url])) == shape(recipients_query([PLAIN, PLAIN]))


@pytest.mark.parametrize(
    ("criteria", "line"),
    [
        ({"sender": "a@b.example"}, '| where SenderFromAddress =~ "a@b.example"'),
        ({"sender": "b.example"}, '| where SenderFromDomain =~ "b.example"'),
        ({"subject": 'Say "hi"'}, '| where Subject contains "Say \\"hi\\""'),
        ({"url": "b.example/x"}, 'EmailUrlInfo | where Url contains "b.example/x" | distinct NetworkMessageId'),
    ],
)
def test_a_search_becomes_a_query(criteria: dict[str, str], line: str) -> None:
    query = mail_query(criteria)

    assert line in query
    assert query.startswith("EmailEvents\n")
    assert query.count("| where") == 1
    assert query.endswith("| take 1001")
