"""How far a hunt is, and who wanted to know."""

from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from remediation.actions.states import Source


class HuntState(TextChoices):
    """How far a hunt is."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


OPEN_STATES: Final = (HuntState.QUEUED, HuntState.RUNNING)
"""A worker still has something to do about it."""


class HuntSource(TextChoices):
    """Where a hunt came from: a query of a person's, a search form, or Quell looking up who received messages."""

    ADVANCED_HUNTING = "advanced_hunting", _("Advanced hunting")
    EXPLORER = "explorer", _("Explorer")
    CLUSTER = "cluster", _("Email cluster")


ACTION_SOURCES: Final = {
    HuntSource.ADVANCED_HUNTING: Source.ADVANCED_HUNTING,
    HuntSource.EXPLORER: Source.EXPLORER,
    HuntSource.CLUSTER: Source.ADVANCED_HUNTING,
}
"""The source of an action that rows of a hunt led to, in Microsoft's words."""
