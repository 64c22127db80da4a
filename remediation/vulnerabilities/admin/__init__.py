"""The pages of vulnerability management."""

from remediation.vulnerabilities.admin.activities import RemediationActivityAdmin
from remediation.vulnerabilities.admin.exceptions import ExceptionAdmin
from remediation.vulnerabilities.admin.intune import IntuneConnectionAdmin
from remediation.vulnerabilities.admin.known_exploited import KnownExploitedAdmin
from remediation.vulnerabilities.admin.managed_devices import ManagedDeviceAdmin
from remediation.vulnerabilities.admin.recommendations import RecommendationAdmin
from remediation.vulnerabilities.admin.security_tasks import SecurityTaskAdmin

__all__ = [
    "ExceptionAdmin",
    "IntuneConnectionAdmin",
    "KnownExploitedAdmin",
    "ManagedDeviceAdmin",
    "RecommendationAdmin",
    "RemediationActivityAdmin",
    "SecurityTaskAdmin",
]
