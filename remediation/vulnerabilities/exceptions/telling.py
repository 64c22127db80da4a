"""What IT admins are told about exceptions."""

from collections.abc import Sequence
from typing import Final

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from connectors.outbound.telling import Event, Notice, said_later
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.states import ExceptionState, Justification

_SUBJECTS: Final = {
    Event.EXCEPTION_REQUESTED: gettext_noop("An exception for %(thing)s waits for a second person"),
    Event.EXCEPTION_ENDING: gettext_noop("The exception for %(thing)s is about to end"),
    Event.EXCEPTION_ENDED: gettext_noop("The exception for %(thing)s has ended"),
    Event.EXCEPTION_GREW: gettext_noop("New devices in the exception for %(thing)s"),
}


def requested(exception: RecommendationException, *, by: str) -> Notice:
    """Say that an exception waits for a second person."""
    return _notice(Event.EXCEPTION_REQUESTED, exception, (_("Requested by"), by))


def imported(exceptions: Sequence[RecommendationException], *, by: str) -> Notice:
    """Say once that several exceptions of a tenant, at least one, wait for a second person."""
    subject = said_later(
        gettext_noop("%(count)s imported exceptions wait for a second person"), count=str(len(exceptions))
    )
    facts = [
        (_("Exceptions for"), ", ".join(dict.fromkeys(str(exception) for exception in exceptions))),
        (_("Requested by"), by),
    ]
    register = reverse("admin:vulnerabilities_recommendationexception_changelist")
    path = f"{register}?state__exact={ExceptionState.REQUESTED.value}"
    return Notice(Event.EXCEPTION_REQUESTED, subject, facts, path, "exception", exceptions[0].pk)


def ending(exception: RecommendationException) -> Notice:
    """Say that an exception is about to end, and what returns then."""
    return _notice(Event.EXCEPTION_ENDING, exception, (_("Afterwards"), _("It is shown as exposed again.")))


def ended(exception: RecommendationException, *, why: str | Promise) -> Notice:
    """Say that an exception has ended."""
    return _notice(Event.EXCEPTION_ENDED, exception, (_("Why"), why))


def grew(exception: RecommendationException) -> Notice:
    """Say that devices came into the scope of an exception after it was granted."""
    return _notice(Event.EXCEPTION_GREW, exception, (_("New devices"), str(exception.new_device_count)))


def _notice(event: Event, exception: RecommendationException, fact: tuple[Promise, str | Promise]) -> Notice:
    facts = [
        (_("Exception for"), str(exception)),
        (_("Applies to"), scope_in_words(exception)),
        (_("Justification"), Justification(exception.justification).label),
        (_("Last day (UTC)"), exception.expires_on.isoformat()),
        fact,
    ]
    path = reverse("admin:vulnerabilities_recommendationexception_change", args=[exception.pk])
    subject = said_later(_SUBJECTS[event], thing=str(exception))
    return Notice(event, subject, facts, path, "exception", exception.pk)


def scope_in_words(exception: RecommendationException) -> str | Promise:
    """Name the device groups an exception applies to, or the whole tenant."""
    return _("the whole tenant") if exception.is_global else ", ".join(exception.group_names)
