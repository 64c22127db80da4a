"""What an operating system must be for an action, so that people are told before anybody is asked to approve it.

From Microsoft's pages of each action (Defender "Isolate machine", "Restrict app execution", "Stop and quarantine file",
"Offboard machine", "Run live response"). Only what is certainly impossible is refused; where the pages are silent or
disagree, and for systems unknown here, Microsoft decides:

- Selective isolation wants Windows 10 1709 on one page and 1703 on another: 1703 is asked for.
- The pages on quarantine name no servers, and those on full isolation no agent versions that Quell could know.
- Servers 2012 R2 and 2016 need the unified agent, which a device's description does not tell.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

_WINDOWS_11_ON: Final = ("Windows11",)
_SERVERS_2019_ON: Final = ("WindowsServer2019", "WindowsServer2022", "WindowsServer2025")
_SERVERS: Final = ("WindowsServer2012R2", "WindowsServer2016", *_SERVERS_2019_ON)
_OTHERS: Final = ("macOS", "Linux")

# The oldest version of Windows 10 that will do, and the other systems that will.
_OFFERED: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "isolate_device Full": (1703, (*_WINDOWS_11_ON, *_SERVERS, *_OTHERS)),
    "isolate_device Selective": (1703, (*_WINDOWS_11_ON, *_SERVERS)),
    "restrict_code_execution": (1709, (*_WINDOWS_11_ON, *_SERVERS_2019_ON)),
    "stop_and_quarantine_file": (1703, (*_WINDOWS_11_ON, *_SERVERS)),
    "offboard_device": (1703, (*_WINDOWS_11_ON, *_SERVERS)),
    "request_sample": (1709, (*_WINDOWS_11_ON, *_SERVERS, *_OTHERS)),
    # Scripts of our own, in PowerShell for Windows.
    "delete_file": (1709, (*_WINDOWS_11_ON, *_SERVERS)),
    "stop_process": (1709, (*_WINDOWS_11_ON, *_SERVERS)),
    "remove_scheduled_task": (1709, (*_WINDOWS_11_ON, *_SERVERS)),
    "release_from_quarantine": (1709, (*_WINDOWS_11_ON, *_SERVERS)),
}
# Names as Defender's device list has them; a system that is in none of these is unknown.
_FAMILIES: Final = (
    ("Windows10", r"windows10.*"),
    ("Windows11", r"windows11.*"),
    ("WindowsServer2012R2", r"windowsserver2012r2"),
    ("WindowsServer2016", r"windowsserver2016"),
    ("WindowsServer2019", r"windowsserver2019"),
    ("WindowsServer2022", r"windowsserver2022"),
    ("WindowsServer2025", r"windowsserver2025"),
    ("older Windows", r"windows(xp|vista|7|8|8\.1|8blue|server2003|server2008|server2008r2|server2012)"),
    ("macOS", r"macos.*"),
    (
        "Linux",
        r"linux|ubuntu|debian|centos|fedora|suse|sles|redhatenterpriselinux|oraclelinux|amazonlinux|rocky.*|alma.*",
    ),
    ("a phone", r"ios|ipados|android"),
)


def reason_against(action_type: str, os_platform: str, os_version: str, parameters: Mapping[str, Any]) -> str:
    """Return why this action cannot work on a device with this system, in words for people; "" when it may.

    `os_platform` and `os_version` are Defender's own words, such as `Windows10` and `22H2`; "" is unknown.
    """
    offered = _OFFERED.get(action_type) or _OFFERED.get(f"{action_type} {parameters.get('isolation_type', '')}")
    family = next((name for name, pattern in _FAMILIES if re.fullmatch(pattern, os_platform.strip().lower())), "")
    if offered is None or not family:
        return ""
    oldest, others = offered
    if family == "Windows10":
        release = _release(os_version)
        is_offered = release is None or release >= oldest
    else:
        is_offered = family in others
    if is_offered:
        return ""
    return _(
        "Microsoft does not offer this on %(system)s; it needs Windows 10 from version %(oldest)d on, or %(others)s."
    ) % {
        "system": f"{os_platform} {os_version}".strip(),
        "oldest": oldest,
        "others": ", ".join(others),
    }


def _release(version: str) -> int | None:
    """Return a Windows 10 version as a number to compare: 1709 for `1709`, 2000 for `20H2`; None for anything else."""
    text = version.strip().upper()
    if re.fullmatch(r"\d{4}", text):
        return int(text)
    return int(text[:2]) * 100 if re.fullmatch(r"\d\dH[12]", text) else None
