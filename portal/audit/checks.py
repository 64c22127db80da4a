"""The start-up check of sealing: outside development it has to be said where seals go and what signs them."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_sealing(**_: Any) -> list[CheckMessage]:
    """Require both files to be named; whether they can be used shows where sealing is done, on the workers' machine."""
    missing = [name for name in ("AUDIT_SEAL_FILE", "AUDIT_SEALING_KEY_FILE") if not getattr(settings, name)]
    return [Error(f"Set the environment variable {name}; see docs/operators.md.", id="audit.E001") for name in missing]
