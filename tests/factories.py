"""Rows for tests, made in a scope of their own: plain functions with telling defaults, no more than tests need."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from uuid_utils.compat import uuid4

from investigations.groups import ensure_default_group
from investigations.models import Alert, Device, DeviceGroup, Evidence, Investigation
from investigations.states import AutomationLevel, EvidenceKind, EvidenceOutcome, Verdict
from portal.access.keys import issue_key
from portal.access.models import TenantMembership, User
from portal.access.roles import Role
from portal.audit.recording import SYSTEM, ActorStamp
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.models import RemediationAction
from remediation.actions.proposing import Proposal, propose
from remediation.actions.states import Source
from remediation.vulnerabilities.models import Exposure, IntuneConnection, Recommendation


def make_group(tenant: Tenant, name: str = "Servers", **fields: Any) -> DeviceGroup:
    """Create a device group without rules, at Full and after the tenant's other groups unless told otherwise."""
    with acting_for(tenant.id):
        rank = DeviceGroup.objects.filter(tenant=tenant, is_default=False).count() + 1
        values = {"rank": rank, "automation_level": AutomationLevel.FULL} | fields
        return DeviceGroup.objects.create(tenant=tenant, name=name, **values)


def default_group(tenant: Tenant) -> DeviceGroup:
    """Return the tenant's default group, made if it has none: at Semi, all folders."""
    with acting_for(tenant.id):
        return ensure_default_group(tenant.id)


def make_device(tenant: Tenant, name: str = "pc-1", *, group: DeviceGroup | None = None, **fields: Any) -> Device:
    """Create a device, in the default group unless told otherwise."""
    group = group or default_group(tenant)
    machine_id = fields.pop("machine_id", (uuid4().hex + uuid4().hex)[:40])
    with acting_for(tenant.id):
        return Device.objects.create(tenant=tenant, name=name, machine_id=machine_id, group=group, **fields)


def make_investigation(tenant: Tenant, title: str = "Malware on a laptop", **fields: Any) -> Investigation:
    """Create an investigation."""
    with acting_for(tenant.id):
        return Investigation.objects.create(tenant=tenant, title=title, **fields)


def make_alert(tenant: Tenant, investigation: Investigation, **fields: Any) -> Alert:
    """Create an alert of an investigation."""
    values = {
        "alert_id": f"da{uuid4().hex}",
        "title": "Malware was seen",
        "severity": "high",
        "updated_at_source": timezone.now(),
        "raw": {"id": "as received"},
    }
    with acting_for(tenant.id):
        return Alert.objects.create(tenant=tenant, investigation=investigation, **(values | fields))


def make_evidence(alert: Alert, device: Device | None = None, **fields: Any) -> Evidence:
    """Create a malicious file found by an alert, already decided as pending."""
    values = {
        "kind": EvidenceKind.FILE,
        "entity_key": uuid4().hex,
        "label": "bad.exe",
        "verdict": Verdict.MALICIOUS,
        "sha1": "a" * 40,
        "raw": {"fileDetails": {}},
        "outcome": EvidenceOutcome.PENDING,
        "reason": "Because.",
    }
    with acting_for(alert.tenant_id):
        return Evidence.objects.create(
            tenant_id=alert.tenant_id,
            alert=alert,
            investigation_id=alert.investigation_id,
            device=device,
            **(values | fields),
        )


def make_pending_action(
    tenant: Tenant,
    device: Device | None,
    *,
    type_name: str = "isolate_device",
    requested_by: User | None = None,
    **fields: Any,
) -> RemediationAction:
    """Create an action on a device that waits for approval: one of automation's, or of the person who asked for it."""
    parameters = fields.pop("parameters", {"isolation_type": "Full"} if type_name == "isolate_device" else {})
    proposal = Proposal(
        tenant_id=tenant.id,
        type=type_name,
        source=Source.MANUAL_DEVICE if requested_by else Source.AUTOMATED_DEVICE,
        target=str(device),
        parameters=parameters,
        reason="It looks bad.",
        is_approved=False,
        device=device,
        requested_by_id=requested_by.pk if requested_by else None,
        **fields,
    )
    actor = ActorStamp(requested_by.pk, requested_by.email) if requested_by else SYSTEM
    with acting_for(tenant.id):
        actions, _born = propose(tenant.id, [proposal], actor=actor)
    return actions[proposal.sha256]


def make_key(tenant: Tenant, role: Role) -> str:
    """Create a service account with a role and return the text of an API key for it."""
    account = User.objects.create_user(f"{role}-robot@{tenant.slug}.example", is_service_account=True)
    with acting_for(tenant.id):
        TenantMembership.objects.create(tenant=tenant, user=account, role=role)
    _key, text = issue_key(account, name="robot", lifetime=timedelta(days=30))
    return text


def make_recommendation(tenant: Tenant, *devices: Device, **fields: Any) -> Recommendation:
    """Create a recommendation, to update 7-zip unless told otherwise, that these devices were read to be exposed to."""
    values = {
        "recommendation_id": "va-_-7-zip-_-7-zip",
        "name": "Update 7-zip",
        "product_name": "7-zip",
        "vendor": "7-zip",
        "related_component": "7-zip",
        "category": "Application",
        "remediation_type": "Update",
        "raw": {},
        "exposed_count": len(devices),
        "exposed_after_exceptions": len(devices),
        "exposures_read_at": timezone.now() - timedelta(hours=1),
    }
    with acting_for(tenant.id):
        made = Recommendation.objects.create(tenant=tenant, **(values | fields))
        Exposure.objects.bulk_create(Exposure(tenant=tenant, recommendation=made, device=device) for device in devices)
    return made


def connect_intune(tenant: Tenant, **fields: Any) -> IntuneConnection:
    """Turn the tenant's Intune connection on."""
    with acting_for(tenant.id):
        return IntuneConnection.objects.create(tenant=tenant, **({"is_on": True} | fields))
