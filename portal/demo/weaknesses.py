"""What is weak at the example tenants when the demo starts, and what their IT admins have in Intune already.

Products and CVE ids are real; who is exposed to what is made up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from investigations.states import AutomationLevel
from portal.demo.companies import COMPANIES, KANDA, LUMIERE, NORDFJELL, Company
from portal.demo.scenery import moment

Json = dict[str, Any]

_LEVELS: Final = {
    "devices": AutomationLevel.NO_AUTOMATED_RESPONSE,
    "servers": AutomationLevel.SEMI_ALL_FOLDERS,
    "office": AutomationLevel.SEMI_CORE_FOLDERS,
    "field": AutomationLevel.SEMI_NON_TEMP_FOLDERS,
    "desks": AutomationLevel.FULL,
}
_CLIENTS: Final = ("office", "field", "desks")
_EVERYWHERE: Final = (*COMPANIES,)


@dataclass(frozen=True, slots=True)
class Weakness:
    """A recommendation: `groups` say where it is found, on so many devices `each` of them (a few more or fewer)."""

    id: str
    name: str
    cves: tuple[str, ...]
    groups: tuple[str, ...]
    each: int
    companies: tuple[Company, ...] = _EVERYWHERE
    score: float = 7.0
    more: Json = field(default_factory=dict)


_UPDATES: Final = (
    Weakness("va-_-7-zip-_-7-zip", "7-Zip", ("CVE-2025-0411", "CVE-2024-11477"), _CLIENTS, 9, score=7.8),
    Weakness("va-_-google-_-chrome", "Google Chrome", ("CVE-2025-10585", "CVE-2025-6554", "CVE-2025-8010"), _CLIENTS, 8,
             score=8.8),
    Weakness("va-_-microsoft-_-edge_chromium-based", "Microsoft Edge", ("CVE-2025-10585", "CVE-2025-6554"), _CLIENTS, 6,
             score=8.8),
    Weakness("va-_-mozilla-_-firefox", "Mozilla Firefox", ("CVE-2024-9680", "CVE-2025-4918"), ("office",), 5,
             score=8.8),
    Weakness("va-_-adobe-_-acrobat_reader_dc", "Adobe Acrobat Reader DC", ("CVE-2023-21608", "CVE-2024-41869"),
             ("office", "desks"), 7, score=7.8),
    Weakness("va-_-rarlab-_-winrar", "WinRAR", ("CVE-2023-38831", "CVE-2025-8088"), ("office", "field"), 4, score=8.8),
    Weakness("va-_-videolan-_-vlc_media_player", "VLC Media Player", ("CVE-2024-46461",), ("desks",), 5, score=8.0),
    Weakness("va-_-microsoft-_-windows_11", "Microsoft Windows 11", ("CVE-2025-29824", "CVE-2024-38112"),
             ("devices", *_CLIENTS), 10, score=7.8, more={"recommendationCategory": "OS"}),
    Weakness("va-_-microsoft-_-windows_server_2022", "Microsoft Windows Server 2022",
             ("CVE-2025-29824", "CVE-2024-38063"), ("servers",), 8, score=9.8, more={"recommendationCategory": "OS"}),
    Weakness("va-_-microsoft-_-office", "Microsoft Office", ("CVE-2023-23397", "CVE-2024-38021"), ("office",), 9,
             score=9.8),
    Weakness("va-_-microsoft-_-.net", "Microsoft .NET", ("CVE-2024-38229", "CVE-2024-43483"), ("servers",), 6,
             score=8.1),
    Weakness("va-_-notepad++-_-notepad++", "Notepad++", ("CVE-2025-49144", "CVE-2023-40031"), ("office", "servers"), 3,
             score=7.8),
    Weakness("va-_-openssl-_-openssl", "OpenSSL", ("CVE-2022-3602", "CVE-2022-3786"), ("servers",), 5, score=7.5),
    Weakness("va-_-zoom-_-zoom", "Zoom", ("CVE-2024-24691",), ("office", "desks"), 6, score=9.6,
             more={"fixing": {"devices": 1, "every_seconds": 45}}),
    Weakness("va-_-putty-_-putty", "PuTTY", ("CVE-2024-31497",), ("servers",), 3, score=5.9),
    Weakness("va-_-vmware-_-tools", "VMware Tools", ("CVE-2025-22230", "CVE-2023-20900"), ("servers",), 9, score=7.8),
    Weakness("va-_-oracle-_-jre", "Oracle Java Runtime", ("CVE-2013-2465", "CVE-2024-21147"), ("devices",), 6,
             (NORDFJELL, KANDA), 9.8),
    Weakness("va-_-apache-_-log4j", "Apache Log4j", ("CVE-2021-44228", "CVE-2021-45046"), ("servers",), 2,
             (NORDFJELL, KANDA), 10.0, {"recommendationName": "Attention required: Apache Log4j"}),
    Weakness("va-_-microdicom-_-dicom_viewer", "MicroDicom DICOM Viewer", ("CVE-2024-22100", "CVE-2024-25578"),
             ("devices", "desks"), 4, (NORDFJELL,), 7.8),
    Weakness("va-_-apache-_-tomcat", "Apache Tomcat", ("CVE-2025-24813", "CVE-2024-56337"), ("servers",), 4,
             (NORDFJELL,), 9.8),
    Weakness("va-_-teamviewer-_-teamviewer", "TeamViewer", ("CVE-2024-7479", "CVE-2024-7481"), ("devices",), 7,
             (LUMIERE,), 8.8),
    Weakness("va-_-foxit-_-pdf_reader", "Foxit PDF Reader", ("CVE-2023-27363",), ("office",), 6, (LUMIERE,), 7.8),
    Weakness("va-_-connectwise-_-screenconnect", "ConnectWise ScreenConnect", ("CVE-2024-1709", "CVE-2024-1708"),
             ("servers", "field"), 3, (KANDA,), 10.0, {"activeAlert": True}),
    Weakness("va-_-veeam-_-backup_replication", "Veeam Backup & Replication", ("CVE-2024-40711", "CVE-2023-27532"),
             ("servers",), 2, (KANDA,), 9.8),
    Weakness("va-_-git-_-git", "Git", ("CVE-2025-48384", "CVE-2024-32002"), ("office",), 3, (KANDA,), 9.0),
    Weakness("va-_-python-_-python", "Python", ("CVE-2023-24329",), ("servers",), 3, (KANDA,), 7.5),
)  # fmt: skip
_OTHERS: Final = (
    Weakness("va-_-adobe-_-flash_player", "Uninstall Adobe Flash Player", ("CVE-2018-4878",), ("devices",), 5,
             score=9.8, more={"remediationType": "Uninstall", "tags": ["EOL"], "hasUnpatchableCve": True}),
    Weakness("sca-_-scid-2090", "Encrypt all BitLocker-supported drives", (), ("field",), 7,
             more={"configScoreImpact": 9.0, "nonProductivityImpactedAssets": 4, "relatedComponent": "OS"}),
    Weakness("sca-_-scid-2070", "Turn on Microsoft Defender Firewall", (), ("devices",), 4,
             more={"configScoreImpact": 8.0, "nonProductivityImpactedAssets": 2, "relatedComponent": "Firewall"}),
    Weakness("sca-_-scid-2012", "Turn on real-time protection", (), ("servers",), 2,
             more={"configScoreImpact": 10.0, "nonProductivityImpactedAssets": 2, "relatedComponent": "Antivirus"}),
)  # fmt: skip
WEAKNESSES: Final = (*_UPDATES, *_OTHERS)

_FIREWALL: Final[Json] = {
    "@odata.type": "#microsoft.graph.securityConfigurationTask",
    "displayName": "Turn on Microsoft Defender Firewall",
    "status": "rejected",
    "creatorNotes": "For all medical devices.\nThe vendor of the infusion pumps forbids it until March.",
    "endpointSecurityPolicy": "firewall",
    "applicablePlatform": "windows10AndLater",
    "endpointSecurityPolicyProfile": "firewall",
    "insights": "Four devices have no firewall.",
}


def weaknesses_of(company: Company) -> Json:
    """Return what the simulator is told of a company's recommendations, remediation activities, tasks and devices."""
    seed: Json = {
        "recommendations": [_recommendation(company, each) for each in WEAKNESSES if company in each.companies],
        "remediation_tasks": list(_activities_in_defender(company)),
        "managed_devices": list(_managed_devices(company)),
    }
    if company is NORDFJELL:
        return {**seed, "security_tasks": _security_tasks(company)}
    return {**seed, "intune": {"partner_state": "available" if company is LUMIERE else None}}


def exposed_to(company: Company, recommendation_id: str) -> list[Json]:
    """Return the machines of a company that a recommendation exposes when the demo starts."""
    [found] = [each for each in WEAKNESSES if each.id == recommendation_id]
    each = min(12, found.each + _EVERYWHERE.index(company))
    return [company.machine(_LEVELS[group], number) for group in found.groups for number in range(1, each + 1)]


def _recommendation(company: Company, weakness: Weakness) -> Json:
    is_update = weakness in _UPDATES
    exposed = exposed_to(company, weakness.id)
    name = {"recommendationName": f"Update {weakness.name}" if is_update else weakness.name}
    return {
        "id": weakness.id,
        **name,
        "relatedComponent": weakness.name if is_update else "",
        "severityScore": weakness.score,
        "exposureImpact": round(len(exposed) * weakness.score / 100, 2),
        "totalMachineCount": 60,
        "publicExploit": weakness.score >= 8.8,
        "exposed": [machine["id"] for machine in exposed],
        "cves": list(weakness.cves),
        **weakness.more,
    }


def _activities_in_defender(company: Company) -> Iterator[Json]:
    """One that the customer's own people asked for in Defender and that goes on, and one they closed."""
    vlc = "va-_-videolan-_-vlc_media_player"
    yield {
        "title": "Update VLC Media Player",
        "description": "Move VLC Media Player to a fixed release.",
        "requesterEmail": f"it-lead@{company.domain}",
        "requesterNotes": "Change CHG-884",
        "createdOn": _days(-9),
        "dueOn": _days(5),
        "relatedComponent": "VLC Media Player",
        "recommendationReference": vlc,
        "productId": "videolan-_-vlc_media_player",
        "vendorId": "videolan",
        "nameId": "vlc_media_player",
        "rbacGroupNames": [company.groups[AutomationLevel.FULL].name],
        "machines": [machine["id"] for machine in exposed_to(company, vlc)],
    }
    yield {
        "title": "Remove Apple QuickTime",
        "type": "Uninstall",
        "requesterEmail": f"it-lead@{company.domain}",
        "createdOn": _days(-60),
        "dueOn": _days(-30),
        "relatedComponent": "QuickTime",
        "targetDevices": 14,
        "fixedDevices": 14,
        "status": "Completed",
        "statusLastModifiedOn": _days(-35),
        "completionMethod": "Automatic",
        "priority": "High",
    }


def _managed_devices(company: Company) -> Iterator[Json]:
    """The clients, which Intune manages too; a few do not comply, and one has not been seen for weeks."""
    for group in _CLIENTS:
        plan = company.groups[_LEVELS[group]]
        for number in range(1, 13):
            machine = company.machine(_LEVELS[group], number)
            yield {
                "deviceName": machine["computerDnsName"].partition(".")[0].upper(),
                "azureADDeviceId": machine["aadDeviceId"],
                "complianceState": "noncompliant" if number % 5 == 0 else "compliant",
                "lastSyncDateTime": _days(-24 if number == 12 else -number / 24),
                "userPrincipalName": f"{plan.prefix}{number:02d}@{company.domain}",
                "deviceCategoryDisplayName": plan.name,
            }


def _security_tasks(company: Company) -> list[Json]:
    """What the customer's own people sent to Intune before: one accepted, one waiting, one rejected."""
    winrar, edge = "va-_-rarlab-_-winrar", "va-_-microsoft-_-edge_chromium-based"
    common = {"creator": f"it-lead@{company.domain}", "createdDateTime": _days(-8)}
    return [
        {
            **common,
            "displayName": "Update WinRAR",
            "description": "Update WinRAR to 7.13 or later.",
            "status": "active",
            "priority": "high",
            "assignedTo": f"endpoint-admin@{company.domain}",
            "creatorNotes": "Exploited in the wild.\nIn the pilot ring since Monday.",
            "dueDateTime": _days(4),
            "appName": "WinRAR",
            "appPublisher": "RARLAB",
            "mitigationType": "update",
            "remediation": "Deploy 7.13",
            "managedDevices": [machine["aadDeviceId"] for machine in exposed_to(company, winrar)],
        },
        {
            **common,
            "displayName": "Update Microsoft Edge",
            "description": "Update Microsoft Edge to the current stable release.",
            "priority": "low",
            "dueDateTime": _days(12),
            "appName": "Edge Chromium-based",
            "appPublisher": "Microsoft",
            "mitigationType": "update",
            "managedDevices": [machine["aadDeviceId"] for machine in exposed_to(company, edge)],
        },
        {**common, **_FIREWALL},
    ]


def _days(number: float) -> str:
    return moment(datetime.now(UTC) + timedelta(days=number))
