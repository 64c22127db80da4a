"""The words of an investigation, spelled as Microsoft spells them in Graph and in the Defender API.

Samples mix camelCase and PascalCase, so every `read()` is blind to case, spaces, dashes and underscores.
"""

from collections.abc import Mapping
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Verdict(TextChoices):
    """What a piece of evidence was found to be (Graph: `evidenceVerdict`)."""

    UNKNOWN = "unknown", _("Unknown")
    SUSPICIOUS = "suspicious", _("Suspicious")
    MALICIOUS = "malicious", _("Malicious")
    NO_THREATS_FOUND = "noThreatsFound", _("No threats found")

    @classmethod
    def read(cls, word: str) -> "Verdict":
        """Return the verdict a word stands for; a word Microsoft may add later is `unknown`, never a guess."""
        return cls(_spelling(word, cls.values, cls.UNKNOWN))


class RemediationStatus(TextChoices):
    """What Microsoft says was already done about a piece of evidence (Graph: `evidenceRemediationStatus`).

    Those after `unknownFutureValue` are sent only to who asks with `Prefer: include-unknown-enum-members`.
    """

    NONE = "none", _("None")
    REMEDIATED = "remediated", _("Remediated")
    PREVENTED = "prevented", _("Prevented")
    BLOCKED = "blocked", _("Blocked")
    NOT_FOUND = "notFound", _("Not found")
    UNKNOWN_FUTURE_VALUE = "unknownFutureValue", _("Unknown")
    ACTIVE = "active", _("Active")
    PENDING_APPROVAL = "pendingApproval", _("Pending approval")
    DECLINED = "declined", _("Declined")
    UNREMEDIATED = "unremediated", _("Unremediated")
    RUNNING = "running", _("Running")
    PARTIALLY_REMEDIATED = "partiallyRemediated", _("Partially remediated")

    @classmethod
    def read(cls, word: str) -> "RemediationStatus":
        """Return the status a word stands for: none for no word, `unknownFutureValue` for one we do not know.

        `notRemediated`, found in some lists, is another spelling of `unremediated`.
        """
        if _folded(word) == "notremediated":
            return cls.UNREMEDIATED
        return cls(_spelling(word, cls.values, cls.UNKNOWN_FUTURE_VALUE if word.strip() else cls.NONE))


ALREADY_HANDLED: Final = frozenset(
    {RemediationStatus.REMEDIATED, RemediationStatus.PREVENTED, RemediationStatus.BLOCKED}
)
"""The statuses with which Microsoft says that nothing is left to do."""


class AutomationLevel(TextChoices):
    """How far a device group lets remediation go without a person (Microsoft: automation levels)."""

    FULL = "full", _("Full - remediate threats automatically")
    SEMI_ALL_FOLDERS = "semi_all_folders", _("Semi - require approval for all folders")
    SEMI_CORE_FOLDERS = "semi_core_folders", _("Semi - require approval for core folders remediation")
    SEMI_NON_TEMP_FOLDERS = "semi_non_temp_folders", _("Semi - require approval for non-temp folders remediation")
    NO_AUTOMATED_RESPONSE = "no_automated_response", _("No automated response")


class EvidenceKind(TextChoices):
    """What a piece of evidence is: the kinds an action or a person commonly turns to; all others are OTHER."""

    DEVICE = "device", _("Device")
    FILE = "file", _("File")
    PROCESS = "process", _("Process")
    URL = "url", _("URL")
    IP = "ip", _("IP address")
    USER = "user", _("User")
    MAILBOX = "mailbox", _("Mailbox")
    ANALYZED_MESSAGE = "analyzed_message", _("Email message")
    MAIL_CLUSTER = "mail_cluster", _("Email cluster")
    REGISTRY_KEY = "registry_key", _("Registry key")
    REGISTRY_VALUE = "registry_value", _("Registry value")
    CLOUD_APPLICATION = "cloud_application", _("Cloud application")
    OAUTH_APPLICATION = "oauth_application", _("OAuth application")
    SECURITY_GROUP = "security_group", _("Security group")
    OTHER = "other", _("Other")


KIND_OF_TYPE: Final[Mapping[str, EvidenceKind]] = {
    "deviceevidence": EvidenceKind.DEVICE,
    "fileevidence": EvidenceKind.FILE,
    "processevidence": EvidenceKind.PROCESS,
    "urlevidence": EvidenceKind.URL,
    "ipevidence": EvidenceKind.IP,
    "userevidence": EvidenceKind.USER,
    "mailboxevidence": EvidenceKind.MAILBOX,
    "analyzedmessageevidence": EvidenceKind.ANALYZED_MESSAGE,
    "mailclusterevidence": EvidenceKind.MAIL_CLUSTER,
    "registrykeyevidence": EvidenceKind.REGISTRY_KEY,
    "registryvalueevidence": EvidenceKind.REGISTRY_VALUE,
    "cloudapplicationevidence": EvidenceKind.CLOUD_APPLICATION,
    "oauthapplicationevidence": EvidenceKind.OAUTH_APPLICATION,
    "securitygroupevidence": EvidenceKind.SECURITY_GROUP,
}
"""Graph's evidence types, in lower case and without name space, and the kind each is."""

OTHER_TYPES: Final = frozenset(
    {
        "activedirectorydomainevidence",
        "aiagentevidence",
        "amazonresourceevidence",
        "azureresourceevidence",
        "blobevidence",
        "blobcontainerevidence",
        "cloudlogonrequestevidence",
        "cloudlogonsessionevidence",
        "containerevidence",
        "containerimageevidence",
        "containerregistryevidence",
        "dnsevidence",
        "filehashevidence",
        "githuborganizationevidence",
        "githubrepoevidence",
        "githubuserevidence",
        "googlecloudresourceevidence",
        "hostlogonsessionevidence",
        "iotdeviceevidence",
        "kubernetesclusterevidence",
        "kubernetescontrollerevidence",
        "kubernetesnamespaceevidence",
        "kubernetespodevidence",
        "kubernetessecretevidence",
        "kubernetesserviceevidence",
        "kubernetesserviceaccountevidence",
        "mailboxconfigurationevidence",
        "malwareevidence",
        "networkconnectionevidence",
        "nicevidence",
        "sastokenevidence",
        "serviceprincipalevidence",
        "submissionmailevidence",
        "teamsmessageevidence",
    }
)
"""Graph's other evidence types, which no action and no list of ours turns to: kept as OTHER, and no surprise."""

MAIL_KINDS: Final = frozenset(
    {EvidenceKind.URL, EvidenceKind.MAILBOX, EvidenceKind.ANALYZED_MESSAGE, EvidenceKind.MAIL_CLUSTER}
)
"""The kinds that belong to mail, where no device group has a say."""


class InvestigationState(TextChoices):
    """How far an investigation is: the 18 states of Microsoft's API. Quell sets those in `SET_BY_QUELL`."""

    UNKNOWN = "Unknown", _("Unknown")
    QUEUED = "Queued", _("Queued")
    RUNNING = "Running", _("Running")
    PENDING_APPROVAL = "PendingApproval", _("Pending approval")
    PENDING_RESOURCE = "PendingResource", _("Pending resource")
    SUCCESSFULLY_REMEDIATED = "SuccessfullyRemediated", _("Remediated")
    PARTIALLY_REMEDIATED = "PartiallyRemediated", _("Partially remediated")
    PARTIALLY_INVESTIGATED = "PartiallyInvestigated", _("Partially investigated")
    BENIGN = "Benign", _("No threats found")
    FAILED = "Failed", _("Failed")
    INNER_FAILURE = "InnerFailure", _("Internal failure")
    TERMINATED = "Terminated", _("Terminated")
    TERMINATED_BY_USER = "TerminatedByUser", _("Terminated by user")
    TERMINATED_BY_SYSTEM = "TerminatedBySystem", _("Terminated by system")
    PREEXISTING_ALERT = "PreexistingAlert", _("Preexisting alert")
    SUPPRESSED_ALERT = "SuppressedAlert", _("Suppressed alert")
    UNSUPPORTED_OS = "UnsupportedOs", _("Unsupported operating system")
    UNSUPPORTED_ALERT_TYPE = "UnsupportedAlertType", _("Unsupported alert type")

    @classmethod
    def read(cls, word: str) -> "InvestigationState":
        """Return the state a word stands for, `Unknown` for a word Microsoft may add later."""
        return cls(_spelling(word, cls.values, cls.UNKNOWN))


OPEN_STATES: Final = frozenset(
    {
        InvestigationState.UNKNOWN,
        InvestigationState.QUEUED,
        InvestigationState.RUNNING,
        InvestigationState.PENDING_APPROVAL,
        InvestigationState.PENDING_RESOURCE,
    }
)
"""The states an investigation may still leave by itself."""

SET_BY_QUELL: Final = frozenset(
    {
        InvestigationState.QUEUED,
        InvestigationState.RUNNING,
        InvestigationState.PENDING_APPROVAL,
        InvestigationState.SUCCESSFULLY_REMEDIATED,
        InvestigationState.PARTIALLY_REMEDIATED,
        InvestigationState.BENIGN,
        InvestigationState.TERMINATED_BY_SYSTEM,
        InvestigationState.TERMINATED_BY_USER,
        InvestigationState.UNSUPPORTED_ALERT_TYPE,
    }
)
"""The states our own investigations go through; the others are only read from Microsoft."""


class EvidenceOutcome(TextChoices):
    """What was decided about a piece of evidence."""

    AUTOMATIC = "automatic", _("Automatic")
    PENDING = "pending", _("Pending approval")
    NOT_NEEDED = "not_needed", _("Nothing needed")
    WAITING_FOR_VERDICT = "waiting_for_verdict", _("Waiting for a verdict")
    WAITING_FOR_RECIPIENTS = "waiting_for_recipients", _("Looking up recipients")
    NO_AUTOMATED_RESPONSE = "no_automated_response", _("No automated response")
    NO_ACTION = "no_action", _("No action")


WAITING_OUTCOMES: Final = frozenset({EvidenceOutcome.WAITING_FOR_VERDICT, EvidenceOutcome.WAITING_FOR_RECIPIENTS})
"""What is not decided for good: it is decided anew when what it waits for is there."""


def _folded(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _spelling(word: str, values: list[str], otherwise: str) -> str:
    return {_folded(value): value for value in values}.get(_folded(word), otherwise)
