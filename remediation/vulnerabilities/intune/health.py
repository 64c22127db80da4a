"""What readings of Intune say about its connection, as one of its named states; the one place where it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.protocol import ConnectorError, NotSent, OutcomeUnknown, Refused
from connectors.storable import as_storable
from connectors.vulnerability_protocol import IntuneState
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import IntuneConnection
from remediation.vulnerabilities.states import IntuneHealth

_NOTHING_WAITS: Final = gettext_lazy(
    "Security tasks and managed devices are read, and tickets are made; the tie between Intune and Defender itself is "
    "not whole, so what Microsoft sends over it may not arrive."
)
CONSEQUENCES: Final[Mapping[IntuneHealth, Promise]] = {
    IntuneHealth.UNTRIED: gettext_lazy("Nothing was read yet; the next sync reads."),
    IntuneHealth.ENABLED: gettext_lazy("Everything goes on."),
    IntuneHealth.AVAILABLE: _NOTHING_WAITS,
    IntuneHealth.UNAVAILABLE: _NOTHING_WAITS,
    IntuneHealth.UNRESPONSIVE: _NOTHING_WAITS,
    IntuneHealth.PERMISSIONS_MISSING: gettext_lazy(
        "What needs the missing permission does not work: what was read before stays, and tickets fail and say so."
    ),
    IntuneHealth.REFUSED: gettext_lazy("What was refused is not read; what was read before stays."),
    IntuneHealth.UNREACHABLE: gettext_lazy(
        "Nothing is read and tickets wait. All of it goes on by itself once Microsoft answers."
    ),
}
"""What stops in each state and what goes on."""

ADVICE: Final[Mapping[IntuneHealth, Promise]] = {
    IntuneHealth.AVAILABLE: gettext_lazy(
        "In the Intune admin center, open Endpoint security > Microsoft Defender for Endpoint, and connect Windows "
        "devices."
    ),
    IntuneHealth.UNAVAILABLE: gettext_lazy(
        "Turn on “Microsoft Intune connection” in the Defender portal under Settings > Endpoints > Advanced features, "
        "and check that the tenant has an Intune licence."
    ),
    IntuneHealth.UNRESPONSIVE: gettext_lazy(
        "Defender has not been heard of in Intune for a while. Turn “Microsoft Intune connection” off and on again in "
        "the Defender portal under Settings > Endpoints > Advanced features."
    ),
    IntuneHealth.PERMISSIONS_MISSING: gettext_lazy(
        "Add the missing permission to the app registration, then have an admin of the tenant consent again."
    ),
    IntuneHealth.REFUSED: gettext_lazy(
        "Read Microsoft's words; if they do not help, ask Microsoft's support with them."
    ),
    IntuneHealth.UNREACHABLE: gettext_lazy("Wait, and look at the tenant's connection to Microsoft."),
}
"""What to do about each state."""

_BY_PARTNER_STATE: Final = {
    "enabled": IntuneHealth.ENABLED,
    "available": IntuneHealth.AVAILABLE,
    "unavailable": IntuneHealth.UNAVAILABLE,
    "unresponsive": IntuneHealth.UNRESPONSIVE,
}
_GRAVEST_FIRST: Final = (IntuneHealth.PERMISSIONS_MISSING, IntuneHealth.REFUSED, IntuneHealth.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reading that failed: with which permission it is allowed, and why it was not."""

    permission: str
    error: ConnectorError

    @property
    def health(self) -> IntuneHealth:
        """The state that it puts the connection into."""
        if isinstance(self.error, NotSent | OutcomeUnknown):
            return IntuneHealth.UNREACHABLE
        is_forbidden = isinstance(self.error, Refused) and (self.error.status == 403 or self.error.code == "NoRoles")
        return IntuneHealth.PERMISSIONS_MISSING if is_forbidden else IntuneHealth.REFUSED

    @property
    def words(self) -> str:
        """What it says, with the missing permission where that is the reason."""
        if self.health == IntuneHealth.PERMISSIONS_MISSING:
            return _("Missing: %(permission)s. %(error)s") % {"permission": self.permission, "error": self.error}
        return str(self.error)


def note_readings(
    tenant_id: UUID, state: IntuneState | None, troubles: Sequence[Trouble], remarks: Sequence[str] = ()
) -> None:
    """Write down how Intune was found; `state` is None where it could not be read. Opens its own scope."""
    found = {trouble.health for trouble in troubles}
    health = next((each for each in _GRAVEST_FIRST if each in found), _health_of(state))
    words = [*dict.fromkeys(trouble.words for trouble in troubles), *remarks]
    changes = {"partner_state": as_storable(state.partner_state), "heartbeat_at": state.heartbeat_at} if state else {}
    _write(tenant_id, health=health, health_detail="\n".join(words), **changes)


def note_no_connection(tenant_id: UUID, trouble: str) -> None:
    """Write down that the tenant's connection to Microsoft cannot be used. Opens its own scope."""
    words = trouble or _("The tenant has no connection to Microsoft that is switched on; set one up under Connections.")
    _write(tenant_id, health=IntuneHealth.UNREACHABLE, health_detail=words)


def _health_of(state: IntuneState | None) -> IntuneHealth:
    return (
        _BY_PARTNER_STATE.get(state.partner_state.lower(), IntuneHealth.UNAVAILABLE) if state else IntuneHealth.UNTRIED
    )


def _write(tenant_id: UUID, **changes: object) -> None:
    with acting_for(tenant_id):
        IntuneConnection.objects.filter(is_on=True).update(health_at=Now(), **changes)
