"""What an action does to people's devices and mail, in one sentence each, told before anybody approves it."""

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from remediation.actions.models import RemediationAction
from remediation.catalogue import CATALOGUE, ActionType

EFFECTS: Final[Mapping[str, Promise]] = {
    "collect_investigation_package": gettext_lazy("logs and settings are collected from the device; nothing changes."),
    "isolate_device": gettext_lazy("the device loses its network, except to Defender, until it is released."),
    "release_from_isolation": gettext_lazy("the device gets its network back."),
    "restrict_code_execution": gettext_lazy("only programs signed by Microsoft can run until it is released."),
    "release_code_execution": gettext_lazy("all programs can run again."),
    "run_antivirus_scan": gettext_lazy("Defender Antivirus scans the device; it may be slower meanwhile."),
    "stop_and_quarantine_file": gettext_lazy("the file's processes are stopped and the file goes into quarantine."),
    "release_from_quarantine": gettext_lazy("the file is put back where it was and can run again."),
    "request_sample": gettext_lazy("the file is copied from the device for analysis."),
    "offboard_device": gettext_lazy("Defender leaves the device: it is no longer watched or protected by it."),
    "delete_file": gettext_lazy("the file is deleted from the device."),
    "stop_process": gettext_lazy("the process is ended; its unsaved work is lost."),
    "remove_scheduled_task": gettext_lazy("the scheduled task is removed from the device."),
    "get_file_information": gettext_lazy("what Defender knows about the file is read; nothing changes."),
    "soft_delete_email": gettext_lazy("the messages leave the mailboxes; they stay recoverable for a while."),
    "move_to_junk": gettext_lazy("the messages move to the Junk Email folder."),
    "move_to_deleted_items": gettext_lazy("the messages move to the Deleted Items folder."),
    "hard_delete_email": gettext_lazy("the messages are deleted for good; their recipients cannot recover them."),
    "move_to_inbox": gettext_lazy("the messages go back to the Inbox."),
    "quarantine_email": gettext_lazy("the messages go into quarantine."),
    "quarantine_attachment": gettext_lazy("the attachments go into quarantine."),
    "release_email": gettext_lazy("the messages are released from quarantine."),
    "block_url": gettext_lazy("the address is blocked when somebody clicks it."),
    "unblock_url": gettext_lazy("the address can be opened again."),
    "turn_off_forwarding": gettext_lazy("the mailbox no longer forwards mail outside."),
    "restore_forwarding": gettext_lazy("the mailbox forwards mail outside again, as it did before."),
    "widen_investigation": gettext_lazy("the same evidence on more devices is acted on, by their groups' levels."),
}  # fmt: skip

SELECTIVE_ISOLATION: Final = gettext_lazy(
    "the device loses its network, except to Defender, Outlook, Teams and Skype, until it is released."
)


def describe_effect(action: RemediationAction) -> str:
    """Return what the action does, in words."""
    if action.parameters.get("isolation_type") == "Selective":
        return str(SELECTIVE_ISOLATION)
    return str(EFFECTS[action.type])


def describe_undo(kind: ActionType) -> str:
    """Return how an action of this type can be taken back, or that it cannot."""
    if not kind.inverse:
        return _("This cannot be undone.")
    inverse = CATALOGUE[kind.inverse]
    if not inverse.is_wired:
        return _("Quell cannot undo this yet: “%(inverse)s” is done in the Defender portal.") % {
            "inverse": inverse.label
        }
    return _("It can be undone by “%(inverse)s”: %(effect)s") % {
        "inverse": inverse.label,
        "effect": EFFECTS[inverse.name],
    }


def can_be_undone(kind: ActionType) -> bool:
    """Return whether Quell itself can take back an action of this type."""
    return bool(kind.inverse) and CATALOGUE[kind.inverse].is_wired
