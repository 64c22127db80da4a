"""Pages of the safeguards."""

from remediation.safeguards.admin.break_glass import BreakGlassAdmin
from remediation.safeguards.admin.caps import HourlyCapAdmin
from remediation.safeguards.admin.changes import GuardedChangeAdmin
from remediation.safeguards.admin.protection import ProtectableDevicePages, ProtectedDeviceAdmin
from remediation.safeguards.admin.rules import ApprovalRuleAdmin

__all__ = [
    "ApprovalRuleAdmin",
    "BreakGlassAdmin",
    "GuardedChangeAdmin",
    "HourlyCapAdmin",
    "ProtectableDevicePages",
    "ProtectedDeviceAdmin",
]
