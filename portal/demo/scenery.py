"""Builds alerts, evidence and mails shaped as Microsoft Graph sends them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from portal.demo.companies import Company

Json = dict[str, Any]

SYSTEM32: Final = r"C:\Windows\System32"
DOWNLOADS: Final = r"C:\Users\m.olsen\Downloads"
TEMP: Final = r"C:\Users\m.olsen\AppData\Local\Temp"
DATA: Final = r"D:\Data\Shared"

_NAMESPACE: Final = "#microsoft.graph.security."


def moment(at: datetime) -> str:
    """Return a time as Graph writes it: UTC, seven digits of a second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def alert(
    company: Company,
    alert_id: str,
    title: str,
    evidence: Sequence[Json],
    *,
    severity: str = "high",
    category: str = "Malware",
    ago: timedelta = timedelta(),
    source: str = "microsoftDefenderForEndpoint",
) -> Json:
    """Return one alert of a company, seen so long ago."""
    seen = moment(datetime.now(UTC) - ago)
    return {
        "@odata.type": f"{_NAMESPACE}alert",
        "id": alert_id,
        "providerAlertId": alert_id,
        "incidentId": str(int(_digest(alert_id)[:6], 16) % 90_000 + 10_000),
        "status": "new",
        "severity": severity,
        "classification": "unknown",
        "determination": "unknown",
        "serviceSource": source,
        "tenantId": str(company.entra_tenant_id),
        "title": title,
        "description": f"{title}.",
        "recommendedActions": "Collect artifacts and determine scope",
        "category": category,
        "createdDateTime": seen,
        "lastUpdateDateTime": seen,
        "resolvedDateTime": None,
        "firstActivityDateTime": seen,
        "lastActivityDateTime": seen,
        "evidence": list(evidence),
    }


def file_evidence(
    machine: Mapping[str, Any],
    folder: str,
    name: str,
    *,
    content: str,
    verdict: str = "malicious",
    status: str = "none",
    signer: str | None = None,
) -> Json:
    """Return a file on a machine. `content` stands for what is in it: the same content has the same hashes."""
    return {
        **_piece("fileEvidence", verdict, status),
        "detectionStatus": "detected",
        "mdeDeviceId": machine["id"],
        "fileDetails": {**_details(folder, name, content), "filePublisher": signer, "signer": signer},
    }


def process_evidence(
    machine: Mapping[str, Any], folder: str, name: str, *, content: str, verdict: str = "suspicious"
) -> Json:
    """Return a running process on a machine."""
    return {
        **_piece("processEvidence", verdict),
        "detectionStatus": "detected",
        "mdeDeviceId": machine["id"],
        "processId": 4000 + int(_digest(name)[:3], 16),
        "parentProcessId": 668,
        "processCommandLine": f'"{name}" -nop -w hidden',
        "processCreationDateTime": moment(datetime(2026, 1, 5, 8, tzinfo=UTC)),
        "imageFile": _details(folder, name, content),
    }


def device_evidence(machine: Mapping[str, Any], verdict: str = "noThreatsFound") -> Json:
    """Return the device itself."""
    return {
        **_piece("deviceEvidence", verdict),
        "mdeDeviceId": machine["id"],
        "azureAdDeviceId": None,
        "deviceDnsName": machine["computerDnsName"],
        "hostName": machine["computerDnsName"].partition(".")[0],
        "osPlatform": machine["osPlatform"],
        "version": "24H2",
        "healthStatus": "active",
        "riskScore": "high",
        "rbacGroupName": machine["rbacGroupName"],
        "onboardingStatus": "onboarded",
        "defenderAvStatus": "updated",
        "loggedOnUsers": [],
        "roles": ["compromised"],
        "tags": machine["machineTags"],
    }


def message_evidence(message_id: str, recipient: str, subject: str, verdict: str = "malicious") -> Json:
    """Return one mail in one mailbox."""
    return {
        **_piece("analyzedMessageEvidence", verdict),
        "networkMessageId": message_id,
        "internetMessageId": f"<{message_id}@parcel.example>",
        "subject": subject,
        "recipientEmailAddress": recipient,
        "senderIp": "198.51.100.7",
        "p1Sender": {"emailAddress": "bounce@parcel.example", "domainName": "parcel.example"},
        "deliveryAction": "delivered",
        "deliveryLocation": "inbox_folder",
        "threats": ["phish"],
        "urls": ["https://login-check.example/renew"],
        "urlCount": 1,
        "attachmentsCount": 0,
    }


def cluster_evidence(message_ids: Sequence[str], subject: str, sender_domain: str, verdict: str = "malicious") -> Json:
    """Return messages that are alike; as Graph does, it leaves out who received them."""
    return {
        **_piece("mailClusterEvidence", verdict),
        "clusterBy": "Subject;P2SenderDomain;ContentType",
        "clusterByValue": f"{subject};{sender_domain};1",
        "emailCount": len(message_ids),
        "networkMessageIds": list(message_ids),
        "query": f'( ((Subject:"{subject}") AND (P2SenderDomain:"{sender_domain}") AND (ContentType: 1)))',
        "urn": f"urn:MailClusterEntity:{_digest(subject + sender_domain)[:32]}",
    }


def mailbox_evidence(address: str, verdict: str = "suspicious") -> Json:
    """Return a mailbox."""
    name, _, domain = address.partition("@")
    account = user_evidence(name, domain)["userAccount"]
    return {
        **_piece("mailboxEvidence", verdict),
        "displayName": name,
        "primaryAddress": address,
        "upn": address,
        "userAccount": account,
    }


def url_evidence(url: str, verdict: str = "malicious") -> Json:
    """Return an address on the web."""
    return {**_piece("urlEvidence", verdict), "url": url}


def user_evidence(name: str, domain: str, verdict: str = "suspicious") -> Json:
    """Return somebody's account."""
    account = {"accountName": name, "domainName": domain, "userPrincipalName": f"{name}@{domain}", "displayName": name}
    return {**_piece("userEvidence", verdict), "userAccount": account}


def email(message_id: str, recipient: str, subject: str) -> Json:
    """Return a delivered mail for the simulator."""
    return {"networkMessageId": message_id, "recipientEmailAddress": recipient, "subject": subject}


def message_id(name: str) -> str:
    """Return a network message id that is always the same for this name."""
    digest = _digest(name)
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def device_alert_id(name: str) -> str:
    """Return an alert id of Defender for Endpoint's that is always the same for this name."""
    return f"da{_digest(name)[:18]}_1"


def mail_alert_id(name: str) -> str:
    """Return an alert id of Defender for Office's that is always the same for this name."""
    return f"fa{_digest(name)[:18]}"


def sha1_of(content: str) -> str:
    """Return the SHA-1 that evidence gives for this content."""
    return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()


def _piece(kind: str, verdict: str, status: str = "none") -> Json:
    return {
        "@odata.type": f"{_NAMESPACE}{kind}",
        "createdDateTime": moment(datetime.now(UTC)),
        "verdict": verdict,
        "remediationStatus": status,
        "remediationStatusDetails": None,
        "roles": [],
        "detailedRoles": [],
        "tags": [],
    }


def _details(folder: str, name: str, content: str) -> Json:
    return {
        "sha1": sha1_of(content),
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "fileName": name,
        "filePath": folder,
        "fileSize": 48_128 + len(content),
        "filePublisher": None,
        "signer": None,
        "issuer": None,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
