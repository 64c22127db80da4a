"""What looks like a secret does not get into the logs; everything else does."""

import logging
import sys

import pytest

from portal.redaction import RedactingFormatter, redact

CANARY = "Zebra-canary_7c1f.x"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: Basic {CANARY}",
        f"{{'HTTP_AUTHORIZATION': 'Api-Key {CANARY}'}}",
        f"Api-Key quell_0123456789ab_{CANARY}",
        f"key quell_0123456789ab_{CANARY} was refused",
        f"sent bearer {CANARY} along",
        f"token eyJhbGciOiJSUzI1NiJ9.{CANARY}",
        f"POST client_id=a&client_secret={CANARY}&scope=b",
        f"GET /accounts/organisation/acme/callback/?state=1&code={CANARY}",
        f"GET /callback?code={CANARY}&state=1",
        f"Internal Server Error: /accounts/password/reset/01a1fd6a-{CANARY}/",
        f"Not Found: /accounts/welcome/{CANARY}:1tZ:x/",
        f"body csrfmiddlewaretoken=x&code={CANARY}",
        f'{{"client_secret": "{CANARY}"}}',
        f"<QueryDict: {{'password': ['{CANARY}'], 'code': ['{CANARY}']}}>",
        f"connect(password='{CANARY} with blanks')",
        f"client_assertion={CANARY}",
        f"postgresql://portal_app:{CANARY}@db.example/quell",
        f"Set-Cookie: __Host-quell_session={CANARY}; Path=/",
    ],
)
def test_a_credential_is_taken_out_wherever_it_stands(text: str) -> None:
    assert CANARY.partition(".")[0] not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sign-in was refused (AADSTS7000215): the client secret is wrong; set the current one.",
        "Forbidden: /api/v1/connections/01a1fd20-d9c4-7096-972c-ed865b6c3ed4/set-client-secret/",
        "worker exited with code 1, error code: 500",
        "GET /api/v1/alerts/?cursor=abc&limit=5 200",
        "https://graph.microsoft.com:443/v1.0/security",
    ],
)
def test_words_about_secrets_stay_readable(text: str) -> None:
    assert redact(text) == text


def test_a_key_keeps_the_prefix_by_which_it_is_found() -> None:
    assert redact(f"quell_0123456789ab_{CANARY}").startswith("quell_0123456789ab_[redacted]")


def test_arguments_and_tracebacks_are_redacted_too() -> None:
    try:
        raise ValueError(f"client_secret={CANARY}")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "sent %s", (f"Bearer {CANARY}",), error)
    line = RedactingFormatter("{message}", style="{").format(record)
    assert "Traceback" in line
    assert CANARY not in line


def test_the_console_uses_it() -> None:
    handlers = [each for each in logging.getLogger().handlers if type(each) is logging.StreamHandler]
    assert [type(each.formatter) for each in handlers] == [RedactingFormatter]
