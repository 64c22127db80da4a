"""The tables of vulnerability management, a module for each subject."""

from remediation.vulnerabilities.models.activities import ActivityDevice, BurnDownDay, RemediationActivity
from remediation.vulnerabilities.models.exceptions import ExceptedDevice, RecommendationException
from remediation.vulnerabilities.models.intune import IntuneConnection, ManagedDevice, SecurityTask, SecurityTaskDevice
from remediation.vulnerabilities.models.known_exploited import KnownExploitedFeed, KnownExploitedVulnerability
from remediation.vulnerabilities.models.recommendations import (
    Exposure,
    ExposureDay,
    Recommendation,
    VulnerabilitySync,
)

__all__ = [
    "ActivityDevice",
    "BurnDownDay",
    "ExceptedDevice",
    "Exposure",
    "ExposureDay",
    "IntuneConnection",
    "KnownExploitedFeed",
    "KnownExploitedVulnerability",
    "ManagedDevice",
    "Recommendation",
    "RecommendationException",
    "RemediationActivity",
    "SecurityTask",
    "SecurityTaskDevice",
    "VulnerabilitySync",
]
