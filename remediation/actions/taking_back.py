"""Undoing many actions at once: every instance of a file in a tenant, or all that one investigation did."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, TextChoices
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from investigations.models import Evidence
from investigations.states import Verdict
from portal.access.actors import Actor
from portal.access.exceptions import Refusal
from portal.tenancy.scope import acting_for
from remediation.actions.entities import entity_of_file
from remediation.actions.models import ActionEvidence, RemediationAction
from remediation.actions.services import undo_action
from remediation.actions.states import OPEN_STATES, State
from remediation.actions.undoing import STILL_COUNTS
from remediation.safeguards.protection import DESTRUCTIVE

MOST: Final = 200
"""Actions taken back at once; those that nobody has undone come first, so that asking again goes on with the rest."""

_MAY_HAVE_DONE_SOMETHING: Final = sorted({*OPEN_STATES, State.SUCCEEDED})
_STILL_BAD: Final = (Verdict.MALICIOUS, Verdict.SUSPICIOUS)


class Result(TextChoices):
    """What came of one thing that was ordered."""

    ORDERED = "ordered", _("Ordered")
    WAITS_FOR_APPROVAL = "waits_for_approval", _("Waits for approval")
    ALREADY = "already", _("Done or ordered already")
    REFUSED = "refused", _("Refused")


@dataclass(frozen=True, slots=True)
class Undone:
    """What came of undoing one action: the action that undoes it, or why there is none."""

    action: RemediationAction
    result: Result
    undo: RemediationAction | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """The actions to take back, and those that are left out, each with the reason."""

    actions: list[RemediationAction]
    left_out: list[Undone]

    def narrowed_to(self, shown: Collection[UUID]) -> "Reach":
        """Return what of it somebody was shown; all else is left out."""
        words = gettext("It was not on the list that you confirmed, so it was left out: look at the list again.")
        unseen = [Undone(action, Result.REFUSED, reason=words) for action in self.actions if action.pk not in shown]
        return Reach([action for action in self.actions if action.pk in shown], [*self.left_out, *unseen])


def instances_of(tenant_id: UUID, sha1s: Iterable[str]) -> Reach:
    """Return what was done to these files anywhere in the tenant, also before actions knew what they are about.

    What an action also did for another investigation than its own is left out, as everywhere here.
    """
    files = [sha1.lower() for sha1 in sha1s]
    linked = ActionEvidence.objects.filter(tenant=tenant_id, evidence__sha1__in=files).values("action_id")
    rows = _among(tenant_id, Q(entity__in=[entity_of_file(sha1) for sha1 in files]) | Q(pk__in=linked))
    return _sorted_out(rows, own=None)


def actions_of_investigation(tenant_id: UUID, investigation_id: UUID) -> Reach:
    """Return what an investigation did, by itself or for its evidence."""
    linked = ActionEvidence.objects.filter(tenant=tenant_id, evidence__investigation=investigation_id)
    rows = _among(tenant_id, Q(investigation=investigation_id) | Q(pk__in=linked.values("action_id")))
    return _sorted_out(rows, own={investigation_id})


def actions_of_evidence(tenant_id: UUID, evidence_ids: Iterable[UUID]) -> Reach:
    """Return what was done about these pieces of evidence."""
    found = Evidence.objects.filter(tenant=tenant_id, pk__in=list(evidence_ids))
    linked = ActionEvidence.objects.filter(tenant=tenant_id, evidence__in=found)
    rows = _among(tenant_id, Q(pk__in=linked.values("action_id")))
    return _sorted_out(rows, own=set(found.values_list("investigation_id", flat=True)))


def action_itself(action: RemediationAction) -> Reach:
    """Return the action, if it did anything that could be taken back; whoever names it knows which it is."""
    return Reach(_among(action.tenant_id, Q(pk=action.pk)), [])


def undo_all(actions: Iterable[RemediationAction], *, actor: Actor, reason: str) -> list[Undone]:
    """Order the inverse of each, with a result for each; what is undone already is not undone again."""
    return [_undo(action, actor, reason) for action in actions]


def is_undone_or_about_to_be(action: RemediationAction) -> bool:
    """Return whether an undo of the action is under way or done."""
    return action.undone_by.filter(state__in=STILL_COUNTS).exists()


def undone_among(actions: Iterable[RemediationAction]) -> set[UUID]:
    """Return those of the actions whose undo is under way or done."""
    undos = RemediationAction.objects.filter(undoes__in=list(actions), state__in=sorted(STILL_COUNTS))
    return set(undos.values_list("undoes_id", flat=True))


def _undo(action: RemediationAction, actor: Actor, reason: str) -> Undone:
    try:
        with acting_for(action.tenant_id):
            was_undone = is_undone_or_about_to_be(action)
            undo = undo_action(action.pk, actor=actor, reason=reason)
    except Refusal as refusal:
        return Undone(action, Result.REFUSED, reason=str(refusal))
    return Undone(action, Result.ALREADY if was_undone else Result.ORDERED, undo)


def _among(tenant_id: UUID, which: Q) -> list[RemediationAction]:
    """Return those that cut off, stopped, deleted or took away, and are no undo themselves."""
    undo = RemediationAction._base_manager.filter(undoes=OuterRef("pk"), state__in=sorted(STILL_COUNTS))
    found = RemediationAction.objects.filter(
        which, tenant=tenant_id, type__in=DESTRUCTIVE, undoes=None, state__in=_MAY_HAVE_DONE_SOMETHING
    )
    rows = found.annotate(has_undo=Exists(undo)).select_related("tenant", "device").order_by("has_undo", "id")
    return list(rows[:MOST])


def _sorted_out(rows: list[RemediationAction], *, own: Collection[UUID] | None) -> Reach:
    """Leave out what also answers a threat of an investigation that is not `own`; None: not the action's own."""
    links = ActionEvidence.objects.filter(action__in=rows, evidence__verdict__in=_STILL_BAD).order_by("id")
    others: dict[UUID, str] = {}
    whose = {row.pk: {row.investigation_id} if own is None else own for row in rows}
    for action_id, key, title in links.values_list(
        "action_id", "evidence__investigation_id", "evidence__investigation__title"
    ):
        if whose[action_id] != {None} and key not in whose[action_id]:
            others.setdefault(action_id, title)
    words = gettext(
        "It also answers evidence of another investigation, “%(title)s”, that is still malicious or suspicious: if "
        "that is wrong too, correct it there, or undo this action by itself."
    )
    return Reach(
        [row for row in rows if row.pk not in others],
        [Undone(row, Result.REFUSED, reason=words % {"title": others[row.pk]}) for row in rows if row.pk in others],
    )
