"""One person's answer about many exceptions at once: a result for each, and no tenant's failure touches another's."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from portal.access.actors import Actor
from portal.access.exceptions import Refusal, SecondFactorNeeded
from portal.tenancy.scope import has_scope
from remediation.actions.answering import stated
from remediation.actions.bulk import ItemResult, Result, decide_in
from remediation.actions.exceptions import TooMany
from remediation.actions.states import Answer
from remediation.vulnerabilities.exceptions.deciding import grant, reject
from remediation.vulnerabilities.exceptions.effects import refresh_effects
from remediation.vulnerabilities.models import RecommendationException

MOST: Final = 300
"""Exceptions in one decision: what each would change is worked out by itself."""

_VERBS: Final[Mapping[Answer, tuple[Callable[..., RecommendationException], Result]]] = {
    Answer.APPROVE: (grant, Result.APPROVED),
    Answer.REJECT: (reject, Result.REJECTED),
}


def decide_many(exception_ids: Sequence[UUID], answer: Answer, *, actor: Actor, reason: str) -> list[ItemResult]:
    """Give one answer about each of these exceptions and return what came of each, in the order asked.

    Each is held to the rules of deciding about one, the second person's first of all. Doing it again changes nothing:
    each item then says what it is. Raises BadRequest without a reason, TooMany for more than 300.
    """
    wanted = list(dict.fromkeys(exception_ids))
    if len(wanted) > MOST:
        raise TooMany(_("Decide about at most %(most)d exceptions at a time.") % {"most": MOST})
    said = stated(reason)
    by_tenant = _by_tenant(wanted)
    results: dict[UUID, ItemResult] = {}
    for tenant_id in sorted(by_tenant):  # by id: two decisions never wait for each other
        decide = partial(_decide, tenant_id, answer=answer, actor=actor, reason=said)
        results |= decide_in(tenant_id, by_tenant[tenant_id], decide)
    words = _("No such exception, or not one of yours.")
    return [results.get(key) or ItemResult(key, None, Result.NOT_FOUND, words) for key in wanted]


def _by_tenant(exception_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Return those in scope, by tenant, as they were asked for; somebody without memberships has no scope."""
    if not has_scope():
        return {}
    tenants = dict(RecommendationException.objects.filter(pk__in=exception_ids).values_list("pk", "tenant_id"))
    by_tenant: dict[UUID, list[UUID]] = {}
    for exception_id in exception_ids:
        if exception_id in tenants:
            by_tenant.setdefault(tenants[exception_id], []).append(exception_id)
    return by_tenant


def _decide(
    tenant_id: UUID, exception_ids: Collection[UUID], answer: Answer, actor: Actor, reason: str
) -> dict[UUID, ItemResult]:
    """Decide one by one, since they decide about each other, and work out what they cover once."""
    verb, done = _VERBS[answer]
    results = {}
    for exception_id in exception_ids:
        try:
            verb(exception_id, actor=actor, reason=reason)
        except (Refusal, SecondFactorNeeded) as refusal:
            results[exception_id] = ItemResult(exception_id, tenant_id, Result.REFUSED, str(refusal))
        else:
            results[exception_id] = ItemResult(exception_id, tenant_id, done)
    if any(item.result is Result.APPROVED for item in results.values()):
        refresh_effects(tenant_id)
    return results
