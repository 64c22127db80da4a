"""The kinds of parameter in the catalogue: what each must be, and its one canonical form."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.microsoft.url_blocks import list_entry
from connectors.microsoft.words import DETERMINATIONS
from connectors.protocol import Refused
from portal.access.exceptions import BadRequest
from remediation.catalogue import Parameter

_MOST_MESSAGES: Final = 100
_LONGEST_TEXT: Final = 1000
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""What no text in PostgreSQL may hold: NUL, and half a character (a lone surrogate), which JSON can send."""
_HOST: Final = re.compile(r"(?=.{1,253}$)[\w-]+(\.[\w-]+)+")


@dataclass(frozen=True, slots=True)
class _Shape:
    """A text that a pattern describes; `is_lowered` where capitals mean nothing."""

    pattern: str
    wanted: Promise
    is_lowered: bool = False


# Paths, processes and tasks are as `connectors.microsoft.live_response` sends them.
_WINDOWS_PATH: Final = r'[A-Za-z]:\\[^<>:"/|?*\x00-\x1f]+'
_SHAPES: Final[Mapping[str, _Shape]] = {
    "sha1": _Shape(r"[0-9a-f]{40}", gettext_lazy("a SHA-1 of 40 hex digits"), is_lowered=True),
    "sha256": _Shape(r"[0-9a-f]{64}", gettext_lazy("a SHA-256 of 64 hex digits"), is_lowered=True),
    "thumbprint": _Shape(
        r"[0-9a-f]{40}", gettext_lazy("the thumbprint of a certificate, 40 hex digits"), is_lowered=True
    ),
    "domain": _Shape(
        r"(?=.{1,253}$)([\w-]{1,63}\.)+[\w-]{2,63}",
        gettext_lazy("a domain name, such as bad.example"),
        is_lowered=True,
    ),
    "mailbox": _Shape(
        r"(?=.{1,320}$)[\w.!#$%&'+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)+",  # no `*`: Exchange takes it for any letters
        gettext_lazy("the address of a mailbox"),
        is_lowered=True,
    ),
    "path": _Shape(
        rf"{_WINDOWS_PATH}|/[^\x00-\x1f]+",
        gettext_lazy("the whole path of a file, such as C:\\Users\\pat\\bad.exe or /home/pat/bad"),
    ),
    "windows_path": _Shape(_WINDOWS_PATH, gettext_lazy("the whole path of a file, such as C:\\Users\\pat\\bad.exe")),
    "process_name": _Shape(
        r"[^\x00-\x1f\\/]{1,255}", gettext_lazy("the name of a process without its folder, such as bad.exe")
    ),
    "task_name": _Shape(
        r'\\[^<>:"/|?*\x00-\x1f]+',
        gettext_lazy("a scheduled task with its folder, such as \\Microsoft\\Windows\\Updater"),
    ),
}
_NUMBERS: Final[Mapping[str, tuple[int, Promise]]] = {
    "process_id": (2**32 - 1, gettext_lazy("the id of a process, a whole number above 0")),
    "days": (365, gettext_lazy("a whole number of days from 1 to 365")),
}
_KIND_OF_INDICATOR: Final[Mapping[str, str]] = {
    "FileSha1": "sha1",
    "FileSha256": "sha256",
    "CertificateThumbprint": "thumbprint",
    "IpAddress": "ip_address",
    "DomainName": "domain",
    "Url": "web_url",
}


def check_value(parameter: Parameter, value: Any, before: Mapping[str, Any]) -> Any:
    """Return the canonical form of what was given for a parameter; `before` are the checked ones ahead of it.

    Raises BadRequest that names the parameter and says what it must be.
    """
    if parameter.choices:
        return _one_of(parameter, value, parameter.choices)
    if parameter.kind == "determination":
        return _one_of(parameter, value, DETERMINATIONS[before["classification"]])
    kind = _KIND_OF_INDICATOR[before["indicator_type"]] if parameter.kind == "indicator" else parameter.kind
    if kind in _SHAPES:
        return _shaped(parameter, value, _SHAPES[kind])
    if kind in _NUMBERS:
        return _number(parameter, value, *_NUMBERS[kind])
    return _OTHERS[kind](parameter, value)


def describe_kind(kind: str) -> str:
    """Return what a parameter of this kind must be, in words for people; "" where its name says it all."""
    if kind in _SHAPES:
        return str(_SHAPES[kind].wanted)
    return str(_NUMBERS[kind][1]) if kind in _NUMBERS else ""


def as_messages(pairs: set[tuple[str, str]]) -> list[dict[str, str]]:
    """Return (network message id, recipient) pairs in the one order that fingerprints rest on."""
    return [{"network_message_id": message_id, "recipient": recipient} for message_id, recipient in sorted(pairs)]


def as_url_entry(url: str) -> str:
    """Return an address as Exchange's block list takes it, "" for one that it cannot take."""
    try:
        return list_entry(url)
    except Refused:
        return ""


def _wrong(parameter: Parameter, wanted: str | Promise) -> BadRequest:
    return BadRequest(_("The parameter “%(name)s” must be %(wanted)s.") % {"name": parameter.name, "wanted": wanted})


def _text(parameter: Parameter, value: Any, wanted: str | Promise) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TEXT or _UNSTORABLE.search(value):
        raise _wrong(parameter, wanted)
    return value


def _one_of(parameter: Parameter, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _wrong(parameter, " | ".join(choices))
    return value


def _shaped(parameter: Parameter, value: Any, shape: _Shape) -> str:
    text = _text(parameter, value, shape.wanted).strip()
    text = text.lower() if shape.is_lowered else text
    if not re.fullmatch(shape.pattern, text):
        raise _wrong(parameter, shape.wanted)
    return text


def _number(parameter: Parameter, value: Any, highest: int, wanted: Promise) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"[0-9]{1,10}", str(value)):
        raise _wrong(parameter, wanted)
    if not 1 <= int(value) <= highest:
        raise _wrong(parameter, wanted)
    return int(value)


def _check_text(parameter: Parameter, value: Any) -> str:
    text = _text(parameter, value, _("a text")).strip()
    if not text.isprintable():
        raise _wrong(parameter, _("a text on one line, of letters that can be seen"))
    return text


def in_plain_sight(text: str) -> str:
    """Return a text that an attacker may have named, with signs that turn, hide or break letters told by their number.

    A right-to-left override in a file's name would turn round what a page says after it.
    """
    return "".join(sign if sign.isprintable() else f"⟨U+{ord(sign):04X}⟩" for sign in text)


def _check_messages(parameter: Parameter, value: Any) -> list[dict[str, str]]:
    wanted = _("a list of 1 to 100 objects with network_message_id and recipient")
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_MESSAGES:
        raise _wrong(parameter, wanted)
    pairs = set()
    for item in value:
        if not isinstance(item, dict) or set(item) != {"network_message_id", "recipient"}:
            raise _wrong(parameter, wanted)
        message_id, recipient = item["network_message_id"], item["recipient"]
        if not isinstance(message_id, str) or not isinstance(recipient, str) or "@" not in recipient:
            raise _wrong(parameter, wanted)
        if not message_id.strip() or len(message_id) > 100 or len(recipient) > 320:
            raise _wrong(parameter, wanted)
        if _UNSTORABLE.search(message_id + recipient):
            raise _wrong(parameter, wanted)
        pairs.add((message_id.strip().lower(), recipient.strip().lower()))
    return as_messages(pairs)


def _check_url(parameter: Parameter, value: Any) -> str:
    wanted = _("a web address of at most 250 characters, such as bad.example/path")
    try:
        return list_entry(_text(parameter, value, wanted))
    except Refused as refusal:
        raise BadRequest(str(refusal)) from refusal


def _check_web_url(parameter: Parameter, value: Any) -> str:
    wanted = _("a web address, such as https://bad.example/path")
    text = _text(parameter, value, wanted).strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host = parts.hostname or ""
    except ValueError as error:
        raise _wrong(parameter, wanted) from error
    if "@" in parts.netloc:
        raise _wrong(parameter, _("a web address without a user name in it, such as https://bad.example/path"))
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or re.search(r"\s", text):
        raise _wrong(parameter, wanted)
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def _check_ip_address(parameter: Parameter, value: Any) -> str:
    wanted = _("one IP address; Microsoft takes no ranges")
    try:
        return str(ip_address(_text(parameter, value, wanted).strip()))
    except ValueError as error:
        raise _wrong(parameter, wanted) from error


def _check_former(parameter: Parameter, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise _wrong(parameter, _("the former setting, as it was saved"))
    return value


_OTHERS: Final[Mapping[str, Callable[[Parameter, Any], Any]]] = {
    "text": _check_text,
    "messages": _check_messages,
    "url": _check_url,
    "web_url": _check_web_url,
    "ip_address": _check_ip_address,
    "former": _check_former,
}
