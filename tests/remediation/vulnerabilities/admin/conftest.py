"""Recommendations with exposed devices, and the activities that pages show."""

from datetime import timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from investigations.models import Device
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.vulnerabilities.models import (
    ActivityDevice,
    Recommendation,
    RemediationActivity,
)
from remediation.vulnerabilities.querysets import today
from tests import factories
from tests.factories import default_group, make_device, make_group

CHROME = "va-_-google-_-chrome"
PAGES = "/admin/vulnerabilities/remediationactivity/"


def make_recommendation(tenant: Tenant, *devices: Device, **fields: Any) -> Recommendation:
    """Create a recommendation to update Chrome, with these devices exposed."""
    values = {
        "recommendation_id": CHROME,
        "name": "Update Google Chrome",
        "product_name": "chrome",
        "related_component": "Google Chrome",
        "vendor": "google",
    }
    return factories.make_recommendation(tenant, *devices, **(values | fields))


def make_activity(tenant: Tenant, *devices: Device, **fields: Any) -> RemediationActivity:
    """Create an activity with these devices, all of them exposed still."""
    values: dict[str, Any] = {
        "campaign": uuid7(),
        "title": "Update Google Chrome",
        "related_component": "Google Chrome",
        "option": "software_update",
        "priority": "medium",
        "due_on": today() + timedelta(days=30),
        "requested_by_label": "ada@acme.example",
        "devices_at_start": len(devices),
        "devices_exposed": len(devices),
    }
    with acting_for(tenant.id):
        row = RemediationActivity.objects.create(tenant=tenant, **(values | fields))
        ActivityDevice.objects.bulk_create(ActivityDevice(tenant=tenant, activity=row, device=each) for each in devices)
    return row


def activities_of(tenant: Tenant) -> list[RemediationActivity]:
    """The tenant's activities as they are now."""
    with acting_for(tenant.id):
        return list(RemediationActivity.objects.order_by("pk"))


@pytest.fixture
def chrome(acme: Tenant) -> Recommendation:
    """Chrome, exposed on two servers and a laptop of Acme; only one of them is joined to Entra ID."""
    servers = make_group(acme)
    devices = [make_device(acme, f"srv-{number}", group=servers) for number in (1, 2)]
    laptop = make_device(acme, "lap-1", group=default_group(acme), entra_device_id=str(uuid7()))
    return make_recommendation(acme, *devices, laptop)
