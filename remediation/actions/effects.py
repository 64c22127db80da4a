"""What an action does to people's devices and mail, in one sentence each, told before anybody approves it."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

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
    "allow_indicator": gettext_lazy("Defender lets it pass on all the tenant's devices, and no longer acts on it."),
    "block_indicator": gettext_lazy("Defender blocks it on all the tenant's devices."),
    "remove_indicator": gettext_lazy("the tenant's own rule about it is removed, and Defender judges it again."),
    "classify_alert": gettext_lazy("the alert gets this classification at Microsoft, in place of the one it had."),
    "submit_email": gettext_lazy("the messages and their contents go to Microsoft to be judged anew."),
    "submit_url": gettext_lazy("the address goes to Microsoft to be judged anew."),
    "submit_file": gettext_lazy("the file goes to Microsoft to be judged anew."),
    "widen_investigation": gettext_lazy("the same evidence on more devices is acted on, by their groups' levels."),
}  # fmt: skip

SELECTIVE_ISOLATION: Final = gettext_lazy(
    "the device loses its network, except to Defender, Outlook, Teams and Skype, until it is released."
)


def describe_effect(action: RemediationAction) -> str:
    """Return what the action does, in words."""
    return describe_effect_of(action.kind, action.parameters)


def describe_effect_of(kind: ActionType, parameters: Mapping[str, Any]) -> str:
    """Return what an action of this type with these parameters does, in words."""
    if parameters.get("isolation_type") == "Selective":
        return str(SELECTIVE_ISOLATION)
    effect = str(EFFECTS[kind.name])
    if days := parameters.get("days"):
        return ngettext("%(effect)s It holds for %(days)d day.", "%(effect)s It holds for %(days)d days.", days) % {
            "effect": effect,
            "days": days,
        }
    return effect


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
