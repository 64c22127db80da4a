"""Break-glass: for a few minutes one person's own approval is enough, with everybody told and a review due in a day."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.scope import database_now
from remediation.safeguards.alarms import ring_after_commit
from remediation.safeguards.models import BreakGlass
from remediation.safeguards.refusals import refusals_on_record

REVIEW_WITHIN: Final = timedelta(hours=24)
SHORTEST_REASON: Final = 15
"""Characters. Who has no time for a sentence has no emergency that can be reviewed."""


def open_break_glass(tenant_id: UUID, *, actor: Actor, reason: str) -> BreakGlass:
    """Open an emergency for this person in this tenant, and raise the alarm.

    Raises Forbidden without the right, SecondFactorNeeded, BadRequest for a reason under 15 characters, and Conflict
    while a review of this tenant is overdue or one of this person's own is not done.
    """
    with refusals_on_record(tenant_id, "break_glass.refused", object_type="tenant", object_id=tenant_id, actor=actor):
        actor.require(Capability.BREAK_GLASS, tenant_id)
        actor.require_second_factor()
        stated = _long_enough(reason)
        _take_turn(actor)
        _require_reviewed(tenant_id, actor)
        now = database_now()
        use = BreakGlass.objects.create(
            tenant_id=tenant_id,
            user_id=actor.id,
            reason=stated,
            opened_at=now,
            ends_at=now + timedelta(seconds=settings.BREAK_GLASS_SECONDS),
            review_before=now + REVIEW_WITHIN,
        )
    _note(
        use,
        "opened",
        actor,
        before=None,
        after={"ends_at": use.ends_at, "review_before": use.review_before},
        reason=stated,
    )
    ring_after_commit(tenant_id)
    return use


def find_open(tenant_id: UUID, user_id: UUID) -> BreakGlass | None:
    """Return the person's break-glass use that is open in the tenant now."""
    return BreakGlass.objects.filter(tenant=tenant_id, user=user_id, ends_at__gt=database_now()).first()


def require_open(tenant_id: UUID, user_id: UUID) -> BreakGlass:
    """Return the person's open break-glass use. Raises Conflict where there is none."""
    use = find_open(tenant_id, user_id)
    if use is None:
        raise Conflict(_("You have no break-glass open for this tenant, or its time is over. Open it first."))
    return use


def review_break_glass(use_id: UUID, *, actor: Actor, words: str) -> BreakGlass:
    """Close the review of somebody else's break-glass use; an open one ends with it.

    Raises Forbidden for one's own and without the right, Conflict when it is reviewed already.
    """
    use = BreakGlass.objects.select_for_update().get(pk=use_id)
    with refusals_on_record(
        use.tenant_id, "break_glass.review_refused", object_type="break glass", object_id=use.pk, actor=actor
    ):
        actor.require(Capability.MANAGE_APPROVAL_POLICY, use.tenant_id)
        if use.user_id == actor.id:
            raise Forbidden(_("This was your own break-glass use; somebody else has to review it."))
        if use.reviewed_at is not None:
            raise Conflict(_("This break-glass use has been reviewed already."))
        if not words.strip():
            raise BadRequest(_("Say what you found; it goes on record."))
        now = database_now()
        use.reviewed_by_id, use.reviewed_at, use.review = actor.id, now, words.strip()
        use.ends_at = min(use.ends_at, now)
        use.save(update_fields=["reviewed_by", "reviewed_at", "review", "ends_at"])
    _note(use, "reviewed", actor, before={"review": None}, after={"review": use.review}, reason=use.review)
    return use


def to_review() -> QuerySet[BreakGlass]:
    """Return the uses in scope whose review is not done, the most urgent first."""
    return BreakGlass.objects.filter(reviewed_at__isnull=True).order_by("review_before", "id")


def _long_enough(reason: str) -> str:
    stated = reason.strip()
    if len(stated) < SHORTEST_REASON:
        raise BadRequest(
            _("Say what the emergency is, in at least %(count)d characters; it goes on record.")
            % {"count": SHORTEST_REASON}
        )
    return stated


def _take_turn(actor: Actor) -> None:
    """One opening per person at a time, so that two at once are not both the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"break-glass:{actor.id}"])


def _require_reviewed(tenant_id: UUID, actor: Actor) -> None:
    if BreakGlass.objects.filter(user=actor.id, reviewed_at__isnull=True).exists():
        raise Conflict(_("Your last break-glass use has not been reviewed; somebody else has to do that first."))
    if BreakGlass.objects.filter(
        tenant=tenant_id, reviewed_at__isnull=True, review_before__lte=database_now()
    ).exists():
        raise Conflict(_("A break-glass review of this tenant is overdue; it has to be done first."))


def _note(
    use: BreakGlass,
    step: str,
    actor: Actor,
    *,
    before: dict[str, object] | None,
    after: dict[str, object],
    reason: str,
) -> None:
    record(
        use.tenant_id,
        f"break_glass.{step}",
        object_type="break glass",
        object_id=use.pk,
        actor=actor.stamp,
        data={"before": before, "after": after, "reason": reason},
    )
