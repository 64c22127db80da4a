"""Deciding about an exception: a second person grants it or turns it down, with a reason."""

from uuid import UUID

from django.utils.translation import gettext as _

from portal.access.actors import Actor, actor_for
from portal.access.exceptions import Conflict, Forbidden
from portal.access.roles import Capability
from portal.tenancy.scope import database_now
from remediation.actions.answering import stated
from remediation.safeguards.refusals import refusals_on_record
from remediation.vulnerabilities.exceptions.effects import refresh_effects
from remediation.vulnerabilities.exceptions.preview import preview_of
from remediation.vulnerabilities.exceptions.transitions import IllegalMove, follow_global, lock, move, of_same_thing
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import ExceptionState


def capability_for(exception: RecommendationException) -> Capability:
    """Return what grants, turns down and ends this exception; one for the whole tenant takes more.

    Source: Microsoft, "Create exceptions": exception handling, and a Global Administrator for global ones (facts 5.4).
    """
    return Capability.EXCEPT_WHOLE_TENANT if exception.is_global else Capability.HANDLE_EXCEPTIONS


def approve(exception_id: UUID, *, actor: Actor, reason: str) -> RecommendationException:
    """Grant an exception that somebody else asked for.

    A global one suspends those by group of the same thing; one by group is suspended itself while a global one is in
    effect. Raises BadRequest without a reason, Forbidden without the right or for the requester, SecondFactorNeeded for
    a global one without a fresh second factor, Conflict where it does not wait any more, its last day is over, or the
    requester may no longer ask for it.
    """
    exception = grant(exception_id, actor=actor, reason=reason)
    refresh_effects(exception.tenant_id)
    return exception


def grant(exception_id: UUID, *, actor: Actor, reason: str) -> RecommendationException:
    """Do as `approve`, and leave working out what the tenant's exceptions cover to who grants several. Raises as it."""
    exception = lock(exception_id)
    reason = stated(reason)
    with refusals_on_record(
        exception.tenant_id,
        "exception.approval_refused",
        object_type="exception",
        object_id=exception.pk,
        actor=actor,
    ):
        _require_second_person(exception, actor)
        if exception.is_global:
            actor.require_second_factor()
        _require_waiting(exception)
        _require_sense(exception)
    expected = preview_of(exception)
    changes = {
        **_decision(actor, reason),
        "exposed_before": expected.exposed_before,
        "exposed_after": expected.exposed_after,
    }
    is_under_global = (
        not exception.is_global
        and of_same_thing(exception).filter(is_global=True, state=ExceptionState.IN_EFFECT).exists()
    )
    to = ExceptionState.SUSPENDED if is_under_global else ExceptionState.IN_EFFECT
    move(exception, to, actor=actor.stamp, reason=reason, changes=changes)
    follow_global(exception, actor=actor.stamp)
    return exception


def reject(exception_id: UUID, *, actor: Actor, reason: str) -> RecommendationException:
    """Turn down an exception that waits. Raises BadRequest, Forbidden and Conflict like `approve`."""
    exception = lock(exception_id)
    reason = stated(reason)
    _require_second_person(exception, actor)
    _require_waiting(exception)
    move(exception, ExceptionState.REJECTED, actor=actor.stamp, reason=reason, changes=_decision(actor, reason))
    return exception


def _decision(actor: Actor, reason: str) -> dict[str, object]:
    return {"decided_by_id": actor.id, "decided_at": database_now(), "decision_reason": reason}


def _require_second_person(exception: RecommendationException, actor: Actor) -> None:
    actor.require_person()
    if exception.requested_by_id == actor.id:
        raise Forbidden(_("You asked for this exception yourself; somebody else has to decide."))
    actor.require(capability_for(exception), exception.tenant_id)


def _require_waiting(exception: RecommendationException) -> None:
    if exception.state != ExceptionState.REQUESTED:
        raise IllegalMove(
            _("This exception no longer waits: it is “%(state)s”.") % {"state": ExceptionState(exception.state).label}
        )


def _require_sense(exception: RecommendationException) -> None:
    """Raise Conflict for what could not be asked for today."""
    if exception.expires_on < today():
        raise Conflict(_("The last day of this exception is over; who wants it asks anew."))
    requester = exception.requested_by
    if requester is None or not actor_for(requester, by_key=False).may(
        Capability.HANDLE_REMEDIATION, exception.tenant_id
    ):
        raise Conflict(_("Who asked for this may no longer do so. Reject it; who wants it asks anew."))
