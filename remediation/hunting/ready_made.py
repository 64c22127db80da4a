"""Queries to begin with. Tables and columns are advanced hunting's; each brings the columns that actions need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """A query with its name."""

    label: Promise
    query: str


READY_MADE: Final[Mapping[str, ReadyMade]] = {
    "threats-delivered": ReadyMade(
        _("Mail with threats that was delivered"),
        "EmailEvents\n"
        '| where DeliveryAction == "Delivered" and isnotempty(ThreatTypes)\n'
        "| project Timestamp, Subject, SenderFromAddress, RecipientEmailAddress, ThreatTypes, NetworkMessageId\n"
        "| sort by Timestamp desc\n"
        "| take 1000",
    ),
    "from-sender": ReadyMade(
        _("Mail from one sender"),
        "EmailEvents\n"
        '| where SenderFromAddress =~ "somebody@example.com"\n'
        "| project Timestamp, Subject, SenderFromAddress, RecipientEmailAddress, LatestDeliveryLocation,"
        " NetworkMessageId\n"
        "| sort by Timestamp desc\n"
        "| take 1000",
    ),
    "devices-with-file": ReadyMade(
        _("Devices with a file, by its SHA-1"),
        "DeviceFileEvents\n"
        '| where SHA1 == "0000000000000000000000000000000000000000"\n'
        "| summarize arg_max(Timestamp, *) by DeviceId\n"
        "| project Timestamp, DeviceName, FileName, FolderPath, SHA1, DeviceId\n"
        "| take 1000",
    ),
    "script-downloads": ReadyMade(
        _("PowerShell that fetched something"),
        "DeviceProcessEvents\n"
        '| where FileName in~ ("powershell.exe", "pwsh.exe")\n'
        '| where ProcessCommandLine has_any ("DownloadString", "DownloadFile", "Invoke-WebRequest")\n'
        "| project Timestamp, DeviceName, AccountName, ProcessCommandLine, ProcessId, SHA1, DeviceId\n"
        "| sort by Timestamp desc\n"
        "| take 1000",
    ),
}
