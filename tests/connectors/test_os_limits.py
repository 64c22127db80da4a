"""What an operating system must be: only what is certainly impossible is refused."""

import pytest

from connectors.os_limits import reason_against

FULL = {"isolation_type": "Full"}
SELECTIVE = {"isolation_type": "Selective"}


@pytest.mark.parametrize(
    ("action_type", "parameters", "platform", "version", "is_offered"),
    [
        ("isolate_device", FULL, "Windows10", "1703", True),
        ("isolate_device", FULL, "Windows10", "1607", False),
        ("isolate_device", FULL, "WindowsServer2012R2", "", True),
        ("isolate_device", FULL, "WindowsServer2008R2", "", False),
        ("isolate_device", FULL, "RedHatEnterpriseLinux", "9.5", True),
        ("isolate_device", FULL, "macOS", "14", True),
        ("isolate_device", FULL, "Android", "15", False),
        ("isolate_device", SELECTIVE, "Windows10", "1703", True),
        ("isolate_device", SELECTIVE, "Windows10", "1607", False),
        ("isolate_device", SELECTIVE, "Ubuntu", "24.04", False),
        ("restrict_code_execution", {}, "Windows10", "1703", False),
        ("restrict_code_execution", {}, "Windows10", "20H2", True),
        ("restrict_code_execution", {}, "WindowsServer2016", "1607", False),
        ("restrict_code_execution", {}, "windowsserver2019", "1809", True),
        ("stop_and_quarantine_file", {}, "Windows11", "24H2", True),
        ("stop_and_quarantine_file", {}, "macOS", "14", False),
        ("offboard_device", {}, "Linux", "", False),
        ("delete_file", {}, "Ubuntu", "22.04", False),
        ("request_sample", {}, "Ubuntu", "22.04", True),
        ("run_antivirus_scan", {}, "Ubuntu", "22.04", True),
        ("release_code_execution", {}, "WindowsServer2016", "", True),
        ("offboard_device", {}, "Windows10", "", True),
        ("offboard_device", {}, "", "", True),
        ("offboard_device", {}, "SomethingNew", "1", True),
    ],
)
def test_what_is_offered_where(
    action_type: str, parameters: dict[str, str], platform: str, version: str, is_offered: bool
) -> None:
    reason = reason_against(action_type, platform, version, parameters)

    assert (reason == "") is is_offered
    assert is_offered or platform in reason
