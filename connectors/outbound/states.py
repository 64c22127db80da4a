"""The words of this app: what can be told, by which kind of channel, and what became of a delivery."""

from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Event(TextChoices):
    """What a channel can be told of."""

    REMEDIATION_REQUESTED = "remediation_requested", _("Remediation requested")
    TICKET_REJECTED = "ticket_rejected", _("Ticket rejected in Intune")
    DUE_SOON = "due_soon", _("Due soon")
    OVERDUE = "overdue", _("Overdue")
    REMEDIATION_COMPLETED = "remediation_completed", _("Remediation completed")
    EXPOSED_AGAIN = "exposed_again", _("Exposed again")
    EXCEPTION_REQUESTED = "exception_requested", _("Exception requested")
    EXCEPTION_GREW = "exception_grew", _("New devices in an exception")
    EXCEPTION_ENDING = "exception_ending", _("Exception about to end")
    EXCEPTION_ENDED = "exception_ended", _("Exception ended")


TEST: Final = "test"
DELIVERY_EVENTS: Final = (*Event.choices, (TEST, _("Test message")))
"""What a delivery can be of: what a channel asked for, or a test that somebody ordered."""


class ChannelKind(TextChoices):
    """How a channel reaches people."""

    EMAIL = "email", _("E-mail")
    TEAMS = "teams", _("Microsoft Teams workflow")
    SLACK = "slack", _("Slack")
    WEBHOOK = "webhook", _("Signed webhook")


class DeliveryState(TextChoices):
    """Where a delivery is. The last three are final; unknown means that it may have arrived."""

    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Failed")
    UNKNOWN = "unknown", _("Unknown")


OPEN_STATES: Final = (DeliveryState.QUEUED, DeliveryState.SENDING)
