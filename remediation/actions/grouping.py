"""What waits for approval, grouped by what would be done and to what, over all tenants a person may decide for.

Groups are in order of type and entity and walked by their index, so a page costs what is in its groups, however much
waits. An action without an entity is in no group. What somebody decides about a group is bound to what they saw of it:
the moment they looked, and how many there were.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, F, Func, Min, Q, QuerySet, TextField, Value
from django.db.models.lookups import GreaterThan
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.tenancy.scope import database_now
from remediation.actions.bulk import MOST, ItemResult, decide_many
from remediation.actions.models import Decision, RemediationAction
from remediation.actions.proposing import SEND_APPROVED_WITHIN
from remediation.actions.states import Answer, State
from remediation.catalogue import CATALOGUE, ActionType

Key = tuple[str, str]
"""A group's action type and entity."""


@dataclass(frozen=True, slots=True)
class Group:
    """Actions of one type on one entity that wait: how many, where, since and until when (UTC), approvals given so far.

    `as_of` is the moment of looking.
    """

    type: str
    entity: str
    count: int
    tenants: int
    devices: int
    oldest: datetime
    expires: datetime | None
    approvals: int
    as_of: datetime

    @property
    def kind(self) -> ActionType:
        """The catalogue's row for its actions."""
        return CATALOGUE[self.type]


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Which groups: by type, by the entity's kind, of these tenants alone, with at least so many actions."""

    type: str = ""
    entity_kind: str = ""
    entity: str = ""
    tenants: tuple[UUID, ...] = ()
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class GroupDecision:
    """What came of deciding about a group: each action's result, how many came later, how many were too many."""

    results: Sequence[ItemResult]
    arrived_later: int
    left_over: int


def find_groups(wanted: GroupFilter, *, actor: Actor, after: Key | None, limit: int) -> list[Group]:
    """Return up to `limit` groups after a key, in order of type and entity; none for who decides nowhere."""
    rows = _waiting(wanted, actor)
    if after is not None:
        rows = rows.filter(GreaterThan(_row(F("type"), F("entity")), _row(*map(Value, after))))
    return _added_up(rows, at_least=wanted.at_least, limit=limit)


def find_group(key: Key, tenants: Collection[UUID], *, actor: Actor) -> Group | None:
    """Return one group as it is now."""
    found = _added_up(members_of(key, tenants, actor=actor), at_least=1, limit=1)
    return found[0] if found else None


def members_of(key: Key, tenants: Collection[UUID], *, actor: Actor) -> QuerySet[RemediationAction]:
    """Return the actions of a group that wait now, oldest first."""
    wanted = GroupFilter(type=key[0], entity=key[1], tenants=tuple(tenants))
    return _waiting(wanted, actor).order_by("id")


def decide_group(
    key: Key,
    answer: Answer,
    *,
    actor: Actor,
    reason: str,
    as_of: datetime,
    count: int,
    tenants: Collection[UUID] = (),
) -> GroupDecision:
    """Give one answer about the actions of a group as somebody saw it, the oldest 1,000 of them.

    Those that came after `as_of` are left out and counted. One that was decided meanwhile says what it is. Raises
    BadRequest for an `as_of` that is still to come, Conflict unless exactly `count` actions were there to be seen: some
    may come into sight late.
    """
    if as_of > database_now():
        raise BadRequest(_("`as_of` is later than now: send the moment at which you looked at the group."))
    seen = _seen(key, tenants, as_of, actor)
    if len(seen) != count:
        raise Conflict(_("The group is not what it was when you looked: look at it again, then decide."))
    later = members_of(key, tenants, actor=actor).filter(created_at__gt=as_of).count()
    results = decide_many(seen[:MOST], answer, actor=actor, reason=reason)
    return GroupDecision(results, later, max(0, len(seen) - MOST))


def _seen(key: Key, tenants: Collection[UUID], as_of: datetime, actor: Actor) -> list[UUID]:
    """Return what waited at that moment: first what still waits, oldest first, then what was decided since."""
    there = _in_reach(GroupFilter(type=key[0], entity=key[1], tenants=tuple(tenants)), actor)
    approved = Q(execute_before__gt=as_of + SEND_APPROVED_WITHIN)
    ended_unapproved = Q(execute_before__isnull=True, ended_at__gt=as_of)
    waited = Q(state=State.PENDING_APPROVAL) | (Q(approve_before__isnull=False) & (approved | ended_unapproved))
    rows = there.filter(waited, created_at__lte=as_of).values_list("pk", "state")
    return [pk for pk, state in sorted(rows, key=lambda row: (row[1] != State.PENDING_APPROVAL, row[0]))]


def _in_reach(wanted: GroupFilter, actor: Actor) -> QuerySet[RemediationAction]:
    decides = actor.tenants_where(Capability.DECIDE_ACTION)
    reached = [key for key in decides if key in wanted.tenants] if wanted.tenants else decides
    if not reached:
        return RemediationAction.objects.none()
    rows = RemediationAction.objects.filter(tenant__in=reached).exclude(entity="")
    if wanted.type:
        rows = rows.filter(type=wanted.type)
    if wanted.entity:
        rows = rows.filter(entity=wanted.entity)
    if wanted.entity_kind:
        rows = rows.filter(entity__startswith=f"{wanted.entity_kind}:")
    return rows


def _waiting(wanted: GroupFilter, actor: Actor) -> QuerySet[RemediationAction]:
    return _in_reach(wanted, actor).filter(state=State.PENDING_APPROVAL)


def _row(*values: F | Value) -> Func:
    """Return values as one row of SQL: comparing rows is what lets the index be entered at a key."""
    return Func(*values, function="ROW", output_field=TextField())


def _added_up(rows: QuerySet[RemediationAction], *, at_least: int, limit: int) -> list[Group]:
    """Add up what groups hold, from the index alone, and count the approvals that were given."""
    facts = (
        rows.order_by("type", "entity")
        .values("type", "entity")
        .annotate(
            count=Count("*"),
            tenants=Count("tenant", distinct=True),
            devices=Count("device", distinct=True),
            oldest=Min("created_at"),
            expires=Min("approve_before"),
            ids=ArrayAgg("pk"),
        )
        .filter(count__gte=at_least)
    )
    found: list[dict[str, Any]] = [dict(row) for row in facts[:limit]]
    now = database_now()
    given = _approvals_given([key for row in found for key in row["ids"]])
    approvals = [sum(given[key] for key in row.pop("ids")) for row in found]
    return [Group(**row, approvals=count, as_of=now) for row, count in zip(found, approvals, strict=True)]


def _approvals_given(action_ids: Collection[UUID]) -> Counter[UUID]:
    approvals = Decision.objects.filter(answer=Answer.APPROVE, action__in=action_ids)
    return Counter(approvals.values_list("action_id", flat=True))
