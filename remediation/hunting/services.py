"""What people do with hunting: ask a query in one or many tenants, search mail, ask again."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from connectors.models import Connection
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.models import User
from portal.access.roles import Capability
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from remediation.actions.bells import ring_after_commit
from remediation.hunting import kql
from remediation.hunting.models import Hunt
from remediation.hunting.states import OPEN_STATES, HuntSource, HuntState
from remediation.hunting.timespans import check_timespan

LONGEST_QUERY: Final = 50_000
MOST_TENANTS: Final = 1000
LONGEST_CRITERION: Final = 500
MOST_OPEN: Final = 20
"""So many questions of one person are open in a tenant at a time: nobody fills its queue for all others."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""What no text in PostgreSQL may hold: NUL, and half a character (a lone surrogate), which JSON can send."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked in every tenant of a batch. `criteria` is what a search form held."""

    query: str
    timespan: str
    source: HuntSource = HuntSource.ADVANCED_HUNTING
    criteria: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """One request's question, who puts it, and how many tenants it names."""

    question: Question
    batch: UUID
    asker_id: UUID
    tenants_asked: int


@dataclass(frozen=True, slots=True)
class TenantAnswer:
    """What became of the question in one tenant: its hunt, or why there is none; `is_found` unless it is nobody's."""

    tenant_id: UUID
    hunt: Hunt | None
    refusal: str = ""
    is_found: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one request asked for."""

    id: UUID
    answers: list[TenantAnswer] = field(default_factory=list)


def no_connection() -> str:
    """Say that the tenant cannot be asked, and what to do about it."""
    return _(
        "This tenant has no connection to Microsoft that is switched on, so nothing was asked. Set one up under"
        " Connections, then run the query again."
    )


def ask_everywhere(question: Question, tenant_ids: Collection[UUID], *, actor: Actor) -> Batch:
    """Put a question to each of these tenants; a worker asks Microsoft, and each answer is that tenant's alone.

    Who may not hunt in a tenant, or has too many questions open there, gets a refusal for it and the others go on; a
    tenant without a connection fails at once. Raises BadRequest for an empty query, one too long, a time span Microsoft
    does not take, or no tenants; Conflict where too many are open in all of them.
    """
    checked = _checked(question)
    wanted = sorted(set(tenant_ids))
    if not 1 <= len(wanted) <= MOST_TENANTS:
        raise BadRequest(_("Choose from 1 to %(most)d tenants.") % {"most": MOST_TENANTS})
    hunted = _hunted_by(actor, wanted)
    full = _full_for(actor, hunted)
    allowed = [key for key in hunted if key not in full]
    if full and not allowed:
        raise Conflict(_too_many_open())
    connected = set(
        Connection.objects.filter(tenant_id__in=allowed, is_enabled=True).values_list("tenant_id", flat=True)
    )
    asking = Asking(checked, uuid7(), actor.id, len(wanted))
    hunts = {key: _new_hunt(asking, key, is_connected=key in connected) for key in allowed}
    Hunt.objects.bulk_create(hunts.values())
    for tenant_id, hunt in hunts.items():
        note_asked(hunt, actor.stamp)
        if hunt.state == HuntState.QUEUED:
            ring_after_commit("hunt", tenant_id)
    refused = {key: TenantAnswer(key, None, _too_many_open()) for key in full}
    return Batch(
        asking.batch,
        [TenantAnswer(key, hunts[key]) if key in hunts else refused.get(key) or _refused(actor, key) for key in wanted],
    )


def search_mail(criteria: Mapping[str, str], timespan: str, tenant_ids: Collection[UUID], *, actor: Actor) -> Batch:
    """Look for mail in each of these tenants by what `kql.mail_query` knows. Raises BadRequest for no criterion."""
    given = {name: value.strip() for name, value in criteria.items() if value.strip()}
    if not given:
        raise BadRequest(_("Give at least one of sender, subject, URL and recipient."))
    if any(len(value) > LONGEST_CRITERION or _UNSTORABLE.search(value) for value in given.values()):
        raise BadRequest(_("Each of sender, subject, URL and recipient is at most 500 characters of plain text."))
    question = Question(kql.mail_query(given), timespan, HuntSource.EXPLORER, given)
    return ask_everywhere(question, tenant_ids, actor=actor)


def note_asked(hunt: Hunt, actor: ActorStamp) -> None:
    """Put on record who asked what of whom.

    A question to several customers is kept as its SHA-256 alone: a customer's history is that customer's to read, and
    the question may name another. The hunts themselves keep it, and tell it to whom it may be told.
    """
    record(
        hunt.tenant_id,
        "hunt.asked",
        object_type="hunt",
        object_id=hunt.pk,
        actor=actor,
        data={
            "batch": hunt.batch,
            "source": str(hunt.source),
            "query": hunt.query if hunt.tenants_asked <= 1 else "",
            "query_sha256": hashlib.sha256(hunt.query.encode()).hexdigest(),
            "timespan": hunt.timespan,
            "state": str(hunt.state),
        },
    )


def _checked(question: Question) -> Question:
    query = question.query.strip()
    if not query:
        raise BadRequest(_("Write a query first."))
    if len(query) > LONGEST_QUERY or _UNSTORABLE.search(query):
        raise BadRequest(_("A query is at most %(most)d characters of plain text.") % {"most": LONGEST_QUERY})
    return Question(query, check_timespan(question.timespan), question.source, question.criteria)


def _hunted_by(actor: Actor, wanted: Collection[UUID]) -> list[UUID]:
    mine = [key for key in wanted if key != PROVIDER_TENANT_ID and actor.may(Capability.REQUEST_ACTION, key)]
    return list(Tenant.objects.filter(pk__in=mine).order_by("pk").values_list("pk", flat=True)) if mine else []


def _full_for(actor: Actor, tenant_ids: Collection[UUID]) -> set[UUID]:
    """Return the tenants where the actor has as many questions open as there may be.

    One request of a person's at a time counts, so that several together keep the limit.
    """
    User.objects.select_for_update(no_key=True).get(pk=actor.id)
    of_tenant = Hunt.objects.filter(tenant_id__in=tenant_ids, asked_by_id=actor.id, state__in=OPEN_STATES)
    counted = of_tenant.values("tenant_id").annotate(count=Count("pk")).filter(count__gte=MOST_OPEN)
    return set(counted.values_list("tenant_id", flat=True))


def _too_many_open() -> str:
    words = _("%(most)d of your queries are still open in this tenant; wait until some have ended, then ask again.")
    return words % {"most": MOST_OPEN}


def _refused(actor: Actor, tenant_id: UUID) -> TenantAnswer:
    if not actor.may(Capability.READ, tenant_id):
        return TenantAnswer(tenant_id, None, _("No such tenant, or not one of yours."), is_found=False)
    words = _("You may not hunt in this tenant: it needs the permission “%(permission)s”.")
    return TenantAnswer(tenant_id, None, words % {"permission": Capability.REQUEST_ACTION.value})


def _new_hunt(asking: Asking, tenant_id: UUID, *, is_connected: bool) -> Hunt:
    question = asking.question
    hunt = Hunt(
        tenant_id=tenant_id,
        batch=asking.batch,
        tenants_asked=asking.tenants_asked,
        source=question.source,
        query=question.query,
        timespan=question.timespan,
        criteria=dict(question.criteria) if question.criteria else None,
        asked_by_id=asking.asker_id,
    )
    if not is_connected:
        hunt.state, hunt.error_code, hunt.error = HuntState.FAILED, "NoConnection", no_connection()
        hunt.ended_at = Now()
    return hunt
