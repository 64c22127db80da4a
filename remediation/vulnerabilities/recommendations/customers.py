"""Which customers are exposed: one answer over all tenants in scope."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from remediation.vulnerabilities.models import Exposure, Recommendation, VulnerabilitySync
from remediation.vulnerabilities.recommendations.payloads import is_cve


@dataclass(frozen=True, slots=True)
class ExposedCustomer:
    """One tenant's count: of the recommendations that were asked for, and of the devices exposed to any of them.

    `exposed_since` is when Quell first saw the oldest of these recommendations there.
    """

    tenant_id: UUID
    tenant_name: str
    recommendations: int
    exposed_devices: int
    exposed_since: datetime
    is_known_exploited: bool


def listed() -> "QuerySet[Recommendation]":
    """Return the recommendations that Microsoft lists now."""
    return Recommendation.objects.filter(disappeared_at=None)


def about(*, cve: str = "", product: str = "", vendor: str = "") -> Q:
    """Return the condition of being about a CVE, and a part of a product's and of a vendor's name, in any case."""
    asked = Q()
    if cve:
        asked &= Q(cve_ids__contains=[cve.strip().upper()])
    if product:
        asked &= Q(product_name__icontains=product) | Q(related_component__icontains=product)
    return asked & Q(vendor__icontains=vendor) if vendor else asked


def cve_trouble(cve: str) -> str:
    """Return why nothing can be found by this CVE, "" where something may: a slip must not read as nobody exposed."""
    if not cve.strip() or is_cve(cve.strip().upper()):
        return ""
    return _("What was typed is no CVE; write it whole, as in CVE-2024-11477.")


def never_read() -> list[Tenant]:
    """Return the tenants in scope whose recommendations were never read to the end: nothing is known of them."""
    read = VulnerabilitySync.objects.filter(read_at__isnull=False)
    tenants = Tenant.objects.filter(is_active=True).exclude(pk=PROVIDER_TENANT_ID)
    return list(tenants.exclude(pk__in=read.values("tenant_id")).order_by("name", "pk"))


def exposed_customers(asked: Q) -> list[ExposedCustomer]:
    """Return the tenants in scope that are exposed to it, most devices first; a device counts once a tenant.

    Where the devices of a recommendation have not been read yet, Microsoft's own count of them is the least there is. A
    tenant that is switched off, of which nothing is read any more, is left out.
    """
    found = listed().filter(asked, tenant__is_active=True)
    tenants = found.values("tenant_id", "tenant__name").annotate(
        recommendations=Count("id"),
        exploited=BoolOr("is_known_exploited"),
        since=Min("first_seen_at"),
        unread=Max("exposed_count", filter=Q(exposures_read_at=None), default=0),
    )
    # By the tenant too: the index begins with it, and without it all exposures in scope would be read.
    of_them = found.filter(pk=OuterRef("recommendation"), tenant=OuterRef("tenant"))
    exposures = Exposure.objects.filter(Exists(of_them)).values("tenant_id")
    devices = dict(exposures.annotate(devices=Count("device_id", distinct=True)).values_list("tenant_id", "devices"))
    customers = [
        ExposedCustomer(
            tenant_id=row["tenant_id"],
            tenant_name=row["tenant__name"],
            recommendations=row["recommendations"],
            exposed_devices=max(row["unread"], devices.get(row["tenant_id"], 0)),
            exposed_since=row["since"],
            is_known_exploited=bool(row["exploited"]),
        )
        for row in tenants
    ]
    exposed = [customer for customer in customers if customer.exposed_devices]
    return sorted(exposed, key=lambda customer: (-customer.exposed_devices, customer.tenant_name))
