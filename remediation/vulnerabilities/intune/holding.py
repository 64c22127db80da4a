"""What holds tickets and moves of tasks back: a freeze over the tenant, and its Intune connection being off.

They wait, say why, and go on by themselves. A freeze of one type of action holds no ticket, which is no action.
"""

from uuid import UUID

from django.utils.translation import gettext as _

from connectors.protocol import NotSent
from portal.tenancy.scope import acting_for
from remediation.catalogue import Route
from remediation.safeguards.freezes import describe_whole, holding_route
from remediation.vulnerabilities.models import IntuneConnection


def why_frozen(tenant_id: UUID) -> str:
    """Say that sending is frozen for what goes to the Intune of the tenant, in scope; "" where it is not."""
    found = holding_route(tenant_id, Route.GRAPH)
    if found is None:
        return ""
    words = _("Sending is frozen (%(what)s). This goes on by itself once the freeze is lifted.")
    return words % {"what": describe_whole(found)}


def why_off() -> str:
    """Say that the Intune connection is off."""
    return _("The Intune connection is off. This goes on by itself once it is switched on again.")


def require_open(tenant_id: UUID) -> None:
    """Ask once more right before the socket: the token may have taken a while. Raises NotSent. Opens its own scope."""
    with acting_for(tenant_id):
        is_on = IntuneConnection.objects.filter(is_on=True, tenant__is_active=True).exists()
        obstacle = why_frozen(tenant_id) if is_on else why_off()
    if obstacle:
        raise NotSent(obstacle, code="Held")
