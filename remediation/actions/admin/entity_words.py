"""What actions of a group are about, in words for people."""

import re
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from remediation.actions.entities import LONGEST

KIND_LABELS: Final = {
    "sha1": _("File"),
    "sender": _("Sender"),
    "url": _("URL"),
    "cluster": _("Email cluster"),
    "device": _("Device"),
    "mailbox": _("Mailbox"),
    "indicator": _("Indicator"),
    "alert": _("Alert"),
}


def name_entity(entity: str) -> tuple[Any, str]:
    """Return what kind of thing an entity is and which one: a cluster by the values that hold it together."""
    kind, _colon, name = entity.partition(":")
    if len(entity) == LONGEST:
        name = re.sub(r"#[0-9a-f]{64}$", "…", name)
    if kind in ("cluster", "indicator"):
        # What it is by comes first (`subject;p2senderdomain:`, `filesha1:`), but for a cluster of one message.
        before, colon, after = name.partition(":")
        name = after if colon else before
    return KIND_LABELS.get(kind, kind), " · ".join(name.split(";")) if kind == "cluster" else name
