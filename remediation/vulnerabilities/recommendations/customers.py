"""Which customers are exposed: one answer over all tenants in scope."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, Q, QuerySet

from remediation.vulnerabilities.models import Exposure, Recommendation


@dataclass(frozen=True, slots=True)
class ExposedCustomer:
    """One tenant's count: of the recommendations that were asked for, and of the devices exposed to any of them."""

    tenant_id: UUID
    tenant_name: str
    recommendations: int
    exposed_devices: int
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


def exposed_customers(asked: Q) -> list[ExposedCustomer]:
    """Return the tenants in scope with such a recommendation, most devices first; a device counts once a tenant."""
    found = listed().filter(asked)
    tenants = found.values("tenant_id", "tenant__name").annotate(
        recommendations=Count("id"), exploited=BoolOr("is_known_exploited")
    )
    exposures = Exposure.objects.filter(recommendation__in=found).values("tenant_id")
    devices = dict(exposures.annotate(devices=Count("device_id", distinct=True)).values_list("tenant_id", "devices"))
    customers = [
        ExposedCustomer(
            tenant_id=row["tenant_id"],
            tenant_name=row["tenant__name"],
            recommendations=row["recommendations"],
            exposed_devices=devices.get(row["tenant_id"], 0),
            is_known_exploited=bool(row["exploited"]),
        )
        for row in tenants
    ]
    return sorted(customers, key=lambda customer: (-customer.exposed_devices, customer.tenant_name))
