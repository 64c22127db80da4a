"""Checks what is asked of an action before anybody is asked about it, and says in words what it is done to."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from investigations.models import Device
from portal.access.exceptions import BadRequest
from remediation.catalogue import ActionType, Parameter

_SHA1: Final = re.compile(r"[0-9a-f]{40}")
_MOST_MESSAGES: Final = 100
_LONGEST_TEXT: Final = 1000
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""What no text in PostgreSQL may hold: NUL, and half a character (a lone surrogate), which JSON can send."""


def check_parameters(kind: ActionType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters in their one canonical form. Raises BadRequest that names the wrong one."""
    expected = {parameter.name: parameter for parameter in kind.parameters}
    for name in given:
        if name not in expected:
            raise BadRequest(
                _("“%(action)s” has no parameter “%(name)s”.") % {"action": kind.label, "name": str(name)[:60]}
            )
    return {name: _CHECKS[parameter.kind](parameter, given.get(name)) for name, parameter in expected.items()}


def describe_target(kind: ActionType, device: Device | None, parameters: Mapping[str, Any]) -> str:
    """Return what the action is done to, in words for people."""
    if device is not None:
        sha1 = parameters.get("sha1")
        return f"{device} · {sha1}" if sha1 else str(device)
    messages = parameters.get("messages", [])
    if len(messages) == 1:
        return f"{messages[0]['recipient']} · {messages[0]['network_message_id']}"
    return _("%(count)d messages") % {"count": len(messages)}


def _wrong(parameter: Parameter, wanted: str) -> BadRequest:
    return BadRequest(_("The parameter “%(name)s” must be %(wanted)s.") % {"name": parameter.name, "wanted": wanted})


def _check_text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TEXT or _UNSTORABLE.search(value):
        raise _wrong(parameter, " | ".join(parameter.choices) or _("a text"))
    if parameter.choices and value not in parameter.choices:
        raise _wrong(parameter, " | ".join(parameter.choices))
    return value


def _check_sha1(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str) or not _SHA1.fullmatch(value.lower()):
        raise _wrong(parameter, _("a SHA-1 of 40 hex digits"))
    return value.lower()


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


def as_messages(pairs: set[tuple[str, str]]) -> list[dict[str, str]]:
    """Return (network message id, recipient) pairs in the one order that fingerprints rest on."""
    return [{"network_message_id": message_id, "recipient": recipient} for message_id, recipient in sorted(pairs)]


_CHECKS: Final[Mapping[str, Callable[[Parameter, Any], Any]]] = {
    "text": _check_text,
    "sha1": _check_sha1,
    "messages": _check_messages,
}
