"""What an action is about, in words that are the same in every tenant: by that one decision reaches many of them.

An entity is its kind, a colon and its name, in lower case: `sha1:…`, `sender:…`, `url:…`, `cluster:…`, `device:…`,
`mailbox:…`, `indicator:…`, `alert:…`. It is "" where nothing of the kind can be said.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

KINDS: Final = ("sha1", "sender", "url", "cluster", "device", "mailbox", "indicator", "alert")

LONGEST: Final = 400
"""Characters: an entity stands in an index. A longer name is cut and told apart by its hash."""

_NAMED: Final = (("sha1", "sha1"), ("url", "url"), ("mailbox", "mailbox"), ("alert", "alert_id"))
"""Kinds with the parameter that says their name."""


def entity_of(parameters: Mapping[str, Any], machine_id: str = "") -> str:
    """Return the entity of an action with these checked parameters, on the machine if it is on one.

    Mail is its one mailbox where there is one, else its one message; who sent it only evidence can say.
    """
    for kind, name in _NAMED:
        if parameters.get(name):
            return _entity(kind, parameters[name])
    if "indicator_type" in parameters:
        return _entity("indicator", f"{parameters['indicator_type']}:{parameters['value']}")
    if machine_id:
        return _entity("device", machine_id)
    messages = parameters.get("messages", [])
    for kind, name in (("mailbox", "recipient"), ("cluster", "network_message_id")):
        named = {message[name] for message in messages}
        if len(named) == 1:
            return _entity(kind, named.pop())
    return ""


def entity_of_mail(raw: Mapping[str, Any]) -> str:
    """Return who sent the message, or what holds the cluster together, as Graph's evidence tells it; "" if it does not.

    The sender is the one people see (`p2Sender`), else that of the envelope (`p1Sender`). Source: Microsoft Graph,
    analyzedMessageEvidence and mailClusterEvidence.
    """
    cluster_by, value = raw.get("clusterBy"), raw.get("clusterByValue")
    if isinstance(cluster_by, str) and isinstance(value, str) and value.strip():
        return _entity("cluster", f"{cluster_by}:{value}")
    for name in ("p2Sender", "p1Sender"):
        sender = raw.get(name)
        address = sender.get("emailAddress") if isinstance(sender, Mapping) else None
        if isinstance(address, str) and address.strip():
            return _entity("sender", address)
    return ""


def entity_of_file(sha1: str) -> str:
    """Return a file's entity."""
    return _entity("sha1", sha1)


def _entity(kind: str, name: str | UUID) -> str:
    text = f"{kind}:{str(name).strip().lower()}"
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 65]}#{hashlib.sha256(text.encode()).hexdigest()}"
