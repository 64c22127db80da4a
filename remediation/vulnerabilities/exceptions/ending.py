"""Ends exceptions whose day has passed, and tells of those about to end."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from connectors.outbound.telling import tell
from portal.audit.recording import SYSTEM
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.exceptions import telling
from remediation.vulnerabilities.exceptions.effects import refresh_effects
from remediation.vulnerabilities.exceptions.transitions import follow_global, hold, move
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import OPEN_EXCEPTION_STATES, ExceptionState

HEADS_UP: Final = timedelta(days=7)
"""So long before its last day people are told that an exception ends; one with a shorter term, at once."""


def end_due(tenant_id: UUID) -> None:
    """Tell of exceptions that end within a week and end those whose day has passed. Opens its own scope.

    What ends returns by itself: it is shown as exposed again, and what it had suspended is in effect for the rest of
    its term. One that nobody decided about in time expires too, without ever having been in effect.
    """
    with acting_for(tenant_id):
        hold(tenant_id)
        if _expire():
            refresh_effects(tenant_id)
        _tell_of_ending()


def _expire() -> bool:
    """End what is over, all of it before anything resumes; return whether something had been in effect."""
    over = RecommendationException.objects.filter(state__in=OPEN_EXCEPTION_STATES, expires_on__lt=today())
    granted = []
    for exception in over.select_related("recommendation").order_by("pk"):
        was_granted = exception.state != ExceptionState.REQUESTED
        reason = (
            _("Its last day is over.") if was_granted else _("Nobody decided about it before its last day was over.")
        )
        move(exception, ExceptionState.EXPIRED, actor=SYSTEM, reason=reason, changes={"ended_at": database_now()})
        if was_granted:
            granted.append(exception)
    for exception in granted:
        follow_global(exception, actor=SYSTEM)
        why = gettext_lazy("Its last day is over.")
        tell(exception.tenant_id, telling.ended(exception, why=why), key=f"exception-ended:{exception.pk}")
    return bool(granted)


def _tell_of_ending() -> None:
    soon = RecommendationException.objects.filter(
        state__in=(ExceptionState.IN_EFFECT, ExceptionState.SUSPENDED),
        told_ending_at=None,
        tenant__is_active=True,
        expires_on__lte=today() + HEADS_UP,
    )
    for exception in soon.select_related("recommendation").order_by("pk"):
        tell(exception.tenant_id, telling.ending(exception), key=f"exception-ending:{exception.pk}")
        exception.told_ending_at = database_now()
        exception.save(update_fields=["told_ending_at"])
