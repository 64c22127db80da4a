"""The states of a remediation action and the moves between them; docs/life-of-an-action.md draws them."""

from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class State(TextChoices):
    """How far an action is. `unknown` is a state of its own: a time-out is neither success nor failure."""

    PENDING_APPROVAL = "pending_approval", _("Pending approval")
    APPROVED = "approved", _("Approved")
    SENDING = "sending", _("Sending")
    ACCEPTED = "accepted", _("Accepted")
    UNKNOWN = "unknown", _("Unknown")
    NEEDS_ATTENTION = "needs_attention", _("Needs attention")
    SUCCEEDED = "succeeded", _("Completed")
    FAILED = "failed", _("Failed")
    TIMED_OUT = "timed_out", _("Timed out")
    CANCELLED = "cancelled", _("Cancelled")
    REJECTED = "rejected", _("Rejected")
    EXPIRED = "expired", _("Expired")


BIRTH_STATES: Final = frozenset({State.PENDING_APPROVAL, State.APPROVED})
"""An action begins waiting for people, or approved where nobody needs to be asked."""

MOVES: Final[dict[State, frozenset[State]]] = {
    State.PENDING_APPROVAL: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.CANCELLED}),
    State.APPROVED: frozenset({State.SENDING, State.EXPIRED, State.CANCELLED}),
    State.SENDING: frozenset({State.ACCEPTED, State.FAILED, State.APPROVED, State.UNKNOWN}),
    State.ACCEPTED: frozenset({State.SUCCEEDED, State.FAILED, State.TIMED_OUT, State.CANCELLED}),
    State.UNKNOWN: frozenset({State.ACCEPTED, State.APPROVED, State.FAILED, State.NEEDS_ATTENTION}),
    State.NEEDS_ATTENTION: frozenset({State.SUCCEEDED, State.FAILED, State.APPROVED}),
}

OUT_STATES: Final = frozenset({State.SENDING, State.ACCEPTED, State.UNKNOWN})
"""The action is, or may be, with the vendor."""

OPEN_STATES: Final = frozenset(MOVES)
"""The action may still change; one open action per target and parameters."""

UNSENT_STATES: Final = frozenset({State.PENDING_APPROVAL, State.APPROVED})
"""Nothing has left the house: a newer verdict may still cancel the action."""


class Source(TextChoices):
    """Where an action came from, in Microsoft's words (Defender: Action center, *Action source*)."""

    AUTOMATED_DEVICE = "automated_device", _("Automated device action")
    AUTOMATED_EMAIL = "automated_email", _("Automated email action")
    MANUAL_DEVICE = "manual_device", _("Manual device action")
    MANUAL_EMAIL = "manual_email", _("Manual email action")
    ADVANCED_HUNTING = "advanced_hunting", _("Advanced hunting action")
    EXPLORER = "explorer", _("Explorer action")
    MANUAL_LIVE_RESPONSE = "manual_live_response", _("Manual live response action")
    LIVE_RESPONSE = "live_response", _("Live response action")


class Answer(TextChoices):
    """What a person decided."""

    APPROVE = "approve", _("Approve")
    REJECT = "reject", _("Reject")
