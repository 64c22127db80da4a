"""Actor: somebody who asks for something, with what they may do for each tenant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _

from portal.access.exceptions import Forbidden
from portal.access.models import User
from portal.access.roles import CAPABILITIES, NEVER_BY_KEY, Capability, Role
from portal.audit.recording import ActorStamp


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or service account for the length of one request. An empty `capabilities` means: may nothing."""

    id: UUID
    label: str
    capabilities: Mapping[UUID, frozenset[Capability]] = field(default_factory=dict)

    @property
    def stamp(self) -> ActorStamp:
        """Return how history names this actor."""
        return ActorStamp(self.id, self.label)

    def may(self, capability: Capability, tenant_id: UUID) -> bool:
        """Return whether the actor holds the capability for the tenant."""
        return capability in self.capabilities.get(tenant_id, frozenset())

    def may_anywhere(self, capability: Capability) -> bool:
        """Return whether the actor holds the capability for at least one tenant."""
        return any(capability in held for held in self.capabilities.values())

    def require(self, capability: Capability, tenant_id: UUID) -> None:
        """Raise Forbidden unless the actor holds the capability for the tenant."""
        if not self.may(capability, tenant_id):
            raise Forbidden(
                _("You may not do this for this tenant: it needs the permission “%(permission)s”.")
                % {"permission": capability.value}
            )


def actor_for(user: User, *, by_key: bool) -> Actor:
    """Read the user's memberships, over all tenants, and return what they add up to; nothing for a disabled user."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, role FROM roles_of_person(%s)", [user.pk])
        rows = cursor.fetchall()
    capabilities: dict[UUID, frozenset[Capability]] = {}
    for tenant_id, role in rows:
        held = CAPABILITIES[Role(role)] - (NEVER_BY_KEY if by_key else frozenset())
        capabilities[tenant_id] = capabilities.get(tenant_id, frozenset()) | held
    return Actor(user.pk, user.email, capabilities)
