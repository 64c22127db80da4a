"""What there is to hunt in: Microsoft's tables, made from the tenant's machines, the files in its alerts and its mails.

Columns and their types are those of the advanced hunting schema reference, as many of each as Quell and plain examples
ask for.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from connectors.simulator.kql import Moment, Table
from connectors.simulator.moments import ticks_of
from connectors.simulator.store import Tenant

_Rows = Iterator[dict[str, Any]]

_WHEN: Final = {"Timestamp": "DateTime"}
_DEVICE: Final = {**_WHEN, "DeviceId": "String", "DeviceName": "String"}
_FILE: Final = {
    "ActionType": "String",
    "FileName": "String",
    "FolderPath": "String",
    "SHA1": "String",
    "SHA256": "String",
    "FileSize": "Int64",
}
_MAIL: Final = {**_WHEN, "NetworkMessageId": "String"}
_REPORT: Final = {"ReportId": "String"}

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "DeviceInfo": {
        **_DEVICE,
        "PublicIP": "String",
        "OSArchitecture": "String",
        "OSPlatform": "String",
        "OSVersion": "String",
        "OSBuild": "Int64",
        "IsAzureADJoined": "SByte",
        "AadDeviceId": "String",
        "MachineGroup": "String",
        "OnboardingStatus": "String",
        "ExposureLevel": "String",
        "SensorHealthState": "String",
        "ReportId": "Int64",
    },
    "DeviceFileEvents": {**_DEVICE, **_FILE, "InitiatingProcessFileName": "String", "ReportId": "Int64"},
    "DeviceProcessEvents": {
        **_DEVICE,
        **_FILE,
        "ProcessId": "Int64",
        "ProcessCommandLine": "String",
        "AccountDomain": "String",
        "AccountName": "String",
        "InitiatingProcessId": "Int64",
        "InitiatingProcessFileName": "String",
        "ReportId": "Int64",
    },
    "EmailEvents": {
        **_MAIL,
        "InternetMessageId": "String",
        "SenderMailFromAddress": "String",
        "SenderFromAddress": "String",
        "SenderDisplayName": "String",
        "SenderMailFromDomain": "String",
        "SenderFromDomain": "String",
        "SenderIPv4": "String",
        "RecipientEmailAddress": "String",
        "Subject": "String",
        "EmailClusterId": "Int64",
        "EmailDirection": "String",
        "DeliveryAction": "String",
        "DeliveryLocation": "String",
        "ThreatTypes": "String",
        "DetectionMethods": "String",
        "UrlCount": "Int32",
        "AttachmentCount": "Int32",
        "LatestDeliveryAction": "String",
        "LatestDeliveryLocation": "String",
        **_REPORT,
    },
    "EmailUrlInfo": {**_MAIL, "Url": "String", "UrlDomain": "String", "UrlLocation": "String", **_REPORT},
    "EmailAttachmentInfo": {
        **_MAIL,
        "SenderFromAddress": "String",
        "RecipientEmailAddress": "String",
        "FileName": "String",
        "SHA256": "String",
        "ThreatTypes": "String",
        **_REPORT,
    },
    "EmailPostDeliveryEvents": {
        **_MAIL,
        "InternetMessageId": "String",
        "RecipientEmailAddress": "String",
        "Action": "String",
        "ActionType": "String",
        "ActionTrigger": "String",
        "ActionResult": "String",
        "DeliveryLocation": "String",
        **_REPORT,
    },
}
DEVICE_TABLES: Final = frozenset(name for name in COLUMNS if name.startswith("Device"))

_DELIVERY_WORDS: Final = {
    "delivered": "Delivered",
    "deliveredToJunk": "Junked",
    "blocked": "Blocked",
    "inbox_folder": "Inbox/folder",
    "junkFolder": "Junk folder",
    "deletedFolder": "Deleted items",
    "quarantine": "Quarantine",
    "onprem_external": "On-premises/external",
    "failed": "Failed",
    "dropped": "Dropped",
    "others": "Others",
}
_POST_DELIVERY: Final = {
    "moveToJunk": "Moved to junk folder",
    "moveToInbox": "Moved to inbox",
    "moveToDeletedItems": "Moved to deleted items",
    "softDelete": "Soft deleted",
    "hardDelete": "Hard deleted",
}


def table_of(tenant: Tenant, name: str, now: int) -> Table | None:
    """One table as it stands now, None when there is none of this name."""
    if name not in COLUMNS:
        return None
    return Table(COLUMNS[name], [*_MAKERS[name](tenant, now), *tenant.events.get(name, [])])


def event_of(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole row of a table from some of its columns. Raises ValueError for another table, column or kind of value."""
    columns = COLUMNS.get(name, {})
    if given.keys() - columns.keys() or "Timestamp" not in given:
        raise ValueError(f"an event of {name} has Timestamp and some of {', '.join(columns) or 'no columns'}")
    row: dict[str, Any] = {column: "" if kind == "String" else None for column, kind in columns.items()}
    return {**row, **given, "Timestamp": _moment(str(given["Timestamp"]))}


def _moment(text: str) -> Moment:
    return Moment(ticks_of(text))


def _device_info(tenant: Tenant, _now: int) -> _Rows:
    for machine in tenant.machines.values():
        yield {
            "Timestamp": _moment(machine["lastSeen"]),
            "DeviceId": machine["id"],
            "DeviceName": machine["computerDnsName"] or "",
            "PublicIP": machine["lastExternalIpAddress"] or "",
            "OSArchitecture": machine["osArchitecture"] or "",
            "OSPlatform": machine["osPlatform"] or "",
            "OSVersion": machine["version"] or "",
            "OSBuild": machine["osBuild"],
            "IsAzureADJoined": machine["isAadJoined"],
            "AadDeviceId": machine["aadDeviceId"] or "",
            "MachineGroup": machine["rbacGroupName"] or "",
            "OnboardingStatus": machine["onboardingStatus"],
            "ExposureLevel": machine["exposureLevel"],
            "SensorHealthState": machine["healthStatus"],
            "ReportId": zlib.crc32(machine["id"].encode()),
        }


def _evidence(tenant: Tenant, kind: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every piece of evidence of one kind in the tenant's alerts that lies on a machine, with its common columns."""
    for alert in tenant.alerts.values():
        for place, piece in enumerate(alert["evidence"]):
            if str(piece["@odata.type"]).endswith(f".{kind}") and piece.get("mdeDeviceId"):
                machine = tenant.machines.get(str(piece["mdeDeviceId"]).lower(), {})
                yield (
                    piece,
                    {
                        "Timestamp": _moment(alert["firstActivityDateTime"] or alert["createdDateTime"]),
                        "DeviceId": piece["mdeDeviceId"],
                        "DeviceName": machine.get("computerDnsName") or "",
                        "ReportId": zlib.crc32(f"{alert['id']}/{place}".encode()),
                    },
                )


def _file(details: Mapping[str, Any] | None, action: str) -> dict[str, Any]:
    known = details or {}
    folder, name = known.get("filePath") or "", known.get("fileName") or ""
    return {
        "ActionType": action,
        "FileName": name,
        "FolderPath": f"{folder}\\{name}" if folder else name,
        "SHA1": known.get("sha1") or "",
        "SHA256": known.get("sha256") or "",
        "FileSize": known.get("fileSize"),
    }


def _file_events(tenant: Tenant, _now: int) -> _Rows:
    for piece, common in _evidence(tenant, "fileEvidence"):
        yield {**common, **_file(piece.get("fileDetails"), "FileCreated"), "InitiatingProcessFileName": "explorer.exe"}


def _process_events(tenant: Tenant, _now: int) -> _Rows:
    for piece, common in _evidence(tenant, "processEvidence"):
        account = piece.get("userAccount") or {}
        yield {
            **common,
            **_file(piece.get("imageFile"), "ProcessCreated"),
            "ProcessId": piece.get("processId"),
            "ProcessCommandLine": piece.get("processCommandLine") or "",
            "AccountDomain": account.get("domainName") or "",
            "AccountName": account.get("accountName") or "",
            "InitiatingProcessId": piece.get("parentProcessId"),
            "InitiatingProcessFileName": (piece.get("parentProcessImageFile") or {}).get("fileName") or "",
        }


def _mails(tenant: Tenant, now: int) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Every mail as Graph sees it now, with the columns that all its tables share."""
    for email in tenant.emails.values():
        mail = email.as_json(now)
        common = {
            "Timestamp": _moment(mail["loggedDateTime"]),
            "NetworkMessageId": mail["networkMessageId"],
            "ReportId": mail["id"],
        }
        yield mail, common


def _email_events(tenant: Tenant, now: int) -> _Rows:
    for mail, common in _mails(tenant, now):
        sender, first, latest = mail["senderDetail"], mail["originalDelivery"], mail["latestDelivery"]
        yield {
            **common,
            "InternetMessageId": mail["internetMessageId"],
            "SenderMailFromAddress": sender.get("mailFromAddress") or "",
            "SenderFromAddress": sender.get("fromAddress") or "",
            "SenderDisplayName": sender.get("displayName") or "",
            "SenderMailFromDomain": sender.get("mailFromDomainName") or "",
            "SenderFromDomain": sender.get("domainName") or "",
            "SenderIPv4": sender.get("ipv4") or "",
            "RecipientEmailAddress": mail["recipientEmailAddress"],
            "Subject": mail["subject"] or "",
            "EmailClusterId": int(mail["emailClusterId"]) if str(mail["emailClusterId"]).isdecimal() else None,
            "EmailDirection": str(mail["directionality"]).capitalize(),
            "DeliveryAction": _word(first["action"]),
            "DeliveryLocation": _word(first["location"]),
            "ThreatTypes": ", ".join(word.capitalize() for word in mail["threatTypes"] if word != "none"),
            "DetectionMethods": ", ".join(mail["detectionMethods"]),
            "UrlCount": len(mail["urls"]),
            "AttachmentCount": len(mail["attachments"]),
            "LatestDeliveryAction": _word(latest["action"]),
            "LatestDeliveryLocation": _word(latest["location"]),
        }


def _url_info(tenant: Tenant, now: int) -> _Rows:
    for mail, common in _mails(tenant, now):
        for url in mail["urls"]:
            address = str(url.get("url") or "")
            domain = address.partition("://")[2].partition("/")[0]
            yield {**common, "Url": address, "UrlDomain": domain, "UrlLocation": "Body"}


def _attachments(tenant: Tenant, now: int) -> _Rows:
    for mail, common in _mails(tenant, now):
        for attachment in mail["attachments"]:
            yield {
                **common,
                "SenderFromAddress": mail["senderDetail"].get("fromAddress") or "",
                "RecipientEmailAddress": mail["recipientEmailAddress"],
                "FileName": attachment.get("fileName") or "",
                "SHA256": attachment.get("sha256") or "",
                "ThreatTypes": str(attachment.get("threatType") or "").capitalize(),
            }


def _post_delivery(tenant: Tenant, now: int) -> _Rows:
    for email in tenant.emails.values():
        for change in email.changes:
            if change.visible_from <= now:
                yield {
                    "Timestamp": Moment(change.at),
                    "NetworkMessageId": email.properties["networkMessageId"],
                    "InternetMessageId": email.properties["internetMessageId"],
                    "RecipientEmailAddress": email.properties["recipientEmailAddress"],
                    "Action": _POST_DELIVERY.get(change.action, change.action),
                    "ActionType": "Manual remediation",
                    "ActionTrigger": "AdminAction",
                    "ActionResult": "Success",
                    "DeliveryLocation": _word(email.location(now)),
                    "ReportId": email.properties["id"],
                }


def _word(text: str) -> str:
    return _DELIVERY_WORDS.get(text, text)


_MAKERS: Final[Mapping[str, Callable[[Tenant, int], _Rows]]] = {
    "DeviceInfo": _device_info,
    "DeviceFileEvents": _file_events,
    "DeviceProcessEvents": _process_events,
    "EmailEvents": _email_events,
    "EmailUrlInfo": _url_info,
    "EmailAttachmentInfo": _attachments,
    "EmailPostDeliveryEvents": _post_delivery,
}
