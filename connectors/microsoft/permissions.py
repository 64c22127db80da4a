"""What the app registration needs at Microsoft: one table of application permissions, by API and by what needs them.

Names are Microsoft's (Defender for Endpoint: the "Permissions" of each API page; Graph: "Microsoft Graph permissions
reference"; Exchange: "App-only authentication in Exchange Online PowerShell", which besides wants an Entra role for the
application in each tenant). A permission to write includes the one to read of the same name.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

DEFENDER: Final = "Defender for Endpoint"
GRAPH: Final = "Microsoft Graph"
EXCHANGE: Final = "Exchange Online"

READ_DEVICES: Final = "read devices"
READ_ALERTS: Final = "read alerts"
READ_MAIL: Final = "read mail's whereabouts"
HUNT: Final = "hunting"
READ_RECOMMENDATIONS: Final = "read security recommendations"
READ_WEAKNESSES: Final = "read vulnerabilities"
READ_REMEDIATION: Final = "read remediation activities"


@dataclass(frozen=True, slots=True)
class Permission:
    """One application permission of one API: the action types that need it, and what is read with it."""

    api: str
    name: str
    action_types: frozenset[str] = frozenset()
    readings: tuple[str, ...] = ()


def _of(api: str, name: str, *action_types: str, readings: tuple[str, ...] = ()) -> Permission:
    return Permission(api, name, frozenset(action_types), readings)


_SCRIPTS: Final = ("release_from_quarantine", "delete_file", "stop_process", "remove_scheduled_task")
_MESSAGES: Final = (
    "soft_delete_email", "move_to_junk", "move_to_deleted_items", "hard_delete_email", "move_to_inbox",
    "quarantine_email",
)  # fmt: skip

PERMISSIONS: Final = (
    _of(DEFENDER, "Machine.Read.All", readings=(READ_DEVICES,)),
    _of(DEFENDER, "Machine.Isolate", "isolate_device", "release_from_isolation"),
    _of(DEFENDER, "Machine.RestrictExecution", "restrict_code_execution", "release_code_execution"),
    _of(DEFENDER, "Machine.Scan", "run_antivirus_scan"),
    _of(DEFENDER, "Machine.StopAndQuarantine", "stop_and_quarantine_file"),
    _of(DEFENDER, "Machine.CollectForensics", "collect_investigation_package"),
    _of(DEFENDER, "Machine.Offboard", "offboard_device"),
    _of(DEFENDER, "Machine.LiveResponse", *_SCRIPTS, "request_sample"),
    _of(DEFENDER, "Library.Manage", *_SCRIPTS),
    _of(DEFENDER, "File.Read.All", "get_file_information"),
    _of(DEFENDER, "Ti.ReadWrite.All", "allow_indicator", "block_indicator", "remove_indicator"),
    _of(DEFENDER, "SecurityRecommendation.Read.All", readings=(READ_RECOMMENDATIONS,)),
    _of(DEFENDER, "Vulnerability.Read.All", readings=(READ_WEAKNESSES,)),
    _of(DEFENDER, "RemediationTasks.Read.All", readings=(READ_REMEDIATION,)),
    _of(GRAPH, "SecurityAlert.Read.All", readings=(READ_ALERTS,)),
    _of(GRAPH, "SecurityAlert.ReadWrite.All", "classify_alert"),
    _of(GRAPH, "SecurityAnalyzedMessage.Read.All", readings=(READ_MAIL,)),
    _of(GRAPH, "SecurityAnalyzedMessage.ReadWrite.All", *_MESSAGES),
    _of(GRAPH, "ThreatHunting.Read.All", readings=(HUNT,)),
    _of(GRAPH, "ThreatSubmission.ReadWrite.All", "submit_email", "submit_url"),
    _of(GRAPH, "Mail.Read", "submit_email"),
    _of(GRAPH, "MailboxSettings.ReadWrite", "turn_off_forwarding", "restore_forwarding"),
    _of(
        EXCHANGE,
        "Exchange.ManageAsApp",
        "release_email", "block_url", "unblock_url", "turn_off_forwarding", "restore_forwarding",
    ),
)  # fmt: skip

INTUNE_STATE: Final = "DeviceManagementServiceConfig.Read.All"
INTUNE_TASKS: Final = "DeviceManagementApps.ReadWrite.All"
INTUNE_DEVICES: Final = "DeviceManagementManagedDevices.Read.All"

WITH_INTUNE: Final = (
    _of(GRAPH, INTUNE_STATE, readings=("Intune's health, where its connection is on",)),
    _of(GRAPH, INTUNE_TASKS, readings=("security tasks, where the Intune connection is on",)),
    _of(GRAPH, INTUNE_DEVICES, readings=("managed devices, where the Intune connection is on",)),
)
"""What a tenant needs only where its Intune connection is on. That connection's health asks for it, the check not."""


def missing(api: str, roles: Collection[str], *, lacking: Collection[str] = ()) -> list[str]:
    """Return which permissions of an API are needed and not among a token's roles, in the table's order.

    `lacking` names those that the tenant's cloud has no use for (`connectors.clouds.lacking`).
    """
    needed = (row.name for row in PERMISSIONS if row.api == api and row.name not in lacking)
    return [name for name in needed if name not in roles and _with_writing(name) not in roles]


def permissions_of(action_type: str) -> list[Permission]:
    """Return what an action type needs, [] for one that no API carries out."""
    return [row for row in PERMISSIONS if action_type in row.action_types]


def _with_writing(name: str) -> str:
    return name.replace(".Read.All", ".ReadWrite.All")
