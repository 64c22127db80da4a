"""Graph records for tests: plain functions that build one piece each, and `store()` to take alerts in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from investigations.payloads import AlertPayload, read_alert
from investigations.storing import Stored, store_alerts
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for

GRAPH = "#microsoft.graph.security."
START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def machine(number: int) -> str:
    """The Defender id of machine `number`."""
    return f"{number:040x}"


def device(number: int, **fields: Any) -> dict[str, Any]:
    """A device that is no threat itself."""
    piece = {
        "@odata.type": f"{GRAPH}deviceEvidence",
        "verdict": "noThreatsFound",
        "remediationStatus": "none",
        "mdeDeviceId": machine(number),
        "deviceDnsName": f"pc-{number}.acme.example",
        "osPlatform": "Windows11",
    }
    return piece | fields


def file(number: int, digest: str = "a", **fields: Any) -> dict[str, Any]:
    """A malicious file on machine `number`; `digest` is what its SHA-1 repeats."""
    details = {"fileName": "bad.exe", "filePath": "D:\\Data", "sha1": (digest * 40)[:40]}
    piece = {
        "@odata.type": f"{GRAPH}fileEvidence",
        "verdict": "malicious",
        "remediationStatus": "none",
        "mdeDeviceId": machine(number),
        "fileDetails": details,
    }
    return piece | fields


def message(recipient: str = "eve@acme.example") -> dict[str, Any]:
    """A malicious mail."""
    return {
        "@odata.type": f"{GRAPH}analyzedMessageEvidence",
        "verdict": "malicious",
        "remediationStatus": "none",
        "networkMessageId": "4c2a1b70-9a0e-4b7e-11aa-08de2b1c9f01",
        "recipientEmailAddress": recipient,
    }


def alert(tenant: Tenant, number: int, *evidence: dict[str, Any], minutes: float = 0, **fields: Any) -> dict[str, Any]:
    """Alert `number` of the tenant, last updated so many minutes after START."""
    record = {
        "id": f"da{number}",
        "tenantId": str(tenant.entra_tenant_id),
        "title": f"Alert {number}",
        "lastUpdateDateTime": (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z"),
        "evidence": list(evidence),
    }
    return record | fields


def read(tenant: Tenant, *records: dict[str, Any]) -> list[AlertPayload]:
    """Read alerts as an intake does."""
    return [read_alert(record, entra_tenant_id=str(tenant.entra_tenant_id)) for record in records]


def store(tenant: Tenant, *records: dict[str, Any]) -> Stored:
    """Store alerts in one batch and a scope of its own."""
    with acting_for(tenant.id):
        return store_alerts(tenant.id, read(tenant, *records))
