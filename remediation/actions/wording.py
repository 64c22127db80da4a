"""What parameters and Microsoft's words are called on pages."""

import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy

PARAMETER_LABELS: Final[Mapping[str, Any]] = {
    "isolation_type": gettext_lazy("Isolation type"),
    "scan_type": gettext_lazy("Scan type"),
    "sha1": gettext_lazy("SHA-1"),
    "path": gettext_lazy("Path"),
    "process_id": gettext_lazy("Process id"),
    "process_name": gettext_lazy("Process name"),
    "task_name": gettext_lazy("Scheduled task"),
    "messages": gettext_lazy("Messages"),
    "url": gettext_lazy("Web address"),
    "mailbox": gettext_lazy("Mailbox"),
    "former": gettext_lazy("Former setting"),
    "indicator_type": gettext_lazy("Kind of indicator"),
    "value": gettext_lazy("Value"),
    "days": gettext_lazy("Days"),
    "alert_id": gettext_lazy("Alert id"),
    "classification": gettext_lazy("Classification"),
    "determination": gettext_lazy("Determination"),
    "category": gettext_lazy("Category"),
    "devices": gettext_lazy("Devices"),
    "investigation": gettext_lazy("Investigation id"),
}


_SPELLED: Final = {"sha1": "SHA-1", "sha256": "SHA-256", "md5": "MD5", "ip": "IP", "url": "URL", "smtp": "SMTP"}


def in_words(name: str) -> str:
    """Return a field's name as words: Microsoft's own, taken apart at its capitals."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower().split()
    text = " ".join(_SPELLED.get(word, word) for word in words)
    return text[:1].upper() + text[1:]
