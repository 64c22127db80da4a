"""Start-up checks of the times an action lives by; a process with times that would double actions does not start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_times(**_: Any) -> list[CheckMessage]:
    """Require lease ≥ 4 × deadline and quiet period ≥ deadline (all in seconds)."""
    found: list[CheckMessage] = []
    if settings.ACTION_LEASE_SECONDS < 4 * settings.ACTION_DEADLINE_SECONDS:
        found.append(
            Error(
                "ACTION_LEASE_SECONDS must be at least four times ACTION_DEADLINE_SECONDS.",
                hint="A lease that ends while a call is under way would let the action be taken for lost.",
                id="actions.E001",
            )
        )
    if settings.ACTION_QUIET_SECONDS < settings.ACTION_DEADLINE_SECONDS:
        found.append(
            Error(
                "ACTION_QUIET_SECONDS must be at least ACTION_DEADLINE_SECONDS.",
                hint="Looking before the vendor can show what it accepted would send the action twice.",
                id="actions.E002",
            )
        )
    return found
