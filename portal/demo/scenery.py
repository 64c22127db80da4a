"""Builds alerts, evidence and mails shaped as Microsoft Graph sends them, and the scenes the demo opens with."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from investigations.states import AutomationLevel
from portal.demo.companies import KANDA, LUMIERE, NORDFJELL, Company

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
) -> Json:
    """Return a file on a machine. `content` stands for what is in it: the same content has the same hashes."""
    return {
        **_piece("fileEvidence", verdict, status),
        "detectionStatus": "detected",
        "mdeDeviceId": machine["id"],
        "fileDetails": _details(folder, name, content),
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


def sha1_of(content: str) -> str:
    """Return the SHA-1 that evidence gives for this content."""
    return hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()


def opening_scene(company: Company) -> Json:
    """Return what the simulator is told about a company when the demo starts: machines, mails and a day of alerts."""
    phish = [message_id(f"{company.slug}-invoice-{number}") for number in (1, 2)]
    mailboxes = [f"reception@{company.domain}", f"accounts@{company.domain}"]
    mails = [email(*pair, "Overdue invoice, act today") for pair in zip(phish, mailboxes, strict=True)]
    alerts = [*_everyday(company), _phishing(company, phish, mailboxes), *_own(company)]
    return {"machines": company.machines(12), "emails": mails, "alerts": alerts}


def _everyday(company: Company) -> list[Json]:
    """One alert for each automation level, so that every reason for asking or not asking is there to read."""
    full = company.machine(AutomationLevel.FULL, 1)
    server = company.machine(AutomationLevel.SEMI_ALL_FOLDERS, 1)
    office = company.machine(AutomationLevel.SEMI_CORE_FOLDERS, 1)
    second_office = company.machine(AutomationLevel.SEMI_CORE_FOLDERS, 2)
    laptop = company.machine(AutomationLevel.SEMI_NON_TEMP_FOLDERS, 1)
    fixed = company.machine(AutomationLevel.NO_AUTOMATED_RESPONSE, 1)
    own = company.slug
    scenes: list[tuple[str, str, list[Json], float]] = [
        ("stealer", "Credential stealer was detected", [
            device_evidence(full), file_evidence(full, DOWNLOADS, "invoice_8841.exe", content=f"{own}-stealer"),
        ], 19),
        ("webshell", "Possible web shell on a server", [
            device_evidence(server),
            file_evidence(server, r"C:\inetpub\wwwroot", "help.aspx", content=f"{own}-webshell"),
            process_evidence(server, r"C:\Windows\System32", "w3wp.exe", content=f"{own}-w3wp"),
        ], 11),
        ("sideload", "DLL side-loading by a renamed tool", [
            device_evidence(office), file_evidence(office, SYSTEM32, "version.dll", content=f"{own}-sideload"),
        ], 8),
        ("adware", "Unwanted software bundle", [
            device_evidence(second_office),
            file_evidence(second_office, DATA, "pdf-helper-setup.exe", content=f"{own}-adware"),
        ], 6),
        ("dropper", "Dropper was run from a temporary folder", [
            device_evidence(laptop),
            file_evidence(laptop, TEMP, "~tmp4471.exe", content=f"{own}-dropper"),
            file_evidence(laptop, DATA, "updater.exe", content=f"{own}-updater"),
        ], 4),
        ("worm", "Worm activity on a fixed-function device", [
            device_evidence(fixed, "suspicious"), file_evidence(fixed, DATA, "svch0st.exe", content=f"{own}-worm"),
        ], 3),
    ]  # fmt: skip
    return [
        alert(company, f"da{_digest(own + name)[:18]}_1", title, evidence, ago=timedelta(hours=hours))
        for name, title, evidence, hours in scenes
    ]


def _phishing(company: Company, phish: Sequence[str], mailboxes: Sequence[str]) -> Json:
    subject = "Overdue invoice, act today"
    evidence = [message_evidence(*pair, subject) for pair in zip(phish, mailboxes, strict=True)]
    evidence.append(url_evidence("https://login-check.example/renew"))
    return alert(
        company,
        f"fa{_digest(company.slug + 'phish')[:18]}",
        "Email messages containing malicious URL removed after delivery",
        evidence,
        severity="medium",
        category="InitialAccess",
        ago=timedelta(hours=2),
        source="microsoftDefenderForOffice365",
    )


def _own(company: Company) -> list[Json]:
    """What happened at one company only."""
    first, second = (company.machine(AutomationLevel.FULL, number) for number in (2, 3))
    if company is NORDFJELL:
        spread = [
            alert(
                company,
                f"da{_digest(f'spread-{number}')[:18]}_1",
                "Ransomware behaviour was detected",
                [
                    device_evidence(machine),
                    file_evidence(machine, r"C:\ProgramData\sync", "locker.exe", content="nordfjell-locker"),
                ],
                ago=timedelta(minutes=90 - number),
            )
            for number, machine in enumerate(company.machine(AutomationLevel.FULL, 1 + n) for n in range(11))
        ]
        return [*spread, _hands_on_keyboard(company, company.machine(AutomationLevel.SEMI_ALL_FOLDERS, 2))]
    if company is LUMIERE:
        return [_hands_on_keyboard(company, first)]
    blocked = file_evidence(second, DOWNLOADS, "crack.zip", content="kanda-crack", status="prevented")
    return [
        _hands_on_keyboard(KANDA, first),
        alert(
            company,
            f"da{_digest('prevented')[:18]}_1",
            "An active malware was prevented from running",
            [device_evidence(second), blocked],
            severity="informational",
            ago=timedelta(hours=7),
        ),
    ]


def _hands_on_keyboard(company: Company, machine: Mapping[str, Any]) -> Json:
    return alert(
        company,
        f"da{_digest(company.slug + 'hands')[:18]}_1",
        "Suspicious remote session on a device",
        [device_evidence(machine, "suspicious"), user_evidence("j.holm", company.domain)],
        severity="medium",
        category="LateralMovement",
        ago=timedelta(minutes=50),
    )


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
