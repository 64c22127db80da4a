"""The words of vulnerability management: options, priorities, justifications, and the states things go through.

Source: Microsoft, "Remediate vulnerabilities" and "Create exceptions" (facts 5.2 to 5.4); Intune's from the beta
contract of `deviceAppManagementTask`.
"""

from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class RemediationOption(TextChoices):
    """What a request asks the IT admins for."""

    SOFTWARE_UPDATE = "software_update", _("Software update")
    SOFTWARE_UNINSTALL = "software_uninstall", _("Software uninstall")
    CONFIGURATION_CHANGE = "configuration_change", _("Configuration change")
    ATTENTION_REQUIRED = "attention_required", _("Attention required")


class Mitigation(TextChoices):
    """What is asked for until the remediation is done. Recorded and told; Quell blocks nothing itself."""

    NONE = "none", _("None")
    BLOCK = "block", _("Block")
    WARN = "warn", _("Warn")


class Priority(TextChoices):
    """How urgent a request is. Intune knows no medium."""

    HIGH = "high", _("High")
    MEDIUM = "medium", _("Medium")
    LOW = "low", _("Low")


class ActivityState(TextChoices):
    """Whether a remediation activity is still followed."""

    ACTIVE = "active", _("Active")
    COMPLETED = "completed", _("Completed")


class Completion(TextChoices):
    """Who completed an activity; a person is shown by their e-mail."""

    PERSON = "person", _("Person")
    SYSTEM = "system", _("System confirmation")
    UNKNOWN = "unknown", _("N/A")


class Origin(TextChoices):
    """Where an activity or an exception was made."""

    QUELL = "quell", _("Quell")
    DEFENDER = "defender", _("Microsoft Defender")


class Standing(TextChoices):
    """How a device of an activity stands. `gone` has left the list and was not seen since."""

    EXPOSED = "exposed", _("Exposed")
    FIXED = "fixed", _("Fixed")
    GONE = "gone", _("Gone")


class RecommendationStatus(TextChoices):
    """What exceptions leave of a recommendation."""

    ACTIVE = "active", _("Active")
    PARTIAL_EXCEPTION = "partial_exception", _("Partial exception")
    FULL_EXCEPTION = "full_exception", _("Full exception")


class ExceptionKind(TextChoices):
    """What an exception is for."""

    RECOMMENDATION = "recommendation", _("Recommendation")
    CVE = "cve", _("CVE")


class ExceptionState(TextChoices):
    """How far an exception is."""

    REQUESTED = "requested", _("Waits for a second person")
    IN_EFFECT = "in_effect", _("In effect")
    SUSPENDED = "suspended", _("Suspended")
    EXPIRED = "expired", _("Expired")
    CANCELLED = "cancelled", _("Cancelled")
    REJECTED = "rejected", _("Rejected")


EXCEPTION_MOVES: Final[dict[ExceptionState, frozenset[ExceptionState]]] = {
    ExceptionState.REQUESTED: frozenset(
        {
            ExceptionState.IN_EFFECT,
            ExceptionState.SUSPENDED,
            ExceptionState.REJECTED,
            ExceptionState.CANCELLED,
            ExceptionState.EXPIRED,
        }
    ),
    ExceptionState.IN_EFFECT: frozenset({ExceptionState.SUSPENDED, ExceptionState.EXPIRED, ExceptionState.CANCELLED}),
    ExceptionState.SUSPENDED: frozenset({ExceptionState.IN_EFFECT, ExceptionState.EXPIRED, ExceptionState.CANCELLED}),
}

OPEN_EXCEPTION_STATES: Final = (ExceptionState.REQUESTED, ExceptionState.IN_EFFECT, ExceptionState.SUSPENDED)
"""The states an exception can still leave."""


class Justification(TextChoices):
    """Why something is left as it is. The last four are Microsoft's older set, taken over on import only."""

    THIRD_PARTY_CONTROL = "third_party_control", _("Third party control")
    ALTERNATE_MITIGATION = "alternate_mitigation", _("Alternate mitigation")
    RISK_ACCEPTED = "risk_accepted", _("Risk accepted")
    PLANNED_REMEDIATION = "planned_remediation", _("Planned remediation (grace)")
    CVE_WITHOUT_PATCH = "cve_without_patch", _("CVE with no patch")
    COMPENSATING_CONTROL = "compensating_control", _("Compensating/alternate control")
    BUSINESS_NEED = "business_need", _("Productivity/business need")
    ACCEPT_RISK = "accept_risk", _("Accept risk")
    OTHER = "other", _("Other")


class TaskKind(TextChoices):
    """The three kinds of security task in Intune, and one that Microsoft may add."""

    APP = "app", _("Application")
    CONFIGURATION = "configuration", _("Configuration")
    UNMANAGED_DEVICES = "unmanaged_devices", _("Unmanaged devices")
    OTHER = "other", _("Other")


class TaskStatus(TextChoices):
    """How far a security task is: first our own steps until Intune has it, then Intune's own words."""

    WAITING = "waiting", _("Waits to be sent to Intune")
    SENDING = "sending", _("Being sent to Intune")
    UNCONFIRMED = "unconfirmed", _("Sent, not confirmed")
    FAILED = "failed", _("Not made in Intune")
    PENDING = "pending", _("Pending")
    ACTIVE = "active", _("Accepted")
    REJECTED = "rejected", _("Rejected")
    COMPLETED = "completed", _("Completed")
    UNKNOWN = "unknown", _("Unknown")
    DELETED = "deleted", _("Deleted in Intune")


ON_THE_WAY: Final = (TaskStatus.WAITING, TaskStatus.SENDING, TaskStatus.UNCONFIRMED)
"""The states of a task that is to be made, before Intune has it for certain."""

AT_INTUNE: Final = (TaskStatus.PENDING, TaskStatus.ACTIVE, TaskStatus.UNKNOWN)
"""The states in which Intune has the task and may still change it."""

TASK_MOVES: Final[dict[TaskStatus, frozenset[TaskStatus]]] = {
    TaskStatus.PENDING: frozenset({TaskStatus.ACTIVE, TaskStatus.REJECTED}),
    TaskStatus.ACTIVE: frozenset({TaskStatus.COMPLETED}),
}
"""What people may ask Intune for; Microsoft documents no legal moves, so these are the ones its own pages offer."""


class IntuneHealth(TextChoices):
    """How the tenant's Intune is, as its partner connector and our last calls say."""

    UNTRIED = "untried", _("Not tried yet")
    ENABLED = "enabled", _("Enabled")
    AVAILABLE = "available", _("Available, not enabled in Intune")
    UNAVAILABLE = "unavailable", _("Not set up in Intune")
    UNRESPONSIVE = "unresponsive", _("Unresponsive")
    PERMISSIONS_MISSING = "permissions_missing", _("Permissions missing")
    REFUSED = "refused", _("Refused")
    UNREACHABLE = "unreachable", _("Unreachable")


class FeedState(TextChoices):
    """What the last reading of the known-exploited list came to."""

    UNTRIED = "untried", _("Not read yet")
    WORKING = "working", _("Working")
    UNREACHABLE = "unreachable", _("Unreachable")
    MALFORMED = "malformed", _("Refused: not readable")
    SHRUNK = "shrunk", _("Refused: shrunk by half or more")
