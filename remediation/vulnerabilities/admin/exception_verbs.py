"""What people do with an exception on its page: each verb says its effect before it is confirmed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.access.actors import Actor
from portal.access.display import grouped
from portal.access.exceptions import BadRequest
from portal.api.fields import NOT_YOURS
from remediation.vulnerabilities.exceptions.cancelling import cancel, cancel_group, may_cancel
from remediation.vulnerabilities.exceptions.deciding import approve, capability_for, reject
from remediation.vulnerabilities.exceptions.preview import preview_of
from remediation.vulnerabilities.models import RecommendationException
from remediation.vulnerabilities.states import OPEN_EXCEPTION_STATES, ExceptionState


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to do: the question, its effect on a row (and one of its groups) in sentences, and the service."""

    label: Promise
    question: Promise
    done: Promise
    tone: str
    effect: Callable[[RecommendationException, str], list[str]]
    run: Callable[[RecommendationException, str, Actor, str], object]


def offered_verbs(row: RecommendationException, actor: Actor) -> list[str]:
    """Return the verbs this person can use on the row now."""
    verbs = []
    if row.state == ExceptionState.REQUESTED and row.requested_by_id != actor.id:
        verbs = ["approve", "reject"] if actor.may(capability_for(row), row.tenant_id) else []
    is_open = row.state in OPEN_EXCEPTION_STATES
    return [*verbs, "cancel"] if is_open and may_cancel(row, actor) else verbs


def _effect_of_approving(row: RecommendationException, _group: str) -> list[str]:
    expected = preview_of(row)
    counts = _("Exposed devices are %(before)s now and %(after)s with it, until %(day)s (UTC).") % {
        "before": grouped(expected.exposed_before),
        "after": grouped(expected.exposed_after),
        "day": row.expires_on.isoformat(),
    }
    if not row.is_global:
        return [counts, _("Nothing changes on any device. Device groups made later are not covered.")]
    return [
        counts,
        _("Nothing changes on any device. Device groups made later are covered too."),
        _("Exceptions by group for the same thing are suspended until this one ends."),
    ]


def _effect_of_rejecting(_row: RecommendationException, _group: str) -> list[str]:
    return [_("It never takes effect; everything stays shown as exposed.")]


def _effect_of_cancelling(row: RecommendationException, _group: str) -> list[str]:
    if row.state == ExceptionState.REQUESTED:
        return [_("It is withdrawn and never takes effect.")]
    covered = row.devices.count()
    lines = [
        _("It ends now: the devices it covers (%(count)s) are shown as exposed again.") % {"count": grouped(covered)}
    ]
    return [*lines, _("Exceptions by group that it suspends go on.")] if row.is_global else lines


def _effect_of_cancelling_group(row: RecommendationException, group: str) -> list[str]:
    names = [name for key, name in zip(row.group_ids, row.group_names, strict=True) if str(key) == group]
    if not names:
        return [str(NOT_YOURS)]
    return [_("It ends now for “%(group)s”, whose devices are shown as exposed again.") % {"group": names[0]}]


def _cancel_group(row: RecommendationException, group: str, actor: Actor, reason: str) -> object:
    try:
        key = UUID(group)
    except ValueError as error:
        raise BadRequest(str(NOT_YOURS)) from error
    return cancel_group(row.pk, key, actor=actor, reason=reason)


VERBS: Final[Mapping[str, Verb]] = {
    "approve": Verb(
        gettext_lazy("Approve"), gettext_lazy("Approve this exception?"), gettext_lazy("The exception is granted."),
        "approve", _effect_of_approving,
        lambda row, _group, actor, reason: approve(row.pk, actor=actor, reason=reason),
    ),
    "reject": Verb(
        gettext_lazy("Reject"), gettext_lazy("Reject this exception?"), gettext_lazy("The exception is rejected."),
        "reject", _effect_of_rejecting,
        lambda row, _group, actor, reason: reject(row.pk, actor=actor, reason=reason),
    ),
    "cancel": Verb(
        gettext_lazy("Cancel the exception"), gettext_lazy("Cancel this exception?"),
        gettext_lazy("The exception is cancelled."),
        "reject", _effect_of_cancelling,
        lambda row, _group, actor, reason: cancel(row.pk, actor=actor, reason=reason),
    ),
    "cancel-group": Verb(
        gettext_lazy("Cancel for this group"), gettext_lazy("Cancel this exception for one group?"),
        gettext_lazy("The exception no longer applies to the group."),
        "reject", _effect_of_cancelling_group, _cancel_group,
    ),
}  # fmt: skip
