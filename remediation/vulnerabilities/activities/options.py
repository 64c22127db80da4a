"""What can be asked for on a recommendation, by what kind of recommendation it is.

Source: Microsoft, "Request remediation" and "Block vulnerable applications" (facts 5.2, 5.5).
"""

from typing import Final

from remediation.vulnerabilities.models import Recommendation
from remediation.vulnerabilities.states import Mitigation, RemediationOption

SOFTWARE: Final = (RemediationOption.SOFTWARE_UPDATE, RemediationOption.SOFTWARE_UNINSTALL)
_NOT_BLOCKED: Final = frozenset({"os", "operating system"})


def options_for(recommendation: Recommendation) -> tuple[RemediationOption, ...]:
    """Return the options that fit, none once Microsoft no longer lists the recommendation."""
    if recommendation.disappeared_at is not None:
        return ()
    fitting = (RemediationOption.CONFIGURATION_CHANGE,) if _is_configuration(recommendation) else SOFTWARE
    return (*fitting, RemediationOption.ATTENTION_REQUIRED)


def mitigations_for(recommendation: Recommendation) -> tuple[Mitigation, ...]:
    """Return the mitigations that may be asked for: blocking is for others' software, and no operating system.

    Microsoft also leaves out applications for macOS and Linux, those from the Store and those it is unsure about; no
    field of a recommendation tells which these are, so they are offered here.
    """
    if recommendation.disappeared_at is not None or _is_configuration(recommendation):
        return (Mitigation.NONE,)
    is_microsofts = recommendation.vendor.strip().casefold() == "microsoft"
    is_system = recommendation.category.strip().casefold() in _NOT_BLOCKED
    return (Mitigation.NONE,) if is_microsofts or is_system else tuple(Mitigation)


def _is_configuration(recommendation: Recommendation) -> bool:
    """Whether it is about a setting: `sca-_-scid-…`, or Microsoft's own word for what to do."""
    return (
        recommendation.recommendation_id.startswith("sca-")
        or recommendation.remediation_type.strip().casefold() == "configurationchange"
    )
