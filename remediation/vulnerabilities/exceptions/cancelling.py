"""Ending an exception early: all of it, or for one of its device groups."""

from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from connectors.outbound.telling import said_later, tell
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest
from portal.access.roles import Capability
from portal.api.fields import NOT_YOURS
from portal.tenancy.scope import database_now
from remediation.actions.answering import stated
from remediation.vulnerabilities.exceptions import telling
from remediation.vulnerabilities.exceptions.deciding import capability_for
from remediation.vulnerabilities.exceptions.effects import refresh_effects
from remediation.vulnerabilities.exceptions.transitions import IllegalMove, follow_global, lock, move, note
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.states import OPEN_EXCEPTION_STATES, ExceptionState


def may_cancel(exception: RecommendationException, actor: Actor) -> bool:
    """Return whether the actor may end it early: who may decide, and who asked for it while it waits."""
    if exception.state == ExceptionState.REQUESTED and exception.requested_by_id == actor.id:
        return actor.may(Capability.HANDLE_REMEDIATION, exception.tenant_id)
    return not actor.is_key and actor.may(capability_for(exception), exception.tenant_id)


def cancel(exception_id: UUID, *, actor: Actor, reason: str) -> RecommendationException:
    """End an exception now: what it covered is exposed again, and what it suspended goes on.

    Takes one person, since it takes nothing out of sight. Raises BadRequest without a reason, Forbidden without the
    right, Conflict for one that has ended.
    """
    exception = lock(exception_id)
    reason = stated(reason)
    _require_right(exception, actor)
    _end(exception, actor, reason)
    return exception


def cancel_group(exception_id: UUID, group_id: UUID, *, actor: Actor, reason: str) -> RecommendationException:
    """End an exception for one of its device groups; with the last one it ends altogether.

    Raises BadRequest for a group it does not name, and what `cancel` raises.
    """
    exception = lock(exception_id)
    reason = stated(reason)
    _require_right(exception, actor)
    if exception.is_global:
        raise BadRequest(_("This exception is for the whole tenant; it can only be cancelled as a whole."))
    if group_id not in exception.group_ids:
        raise BadRequest(str(NOT_YOURS))
    if len(exception.group_ids) == 1:
        _end(exception, actor, reason)
        return exception
    _require_open(exception)
    before = list(exception.group_names)
    kept = [pair for pair in zip(exception.group_ids, exception.group_names, strict=True) if pair[0] != group_id]
    exception.group_ids = [key for key, _name in kept]
    exception.group_names = [name for _key, name in kept]
    exception.save(update_fields=["group_ids", "group_names"])
    note(
        exception,
        "group_cancelled",
        before={"groups": before},
        after={"groups": exception.group_names},
        actor=actor.stamp,
        reason=reason,
    )
    refresh_effects(exception.tenant_id)
    return exception


def _end(exception: RecommendationException, actor: Actor, reason: str) -> None:
    was_requested = exception.state == ExceptionState.REQUESTED
    move(
        exception,
        ExceptionState.CANCELLED,
        actor=actor.stamp,
        reason=reason,
        changes={"ended_by_id": actor.id, "ended_at": database_now(), "end_reason": reason},
    )
    if was_requested:
        return
    follow_global(exception, actor=actor.stamp)
    why = said_later(gettext_noop("Cancelled by %(person)s"), person=actor.label)
    tell(exception.tenant_id, telling.ended(exception, why=why), key=f"exception-ended:{exception.pk}")
    refresh_effects(exception.tenant_id)


def _require_right(exception: RecommendationException, actor: Actor) -> None:
    if not may_cancel(exception, actor):
        actor.require_person()
        actor.require(capability_for(exception), exception.tenant_id)


def _require_open(exception: RecommendationException) -> None:
    if exception.state not in OPEN_EXCEPTION_STATES:
        raise IllegalMove(
            _("This exception has ended: it is “%(state)s”.") % {"state": ExceptionState(exception.state).label}
        )
