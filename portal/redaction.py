"""The last net under the logs: what looks like a secret is taken out of every line, tracebacks included."""

import logging
import re
from typing import Final

REDACTED: Final = "[redacted]"

_NAMES: Final = (
    r"(?:new_)?client_secret|(?:client_)?assertion|password\d?|old_?password|passwd|secret|otp|id_token|access_token"
    r"|refresh_token|csrfmiddlewaretoken|SAMLResponse|sessionid|quell_session|quell_csrf"
)

_RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # Authorization: Api-Key …, 'HTTP_AUTHORIZATION': 'Bearer …'
        (r"(authorization['\"]?\s*[:=]\s*)(['\"]?)[^'\"\r\n]+", rf"\1\2{REDACTED}"),
        # API keys keep their prefix, by which an administrator finds them.
        (r"\b(quell_[0-9a-f]{12}_)[\w-]+", rf"\1{REDACTED}"),
        (r"\b(bearer|api-key)\s+[\w.~+/=-]+", rf"\1 {REDACTED}"),
        # JSON web tokens, wherever they stand.
        (r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", REDACTED),
        # {"client_secret": "…"}, <QueryDict: {'code': ['…']}>
        (rf"(['\"](?:{_NAMES}|code)['\"]\s*:\s*\[?\s*b?)(['\"])(?:\\.|(?!\2).)*\2", rf"\1\2{REDACTED}\2"),
        # password='…'
        (rf"\b((?:{_NAMES})=b?)(['\"])(?:\\.|(?!\2).)*\2", rf"\1\2{REDACTED}\2"),
        # client_id=…&client_secret=…, https://…/callback?code=…
        (rf"(\b(?:{_NAMES})=|(?:^|[?&'\"\s])code=(?=[^&\s'\"]*))[^&\s'\"]+", rf"\1{REDACTED}"),
        # Links that let somebody choose a password.
        (r"(/accounts/(?:welcome/|password/reset/\w+-))[^/\s'\"]+", rf"\1{REDACTED}"),
        # Set-Cookie: __Host-quell_session=…, postgresql://user:password@host
        (r"(://[^:/@\s]+:)[^@/\s]+@", rf"\1{REDACTED}@"),
    )
)


def redact(text: str) -> str:
    """Return the text with everything that looks like a credential replaced by "[redacted]"."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Redacts the finished line: the message with its arguments, the traceback and the stack."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without credentials."""
        return redact(super().format(record))
