"""What an action's page says where a person has to do it in the Defender portal."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.functional import Promise

from remediation.actions.by_hand import find_hand_work, portal_url, waits_for_hands
from remediation.actions.models import RemediationAction
from remediation.catalogue import CATALOGUE


@dataclass(frozen=True, slots=True)
class HandWorkShown:
    """Why there is no API for it, the portal's page while it waits for a person, and what comes nearest."""

    why: Promise
    portal_url: str
    nearest: str
    nearest_url: str


def show_hand_work(row: RemediationAction) -> HandWorkShown | None:
    """Return what to say about doing it by hand, None where Microsoft's API does it or it is over."""
    work = find_hand_work(row)
    if work is None:
        return None
    nearest: Any = CATALOGUE[work.nearest].label if work.nearest else ""
    query = urlencode({"like": row.pk, "type": work.nearest})
    return HandWorkShown(
        why=work.why,
        portal_url=portal_url(row, work) if waits_for_hands(row) else "",
        nearest=str(nearest),
        nearest_url=f"{reverse('admin:actions_ask')}?{query}" if work.nearest else "",
    )
