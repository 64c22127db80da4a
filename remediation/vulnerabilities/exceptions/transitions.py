"""`move()`: the only writer of an exception's state. Whoever writes exceptions of a tenant holds it first."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from portal.access.exceptions import Conflict
from portal.audit.recording import ActorStamp, record
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.querysets import today
from remediation.vulnerabilities.states import EXCEPTION_MOVES, ExceptionState


class IllegalMove(Conflict):
    """The exception is not in a state from which it can go there."""


def hold(tenant_id: UUID) -> None:
    """Let nobody else write the tenant's exceptions until this transaction ends: they decide about each other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 8))", [f"exceptions:{tenant_id}"])


def lock(exception_id: UUID) -> RecommendationException:
    """Return the exception as it is now, its tenant held. Raises RecommendationException.DoesNotExist."""
    hold(RecommendationException.objects.values_list("tenant_id", flat=True).get(pk=exception_id))
    return RecommendationException.objects.select_related("recommendation").get(pk=exception_id)


def of_same_thing(exception: RecommendationException) -> QuerySet[RecommendationException]:
    """Return all exceptions for the same recommendation, or the same CVE, of the tenant."""
    return RecommendationException.objects.filter(
        tenant_id=exception.tenant_id, recommendation=exception.recommendation, cve_id=exception.cve_id
    )


def move(
    exception: RecommendationException,
    to: ExceptionState,
    *,
    actor: ActorStamp,
    reason: str,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Take an exception of a held tenant one step and write its history in the same transaction.

    `changes` are other columns that change with the step. Raises IllegalMove.
    """
    before = ExceptionState(exception.state)
    if to not in EXCEPTION_MOVES.get(before, frozenset()):
        raise IllegalMove(
            _("This exception is “%(before)s” and cannot become “%(after)s”. Reload it to see what happened meanwhile.")
            % {"before": before.label, "after": to.label}
        )
    written = {"state": to, **(changes or {})}
    for name, value in written.items():
        setattr(exception, name, value)
    exception.save(update_fields=list(written))
    note(exception, str(to), before={"state": str(before)}, after={"state": str(to)}, actor=actor, reason=reason)


def note(
    exception: RecommendationException,
    step: str,
    *,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    actor: ActorStamp,
    reason: str,
) -> None:
    """Record one step of an exception's life; `before` is None at its birth."""
    record(
        exception.tenant_id,
        f"exception.{step}",
        object_type="exception",
        object_id=exception.pk,
        actor=actor,
        data={
            "kind": exception.kind,
            "recommendation": exception.recommendation_id,
            "cve_id": exception.cve_id,
            "is_global": exception.is_global,
            "before": dict(before) if before is not None else None,
            "after": dict(after),
            "reason": reason,
        },
    )


def follow_global(exception: RecommendationException, *, actor: ActorStamp) -> None:
    """Suspend the exceptions by group of the same thing while a global one is in effect, else let them go on.

    The rest of their term applies then: their last day never moved. Source: Microsoft, "Create exceptions" (facts 5.4);
    that the days under a global one count is how we read it, no page says so.
    """
    same = of_same_thing(exception)
    if same.filter(is_global=True, state=ExceptionState.IN_EFFECT).exists():
        source, to, reason = ExceptionState.IN_EFFECT, ExceptionState.SUSPENDED, _("One for the whole tenant applies.")
    else:
        source, to = ExceptionState.SUSPENDED, ExceptionState.IN_EFFECT
        reason = _("The one for the whole tenant has ended.")
    followers = same.filter(is_global=False, state=source, expires_on__gte=today()).select_related("recommendation")
    for follower in followers.order_by("pk"):
        move(follower, to, actor=actor, reason=reason)
