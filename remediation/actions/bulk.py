"""One person's answer about many actions at once: a result for each, and no tenant's failure touches another's."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from django.db import DatabaseError
from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.exceptions import Refusal, SecondFactorNeeded
from portal.audit.recording import record
from portal.tenancy.scope import acting_for, database_now, has_scope, viewing
from remediation.actions.answering import (
    answered_among,
    pass_on,
    require_may_answer,
    stated,
    turn_down,
    write_answers,
)
from remediation.actions.approvals import Standing, standings
from remediation.actions.exceptions import TooMany
from remediation.actions.models import RemediationAction
from remediation.actions.states import Answer

logger = logging.getLogger(__name__)

MOST: Final = 1000
"""Actions in one decision."""


class Result(TextChoices):
    """What came of one item of a decision about many."""

    APPROVED = "approved", gettext_lazy("Approved")
    WAITS_FOR_ANOTHER = "waits_for_another", gettext_lazy("Waits for another approval")
    REJECTED = "rejected", gettext_lazy("Rejected")
    NOT_FOUND = "not_found", gettext_lazy("Not found")
    REFUSED = "refused", gettext_lazy("Refused")


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What came of one action, and why; without a tenant where there is no such action, or not one of theirs."""

    id: UUID
    tenant: UUID | None
    result: Result
    reason: str = ""


def decide_many(action_ids: Sequence[UUID], answer: Answer, *, actor: Actor, reason: str) -> list[ItemResult]:
    """Give one answer about each of these actions and return what came of each, in the order asked.

    Each is held to the rules of deciding about one, and a refusal to approve goes on record. Doing it again changes
    nothing: each item then says what it is. Raises BadRequest without a reason, TooMany for more than 1,000.
    """
    wanted = list(dict.fromkeys(action_ids))
    if len(wanted) > MOST:
        raise TooMany(_("Decide about at most %(most)d actions at a time.") % {"most": MOST})
    said = stated(reason)
    by_tenant = _by_tenant(wanted)
    results = _decide_for_all(by_tenant, answer, actor, said) if by_tenant else {}
    words = _("No such action, or not one of yours.")
    return [results.get(key) or ItemResult(key, None, Result.NOT_FOUND, words) for key in wanted]


def _by_tenant(action_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Return those in scope, by tenant; somebody without memberships has no scope."""
    by_tenant: dict[UUID, list[UUID]] = {}
    rows = RemediationAction.objects.filter(pk__in=action_ids).order_by().values_list("pk", "tenant_id")
    for action_id, tenant_id in rows if has_scope() else ():
        by_tenant.setdefault(tenant_id, []).append(action_id)
    return by_tenant


def _decide_for_all(
    by_tenant: Mapping[UUID, list[UUID]], answer: Answer, actor: Actor, reason: str
) -> dict[UUID, ItemResult]:
    """Decide about all tenants' actions together; should that fail, about each tenant's by itself."""
    try:
        with viewing(by_tenant):
            return _decide([key for found in by_tenant.values() for key in found], answer, actor, reason)
    except DatabaseError:
        logger.exception("A decision over %d tenants failed; now one by one", len(by_tenant))
    results: dict[UUID, ItemResult] = {}
    for tenant_id in sorted(by_tenant):
        decide = partial(_decide, answer=answer, actor=actor, reason=reason)
        results |= decide_in(tenant_id, by_tenant[tenant_id], decide)
    return results


def decide_in(
    tenant_id: UUID, row_ids: Collection[UUID], decide: Callable[[Collection[UUID]], dict[UUID, ItemResult]]
) -> dict[UUID, ItemResult]:
    """Decide about rows of one tenant in its own scope; what fails there is taken back there, and said."""
    try:
        with acting_for(tenant_id):
            return decide(row_ids)
    except DatabaseError:
        logger.exception("A decision about %d rows of tenant %s failed", len(row_ids), tenant_id)
    words = _("It could not be decided just now, and nothing about it was changed. Try again.")
    return {key: ItemResult(key, tenant_id, Result.REFUSED, words) for key in row_ids}


def _decide(action_ids: Collection[UUID], answer: Answer, actor: Actor, reason: str) -> dict[UUID, ItemResult]:
    """Decide about actions of the tenants in scope, in a few statements for all of them; locks are taken in order."""
    locked = RemediationAction.objects.select_for_update(of=("self",)).select_related("device")
    actions = list(locked.filter(pk__in=action_ids).order_by("tenant_id", "id"))
    tenants = {action.pk: action.tenant_id for action in actions}
    refusals = _refusals(actions, answer, actor)
    _put_refusals_on_record(tenants, refusals, answer, actor)
    willing = [action for action in actions if action.pk not in refusals]
    write_answers(willing, answer, actor=actor, reason=reason)
    refused = {key: ItemResult(key, tenants[key], Result.REFUSED, words) for key, words in refusals.items()}
    if answer is Answer.REJECT:
        turn_down(willing, actor=actor, reason=reason)
        return refused | {action.pk: ItemResult(action.pk, action.tenant_id, Result.REJECTED) for action in willing}
    stand = standings([action.pk for action in willing])
    pass_on([action for action in willing if stand[action.pk].is_approved], actor=actor, reason=reason)
    return refused | {key: _approved(key, tenants[key], standing) for key, standing in stand.items()}


def _refusals(actions: Sequence[RemediationAction], answer: Answer, actor: Actor) -> dict[UUID, str]:
    """Return the words of the refusal for each action that this person may not answer now."""
    refused: dict[UUID, str] = {}
    answered, now = answered_among(actions, actor), database_now()
    for action in actions:
        try:
            require_may_answer(action, answer, actor=actor, now=now, has_answered=action.pk in answered)
        except (Refusal, SecondFactorNeeded) as refusal:
            refused[action.pk] = str(refusal)
    return refused


def _put_refusals_on_record(
    tenants: Mapping[UUID, UUID], refusals: Mapping[UUID, str], answer: Answer, actor: Actor
) -> None:
    """The request as a whole goes through, so what was refused in it is written with it, not after it."""
    verb = "action.approval_refused" if answer is Answer.APPROVE else "action.rejection_refused"
    for action_id, words in refusals.items():
        record(
            tenants[action_id],
            verb,
            object_type="remediation action",
            object_id=action_id,
            actor=actor.stamp,
            data={"reason": words},
        )


def _approved(action_id: UUID, tenant_id: UUID, standing: Standing) -> ItemResult:
    if standing.is_approved:
        return ItemResult(action_id, tenant_id, Result.APPROVED)
    words = _("Your approval is on record, %(given)d of %(needed)d; it waits for another.")
    said = words % {"given": standing.given, "needed": standing.needed}
    return ItemResult(action_id, tenant_id, Result.WAITS_FOR_ANOTHER, said)
