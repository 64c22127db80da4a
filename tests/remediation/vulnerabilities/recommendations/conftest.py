"""Acme connected to the simulator, with recommendations there; reading them is what a worker does."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from connectors.clouds import ADDRESSES
from connectors.models import Connection
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import Exposure, ExposureDay, Recommendation, VulnerabilitySync
from remediation.vulnerabilities.recommendations.syncing import sync_recommendations
from tests.remediation.actions.conftest import Vendor, connected, vendor, vendor_process

__all__ = ["connected", "vendor", "vendor_process"]

ZIP = "va-_-7-zip-_-7-zip"
EDGE = "va-_-microsoft-_-edge"
TEAMS = "va-_-microsoft-_-teams"


def machine(number: int) -> str:
    """The id of a machine, by number."""
    return f"{number:040x}"


def weak(recommendation_id: str, machines: Sequence[int], **fields: Any) -> dict[str, Any]:
    """A recommendation as the simulator is seeded with it."""
    return {
        "id": recommendation_id,
        "recommendationName": f"Update {recommendation_id.rpartition('-_-')[2]}",
        "exposed": [machine(number) for number in machines],
        "cves": ["CVE-2024-11477"],
        **fields,
    }


def seed(vendor: Vendor, tenant: Tenant, *recommendations: dict[str, Any], machines: int = 6) -> None:
    """Give the tenant machines and these recommendations there."""
    listed = [{"id": machine(number), "computerDnsName": f"pc-{number}"} for number in range(machines)]
    vendor.seed(tenant, machines=listed)
    vendor.seed(tenant, recommendations=list(recommendations))


def change(vendor: Vendor, tenant: Tenant, verb: str, recommendation_id: str, machines: Sequence[int]) -> None:
    """Let machines be fixed or exposed there."""
    body = {"recommendation": recommendation_id, "machines": [machine(number) for number in machines]}
    path = f"/_simulator/tenants/{tenant.entra_tenant_id}/{verb}"
    vendor.admin.post(path, json=body).raise_for_status()


def sync(tenant: Tenant) -> bool:
    """Let the next sync be due and do it."""
    with acting_for(tenant.id):
        VulnerabilitySync.objects.update(next_sync_at=Now())
    return sync_recommendations(tenant.id)


def sync_row(tenant: Tenant) -> VulnerabilitySync:
    """How the last sync went."""
    with acting_for(tenant.id):
        return VulnerabilitySync.objects.get()


def exposed(tenant: Tenant, recommendation_id: str = ZIP) -> set[str]:
    """The ids of the machines that are exposed, as we know it."""
    with acting_for(tenant.id):
        rows = Exposure.objects.filter(recommendation__recommendation_id=recommendation_id)
        return set(rows.values_list("device__machine_id", flat=True))


def recommendation(tenant: Tenant, recommendation_id: str = ZIP) -> Recommendation:
    """A recommendation as it is now."""
    with acting_for(tenant.id):
        return Recommendation.objects.get(recommendation_id=recommendation_id)


def connect(tenant: Tenant, vendor: Vendor) -> None:
    """Connect another tenant to the simulator."""
    with acting_for(tenant.id):
        Connection.objects.create(tenant=tenant, **dict.fromkeys(ADDRESSES, vendor.url))


def counted_days(tenant: Tenant) -> list[tuple[int, int]]:
    """The exposed and all devices of each day that was counted."""
    with acting_for(tenant.id):
        return list(ExposureDay.objects.order_by("day").values_list("exposed_count", "total_count"))


@pytest.fixture(autouse=True)
def hourly(settings: Settings) -> None:
    """Read once an hour."""
    settings.VULNERABILITY_SYNC_SECONDS = 3600.0
