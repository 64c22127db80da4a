"""Actor: somebody who asks for something, with what they may do for each tenant."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from portal.access.exceptions import Forbidden, SecondFactorNeeded
from portal.access.models import ApiKey, User
from portal.access.roles import CAPABILITIES, HELD, KEYS_MAY, OVER_INACTIVE, Capability, Role
from portal.audit.recording import ActorStamp
from portal.tenancy.models import PROVIDER_TENANT_ID


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or service account for the length of one request. An empty `capabilities` means: may nothing.

    `second_factor_at` (UTC) is when the person last showed a second factor in this session; None for API keys.
    `is_key` is whether it is an API key that asks.
    """

    id: UUID
    label: str
    capabilities: Mapping[UUID, frozenset[Capability]] = field(default_factory=dict)
    second_factor_at: datetime | None = None
    is_key: bool = False

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

    @property
    def administers_provider(self) -> bool:
        """Whether the actor is a provider admin over all tenants; one of a tenant group is not."""
        return self.may(Capability.MANAGE_TENANTS, PROVIDER_TENANT_ID)

    def tenants_where(self, capability: Capability) -> list[UUID]:
        """Return the tenants for which the actor holds the capability; the reserved one is none of them."""
        held = self.capabilities.items()
        return sorted(key for key, capabilities in held if capability in capabilities and key != PROVIDER_TENANT_ID)

    def require_provider(self) -> None:
        """Raise Forbidden unless the actor is a provider admin over all tenants."""
        if not self.administers_provider:
            raise Forbidden(_("Only a provider admin over all tenants may do this."))

    def require(self, capability: Capability, tenant_id: UUID) -> None:
        """Raise Forbidden unless the actor holds the capability for the tenant; a key is told what none ever holds."""
        if not self.may(capability, tenant_id):
            if capability not in KEYS_MAY:
                self.require_person()
            raise Forbidden(
                _("You may not do this for this tenant: it needs the permission “%(permission)s”.")
                % {"permission": capability.value}
            )

    def require_person(self) -> None:
        """Raise Forbidden for an API key: it cannot say what only somebody who looked can say."""
        if self.is_key:
            raise Forbidden(_("A person has to do this, signed in; an API key cannot, whatever its role."))

    def within(self, tenant_id: UUID) -> "Actor":
        """Return the same person with what they may do for one tenant alone."""
        held = {key: found for key, found in self.capabilities.items() if key == tenant_id}
        return replace(self, capabilities=held)

    def require_second_factor(self) -> None:
        """Raise SecondFactorNeeded unless the person showed one in the last five minutes, Forbidden for an API key."""
        self.require_person()
        shown = self.second_factor_at
        if shown is None or datetime.now(UTC) - shown > timedelta(seconds=settings.SECOND_FACTOR_SECONDS):
            raise SecondFactorNeeded(
                _("This needs a second factor shown in the last five minutes. Confirm that it is you, then repeat it.")
            )


def actor_for(user: User, *, by_key: bool, second_factor_at: datetime | None = None) -> Actor:
    """Read the user's memberships, over all tenants, and return what they add up to; nothing for a disabled user."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, role FROM roles_of_person(%s)", [user.pk])
        rows = cursor.fetchall()
    capabilities: dict[UUID, frozenset[Capability]] = {}
    for tenant_id, role in rows:
        if by_key and role == OVER_INACTIVE:
            continue
        held = HELD[role] & KEYS_MAY if by_key else HELD[role]
        capabilities[tenant_id] = capabilities.get(tenant_id, frozenset()) | held
    return Actor(user.pk, user.email, capabilities, second_factor_at, is_key=by_key)


def actor_of_key(key: ApiKey) -> Actor:
    """Return what the key's account may by key, within the key's own role and tenants."""
    account = actor_for(key.user, by_key=True)
    ceiling = CAPABILITIES[Role(key.role)] if key.role else KEYS_MAY
    reached = {
        tenant_id: held & ceiling
        for tenant_id, held in account.capabilities.items()
        if key.tenant_ids is None or tenant_id in key.tenant_ids
    }
    return replace(account, capabilities=reached)
