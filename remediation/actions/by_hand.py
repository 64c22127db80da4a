"""What Microsoft has no API for: a person does it in the tenant's Defender portal, then says so.

Each has the reason why, a link to the page, and the nearest thing that can be asked for here. The pages are those that
Defender's documentation names (Explorer, Submissions). That they take the customer's `tid` is documented for other
pages of the same portal and taken to hold for these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connectors.choosing import find_enabled
from connectors.clouds import Cloud
from investigations.models import Evidence
from investigations.states import EvidenceKind
from remediation.actions.models import RemediationAction
from remediation.actions.states import OPEN_STATES, State
from remediation.catalogue import CATALOGUE, ActionType, Route

PORTALS: Final[Mapping[str, str]] = {
    Cloud.GLOBAL: "https://security.microsoft.com",
    Cloud.GCC: "https://security.microsoft.com",
    Cloud.GCC_HIGH: "https://security.microsoft.us",
    Cloud.DOD: "https://security.apps.mil",
}
"""Defender's portal of each cloud (Defender "US Government customers"); China has none."""


@dataclass(frozen=True, slots=True)
class HandWork:
    """Where a person does it, why they have to, and which type comes nearest, "" for none."""

    path: str
    why: Promise
    nearest: str = ""


HAND_WORK: Final[Mapping[str, HandWork]] = {
    "quarantine_email": HandWork(
        "threatexplorerv3",
        _(
            "Microsoft lists moving a delivered message into quarantine as not supported through its API in most "
            "tenants, so a person does it in Explorer."
        ),
        "soft_delete_email",
    ),
    "quarantine_attachment": HandWork(
        "threatexplorerv3",
        _("Microsoft has no API that takes an attachment alone into quarantine, so a person does it in Explorer."),
        "block_indicator",
    ),
    "submit_file": HandWork(
        "reportsubmission",
        _("Microsoft wants the file itself, which Quell never holds, so a person hands it in under Submissions."),
    ),
}


WAITS_FOR_HANDS: Final = Q(type__in=sorted(HAND_WORK), state=State.ACCEPTED, next_check_at=None)
"""Actions that `waits_for_hands` is true of."""


def waits_for_hands(action: RemediationAction) -> bool:
    """Return whether a person has to do it in the Defender portal and say so here: nobody else will ever look it up."""
    return action.type in HAND_WORK and action.state == State.ACCEPTED and action.next_check_at is None


def was_handed_over(action: RemediationAction) -> bool:
    """Return whether the action went to a person and not to Microsoft, whatever has come of it since."""
    return action.type in HAND_WORK and bool(action.accepted_at) and not (action.remote_id or action.next_check_at)


def is_hand_work(kind: ActionType, capabilities: frozenset[str]) -> bool:
    """Return whether an action of this type is done by hand in a tenant whose connection has these capabilities."""
    return kind.route is Route.PORTAL_LINK or bool(kind.needs_capability and kind.needs_capability not in capabilities)


def find_hand_work(action: RemediationAction) -> HandWork | None:
    """Return how the action is done by hand, None where Microsoft's API does it or it is over.

    Its connection must be in scope.
    """
    work = HAND_WORK.get(action.type) if action.state in OPEN_STATES else None
    if work is None or waits_for_hands(action) or action.kind.route is Route.PORTAL_LINK:
        return work
    connection = find_enabled(action.tenant_id)
    capabilities = frozenset(connection.capabilities) if connection else frozenset()
    return work if is_hand_work(action.kind, capabilities) and not action.remote_id else None


def portal_url(action: RemediationAction, work: HandWork) -> str:
    """Return the page of the customer's own Defender portal, "" where its cloud has none."""
    connection = find_enabled(action.tenant_id)
    portal = PORTALS.get(connection.cloud if connection else Cloud.GLOBAL, "")
    return f"{portal}/{work.path}?tid={action.tenant.entra_tenant_id}" if portal else ""


def nearest_parameters(action: RemediationAction, work: HandWork) -> dict[str, Any]:
    """Return what the nearest type would be asked for with, as far as it is known."""
    if work.nearest == "block_indicator":
        return _hash_of_attachment(action)
    wanted = {parameter.name for parameter in CATALOGUE[work.nearest].parameters} if work.nearest else set()
    return {name: value for name, value in action.parameters.items() if name in wanted}


def _hash_of_attachment(action: RemediationAction) -> dict[str, Any]:
    """Return the file that the alerts behind the action name, if it is one alone."""
    alerts = Evidence.objects.filter(action_links__action=action).values("alert_id")
    files = Evidence.objects.filter(alert_id__in=alerts, kind=EvidenceKind.FILE).exclude(sha256="", sha1="")
    found = set(files.values_list("sha256", "sha1")[:2])
    if len(found) != 1:
        return {"indicator_type": "FileSha256"}
    sha256, sha1 = found.pop()
    return (
        {"indicator_type": "FileSha256", "value": sha256} if sha256 else {"indicator_type": "FileSha1", "value": sha1}
    )
