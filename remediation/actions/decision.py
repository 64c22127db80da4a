"""Decides what happens about one piece of evidence: automatically, after approval, or nothing, and why.

The rules are Microsoft's (automation levels; remediation actions), as this product's design settles them.
`decide()` is pure, and the only place where they are written. It asks in this order, and the first answer counts:

1. Microsoft already remediated, prevented or blocked it: nothing is needed.
2. No threats were found: nothing is needed.
3. It was found on a device whose group has no automated response: nothing runs, nothing pends, whatever the verdict.
4. The verdict is unknown: it waits for one.
5. No action fits: the kind has none, what the action needs is missing, or the action is not available. Who received
   the messages of a mail cluster is looked up first; until then it waits.
6. It is suspicious: a person decides, at every level.
7. It is malicious: mail asks a person, a device's isolation too unless the tenant opted in, and the automation
   level decides about files, and about processes only where it is Full. Where a file really lies is in doubt: a person
   decides.
8. It would be automatic, and the device is protected: two people decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.folders import is_core_folder, is_temp_folder
from investigations.states import (
    ALREADY_HANDLED,
    MAIL_KINDS,
    AutomationLevel,
    EvidenceKind,
    EvidenceOutcome,
    RemediationStatus,
    Verdict,
)

ACTION_OF_KIND: Final = {
    EvidenceKind.DEVICE: "isolate_device",
    EvidenceKind.FILE: "stop_and_quarantine_file",
    EvidenceKind.PROCESS: "stop_and_quarantine_file",
    EvidenceKind.ANALYZED_MESSAGE: "soft_delete_email",
    EvidenceKind.MAIL_CLUSTER: "soft_delete_email",
    EvidenceKind.URL: "block_url",
    EvidenceKind.MAILBOX: "turn_off_forwarding",
}
"""Which action a kind of evidence leads to; a process leads to the one for its image."""

MOST_MESSAGES: Final = 10_000
"""A mail cluster of more messages is no matter for one decision."""

_LABELS: Final = {
    "isolate_device": gettext_lazy("Isolate device"),
    "stop_and_quarantine_file": gettext_lazy("Stop and quarantine file"),
    "soft_delete_email": gettext_lazy("Soft delete email"),
    "block_url": gettext_lazy("Block URL (time of click)"),
    "turn_off_forwarding": gettext_lazy("Turn off external mail forwarding"),
}
_FILE_KINDS: Final = frozenset({EvidenceKind.FILE, EvidenceKind.PROCESS})


@dataclass(frozen=True, slots=True)
class Facts:
    """All a decision rests on.

    `automation_level` is the device group's; None for mail, and where the group is not known, which asks a person.
    `file_path` is folder and name. For mail clusters, `recipients_known` is whether it is known who received every
    message, `recipients_error` why that could not be looked up, `looked_up_again_at` when it is tried again if it is
    (UTC), `message_count` how many messages in mailboxes are known, and `message_total` how many there should be, by
    Microsoft's count and by what was looked up in vain. `has_url` is whether the address can be on Exchange's block
    list. `wired` names the action types that can be requested. `device_isolation_is_automatic` and `is_protected`, the
    device's, are the tenant's own choice.
    """

    kind: EvidenceKind
    verdict: Verdict
    remediation_status: RemediationStatus
    automation_level: AutomationLevel | None
    file_path: str
    has_sha1: bool
    has_device: bool
    recipients_known: bool
    wired: frozenset[str]
    device_isolation_is_automatic: bool = False
    is_protected: bool = False
    recipients_error: str = ""
    looked_up_again_at: datetime | None = None
    message_count: int = 1
    message_total: int = 1
    has_url: bool = True
    has_mailbox: bool = True


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens, with which action ("" for none), and the reason in a sentence for people."""

    outcome: EvidenceOutcome
    action_type: str
    reason: str


def decide(facts: Facts) -> Decision:
    """Return what happens about this piece of evidence. Never raises, touches nothing."""
    if settled := _without_action(facts):
        return settled
    if facts.kind == EvidenceKind.MAIL_CLUSTER and (reason := _awaited_recipients(facts)):
        return Decision(EvidenceOutcome.WAITING_FOR_RECIPIENTS, "", reason)
    if obstacle := _obstacle(facts):
        return Decision(EvidenceOutcome.NO_ACTION, "", obstacle)
    is_automatic, reason = _approval(facts)
    if facts.message_count < facts.message_total:
        reason = f"{reason} {_shortfall(facts)}"
    outcome = EvidenceOutcome.AUTOMATIC if is_automatic else EvidenceOutcome.PENDING
    return Decision(outcome, ACTION_OF_KIND[facts.kind], reason)


def _without_action(facts: Facts) -> Decision | None:
    """Answer steps 1 to 4, where no action comes into question."""
    if facts.remediation_status in ALREADY_HANDLED:
        reason = _("Microsoft has already handled this: %(status)s.") % {"status": facts.remediation_status.label}
        return Decision(EvidenceOutcome.NOT_NEEDED, "", reason)
    if facts.verdict == Verdict.NO_THREATS_FOUND:
        return Decision(EvidenceOutcome.NOT_NEEDED, "", _("No threats were found."))
    is_on_device = facts.has_device and facts.kind not in MAIL_KINDS
    if is_on_device and facts.automation_level == AutomationLevel.NO_AUTOMATED_RESPONSE:
        reason = _("The device group has no automated response: nothing runs and nothing waits for approval.")
        return Decision(EvidenceOutcome.NO_AUTOMATED_RESPONSE, "", reason)
    if facts.verdict == Verdict.UNKNOWN:
        return Decision(EvidenceOutcome.WAITING_FOR_VERDICT, "", _("There is no verdict yet."))
    return None


def _awaited_recipients(facts: Facts) -> str:
    """Say that the recipients of a cluster are looked up, or will be again, "" where they are not."""
    if facts.recipients_known:
        return ""
    if facts.looked_up_again_at is None:
        return "" if facts.recipients_error else _("The recipients of these messages are being looked up.")
    if not facts.recipients_error:
        words = _(
            "Some of these messages are in no mailbox yet by what Microsoft tells; looked up again at %(time)s UTC."
        )
        return words % {"time": f"{facts.looked_up_again_at:%Y-%m-%d %H:%M}"}
    words = _("Who received these messages could not be looked up; it is tried again at %(time)s UTC. %(error)s")
    return words % {"time": f"{facts.looked_up_again_at:%Y-%m-%d %H:%M}", "error": facts.recipients_error}


def _shortfall(facts: Facts) -> str:
    words = _("Only %(known)d of %(total)d messages are known; the others are not acted on.")
    return words % {"known": facts.message_count, "total": facts.message_total}


def _obstacle(facts: Facts) -> str:
    """Answer step 5: why no action can be taken, "" if one can."""
    action_type = ACTION_OF_KIND.get(facts.kind)
    if action_type is None:
        return _("There is no action for this kind of evidence: %(kind)s.") % {"kind": facts.kind.label}
    if facts.kind not in MAIL_KINDS and not facts.has_device:
        return _("Cannot act: no device.")
    if facts.kind in _FILE_KINDS and not facts.has_sha1:
        return _("Cannot act: no SHA-1.")
    if facts.kind in MAIL_KINDS and (missing := _missing_of_mail(facts)):
        return missing
    if action_type not in facts.wired:
        return _("Cannot act: “%(action)s” is not available yet.") % {"action": _LABELS[action_type]}
    return ""


def _missing_of_mail(facts: Facts) -> str:
    """Say what an action on mail would need and has not, "" where it has all."""
    if facts.kind == EvidenceKind.URL and not facts.has_url:
        return _("Cannot act: Exchange's block list cannot hold this address.")
    if facts.kind == EvidenceKind.MAILBOX and not facts.has_mailbox:
        return _("Cannot act: the address of the mailbox is not known.")
    return _missing_of_cluster(facts) if facts.kind == EvidenceKind.MAIL_CLUSTER else ""


def _missing_of_cluster(facts: Facts) -> str:
    if not facts.recipients_known:
        words = _(
            "Cannot act: who received these messages could not be looked up, and it is not tried again by itself; the "
            "page of the look-up, under Hunting, tries it anew. %(error)s"
        )
        return words % {"error": facts.recipients_error}
    if not facts.message_count:
        return _("Cannot act: none of these messages was found in a mailbox.")
    if facts.message_count > MOST_MESSAGES:
        return _(
            "Cannot act: these are more than 10,000 messages. Search for them in the Explorer, and act on a part at a"
            " time."
        )
    return ""


def _approval(facts: Facts) -> tuple[bool, str]:
    """Answer steps 6 to 8: whether the action needs nobody's approval, and why."""
    is_automatic, reason = _approval_by_verdict(facts)
    if is_automatic and facts.is_protected:
        return False, _("It is malicious, and the device is protected: two people decide.")
    return is_automatic, reason


def _approval_by_verdict(facts: Facts) -> tuple[bool, str]:
    if facts.verdict == Verdict.SUSPICIOUS:
        return False, _("It is suspicious, not malicious: a person decides.")
    if facts.kind in MAIL_KINDS:
        return False, _("It is malicious; action on mail needs approval.")
    if facts.kind == EvidenceKind.DEVICE:
        return _approval_of_isolation(facts)
    return _approval_by_level(facts)


def _approval_of_isolation(facts: Facts) -> tuple[bool, str]:
    if facts.device_isolation_is_automatic and facts.automation_level == AutomationLevel.FULL:
        return True, _("It is malicious, and automatic isolation is turned on for this tenant.")
    return False, _("It is malicious; isolating a device needs approval.")


def _approval_by_level(facts: Facts) -> tuple[bool, str]:
    level = facts.automation_level
    if level == AutomationLevel.FULL:
        return True, _("It is malicious, and the device group remediates threats automatically.")
    if level == AutomationLevel.SEMI_ALL_FOLDERS:
        return False, _("It is malicious; the device group requires approval for all folders.")
    if level is None:
        return False, _("It is malicious; the device group is not known, so a person decides.")
    if facts.kind != EvidenceKind.FILE:
        return False, _("It is malicious and running; the device group lets folders decide about files only.")
    by_folder = _approval_by_core_folder if level == AutomationLevel.SEMI_CORE_FOLDERS else _approval_by_temp_folder
    return by_folder(facts.file_path)


def _approval_by_core_folder(path: str) -> tuple[bool, str]:
    is_core = is_core_folder(path)
    if is_core is None:
        return False, _in_doubt()
    if is_core:
        return False, _("It is malicious and in a core folder, where the device group requires approval.")
    return True, _("It is malicious and in no core folder.")


def _approval_by_temp_folder(path: str) -> tuple[bool, str]:
    is_temporary = is_temp_folder(path)
    if is_temporary is None:
        return False, _in_doubt()
    if is_temporary:
        return True, _("It is malicious and in a temporary folder.")
    return False, _("It is malicious and in no temporary folder; the device group requires approval.")


def _in_doubt() -> str:
    return _("It is malicious; which folder it is in cannot be told for certain, so a person decides.")


class TableRow(NamedTuple):
    """One line of the printed table; `level` is "any" or the levels it holds for, `action` "" for none."""

    verdict: str
    on: str
    level: str
    outcome: str
    action: str


def decision_table() -> list[TableRow]:
    """Return the decisions for every verdict, every sort of evidence and every level, as `decide()` gives them.

    Every action counts as available. Levels with the same answer share a row.
    """
    return [
        TableRow(str(verdict.label), on, _level_names(levels), str(outcome.label), str(_LABELS.get(action_type, "")))
        for verdict in (Verdict.MALICIOUS, Verdict.SUSPICIOUS, Verdict.NO_THREATS_FOUND, Verdict.UNKNOWN)
        for on, example in _examples()
        for (outcome, action_type), levels in _answers(replace(example, verdict=verdict))
    ]


def _examples() -> Iterator[tuple[str, Facts]]:
    on_device = Facts(
        kind=EvidenceKind.FILE,
        verdict=Verdict.UNKNOWN,
        remediation_status=RemediationStatus.NONE,
        automation_level=None,
        file_path="",
        has_sha1=True,
        has_device=True,
        recipients_known=True,
        wired=frozenset(ACTION_OF_KIND.values()),
    )
    yield _("file in a core folder"), replace(on_device, file_path=r"C:\Windows\System32\a.exe")
    yield _("file in a temporary folder"), replace(on_device, file_path=r"C:\Users\a\Downloads\a.exe")
    yield _("file in another folder"), replace(on_device, file_path=r"D:\Data\a.exe")
    yield _("file, folder in doubt"), on_device
    yield _("file or process without SHA-1"), replace(on_device, has_sha1=False)
    yield _("file or process on a protected device"), replace(on_device, is_protected=True)
    yield _("process"), replace(on_device, kind=EvidenceKind.PROCESS, file_path=r"D:\Data\a.exe")
    yield _("the device itself"), replace(on_device, kind=EvidenceKind.DEVICE)
    yield _("anything else on a device"), replace(on_device, kind=EvidenceKind.REGISTRY_KEY)
    for kind in (EvidenceKind.ANALYZED_MESSAGE, EvidenceKind.MAIL_CLUSTER, EvidenceKind.URL, EvidenceKind.MAILBOX):
        yield str(kind.label), replace(on_device, kind=kind, has_device=False)


def _answers(facts: Facts) -> Iterator[tuple[tuple[EvidenceOutcome, str], list[AutomationLevel]]]:
    decided = [(level, decide(replace(facts, automation_level=level))) for level in AutomationLevel]
    for answer, group in groupby(decided, key=lambda pair: (pair[1].outcome, pair[1].action_type)):
        yield answer, [level for level, _decision in group]


def _level_names(levels: list[AutomationLevel]) -> str:
    return _("any") if len(levels) == len(AutomationLevel) else "; ".join(str(level.label) for level in levels)
