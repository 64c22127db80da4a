"""The role table: five roles, each with all the capabilities of the one before it, and one for emergencies."""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Capability(StrEnum):
    """What a person may do for a tenant, named after Defender's own permissions where it has one.

    Source: Microsoft, "Permissions in Microsoft Defender unified role-based access control".
    """

    READ = "security data basics (read)"
    REQUEST_ACTION = "response (request)"
    WORK_ON_INVESTIGATIONS = "alerts (manage)"
    HANDLE_REMEDIATION = "remediation handling (manage)"
    DECIDE_ACTION = "response (manage)"
    HANDLE_EXCEPTIONS = "exception handling (manage)"
    MANAGE_DEVICE_GROUPS = "authorization (manage)"
    MANAGE_CONNECTIONS = "core security settings (manage)"
    MANAGE_MEMBERS = "members (manage)"
    MANAGE_APPROVAL_POLICY = "approval policy (manage)"
    EXCEPT_WHOLE_TENANT = "exception handling, whole tenant (manage)"
    MANAGE_TENANTS = "tenants (manage)"
    MANAGE_RETENTION = "retention (manage)"
    FREEZE = "freeze (manage)"
    BREAK_GLASS = "break glass (use)"


class Role(TextChoices):
    """The roles a membership can give."""

    READER = "reader", _("Reader")
    ANALYST = "analyst", _("Analyst")
    APPROVER = "approver", _("Approver")
    TENANT_ADMIN = "tenant_admin", _("Tenant admin")
    PROVIDER_ADMIN = "provider_admin", _("Provider admin")
    BREAK_GLASS = "break_glass", _("Break glass")


_READER = frozenset({Capability.READ})
_ANALYST = _READER | {
    Capability.REQUEST_ACTION,
    Capability.WORK_ON_INVESTIGATIONS,
    Capability.HANDLE_REMEDIATION,
}
_APPROVER = _ANALYST | {Capability.DECIDE_ACTION, Capability.HANDLE_EXCEPTIONS}
_TENANT_ADMIN = _APPROVER | {
    Capability.MANAGE_DEVICE_GROUPS,
    Capability.MANAGE_CONNECTIONS,
    Capability.MANAGE_MEMBERS,
    Capability.MANAGE_APPROVAL_POLICY,
    Capability.EXCEPT_WHOLE_TENANT,
}

CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.READER: _READER,
    Role.ANALYST: _ANALYST,
    Role.APPROVER: _APPROVER,
    Role.TENANT_ADMIN: _TENANT_ADMIN,
    Role.PROVIDER_ADMIN: _TENANT_ADMIN
    | {
        Capability.MANAGE_TENANTS,
        Capability.FREEZE,
        Capability.MANAGE_RETENTION,
    },
    Role.BREAK_GLASS: _ANALYST | {Capability.BREAK_GLASS},
}

OVER_INACTIVE = "provider_admin_of_inactive"
"""What roles_of_person() calls a provider admin over all for tenants that are switched off, and for the reserved one.

It is in no membership: only MANAGE_TENANTS for the reserved tenant says that somebody administers the provider.
"""

HELD: dict[str, frozenset[Capability]] = {
    **{role.value: capabilities for role, capabilities in CAPABILITIES.items()},
    OVER_INACTIVE: _READER | {Capability.MANAGE_TENANTS, Capability.FREEZE},
}
"""The capabilities of each role that roles_of_person() names."""

KEYS_MAY = _ANALYST | {Capability.MANAGE_DEVICE_GROUPS, Capability.MANAGE_CONNECTIONS}
"""The most an API key may do, whatever its role: a key can request, a person decides."""

NEEDS_SECOND_FACTOR = frozenset(Capability) - _ANALYST
"""Who holds one of these signs in with a second factor, always."""


def roles_with(capability: Capability) -> list[str]:
    """Return the names of the roles that hold the capability, for queries."""
    return sorted(role.value for role, capabilities in CAPABILITIES.items() if capability in capabilities)
