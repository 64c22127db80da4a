"""The questions asked about remediation activities. The tenants in scope come from the manager, never from here."""

from datetime import UTC, date, datetime, timedelta
from typing import Final, Self, TypeVar

from django.db import models

from remediation.vulnerabilities.states import ActivityState, RemediationOption

Row = TypeVar("Row", bound=models.Model, covariant=True)

DUE_SOON_DAYS: Final = 3
IS_MEASURED: Final = ~models.Q(option=RemediationOption.ATTENTION_REQUIRED)
"""Of an activity: that its devices say how far it is; with attention required there is nothing to measure."""


def today() -> date:
    """Return the day it is, UTC: due dates are days of UTC."""
    return datetime.now(UTC).date()


class ActivityQuerySet(models.QuerySet[Row]):
    """Remediation activities, by how far they are and when they are due."""

    def active(self) -> Self:
        """Activities that are still followed."""
        return self.filter(state=ActivityState.ACTIVE)

    def overdue(self) -> Self:
        """Active ones whose due day has passed."""
        return self.active().filter(due_on__lt=today())

    def due_soon(self) -> Self:
        """Active ones that are due today or within three days."""
        return self.active().filter(due_on__range=(today(), today() + timedelta(days=DUE_SOON_DAYS)))

    def measured(self) -> Self:
        """Those that have progress."""
        return self.filter(IS_MEASURED)
