"""Pages of the ground floors: tenants, people, memberships, keys and the audit."""

from portal.access.admin.history import AuditEventAdmin
from portal.access.admin.keys import ApiKeyAdmin, ServiceAccountAdmin
from portal.access.admin.people import ProviderMembershipAdmin, TenantMembershipAdmin, UserAdmin
from portal.access.admin.tenants import TenantAdmin, TenantGroupAdmin

__all__ = [
    "ApiKeyAdmin",
    "AuditEventAdmin",
    "ProviderMembershipAdmin",
    "ServiceAccountAdmin",
    "TenantAdmin",
    "TenantGroupAdmin",
    "TenantMembershipAdmin",
    "UserAdmin",
]
