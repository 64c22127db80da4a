"""The role table: five roles, each with all the capabilities of the one before it."""

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
    DECIDE_ACTION = "response (manage)"
    MANAGE_DEVICE_GROUPS = "authorization (manage)"
    MANAGE_CONNECTIONS = "core security settings (manage)"
    MANAGE_MEMBERS = "members (manage)"
    MANAGE_TENANTS = "tenants (manage)"


class Role(TextChoices):
    """The roles a membership can give."""

    READER = "reader", _("Reader")
    ANALYST = "analyst", _("Analyst")
    APPROVER = "approver", _("Approver")
    TENANT_ADMIN = "tenant_admin", _("Tenant admin")
    PROVIDER_ADMIN = "provider_admin", _("Provider admin")


_READER = frozenset({Capability.READ})
_ANALYST = _READER | {Capability.REQUEST_ACTION, Capability.WORK_ON_INVESTIGATIONS}
_APPROVER = _ANALYST | {Capability.DECIDE_ACTION}
_TENANT_ADMIN = _APPROVER | {
    Capability.MANAGE_DEVICE_GROUPS,
    Capability.MANAGE_CONNECTIONS,
    Capability.MANAGE_MEMBERS,
}

CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.READER: _READER,
    Role.ANALYST: _ANALYST,
    Role.APPROVER: _APPROVER,
    Role.TENANT_ADMIN: _TENANT_ADMIN,
    Role.PROVIDER_ADMIN: _TENANT_ADMIN | {Capability.MANAGE_TENANTS},
}

NEVER_BY_KEY = frozenset({Capability.DECIDE_ACTION, Capability.MANAGE_MEMBERS, Capability.MANAGE_TENANTS})
"""What no API key may do, whatever its role: a key can request, a person decides."""


def roles_with(capability: Capability) -> list[str]:
    """Return the names of the roles that hold the capability, for queries."""
    return sorted(role.value for role, capabilities in CAPABILITIES.items() if capability in capabilities)
