"""Whether an action can be taken back, by what, and with which parameters. Whatever stands against it is said."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from connectors.protocol import WAS_THERE
from remediation.actions.entities import entity_of
from remediation.actions.models import RemediationAction
from remediation.actions.states import OPEN_STATES, State
from remediation.catalogue import CATALOGUE, ActionType

STILL_COUNTS = frozenset({State.APPROVED, State.SENDING, State.ACCEPTED, State.UNKNOWN, State.NEEDS_ATTENTION,
                           State.SUCCEEDED})  # fmt: skip
"""An undo in one of these is under way or done, so that no other is made."""


def inverse_of(kind: ActionType) -> ActionType | None:
    """Return the type that takes it back, None where nothing does."""
    return CATALOGUE[kind.inverse] if kind.inverse else None


def reason_against_undo(action: RemediationAction) -> str:
    """Return why this action cannot be taken back (now), in words for people; "" when it can."""
    return reasons_against_undo([action])[action.pk]


def reasons_against_undo(actions: Collection[RemediationAction]) -> dict[UUID, str]:
    """Return the same for many, by their ids, in one query: the inverse would take back what is newer, too."""
    reasons = {action.pk: _reason_in_itself(action) for action in actions}
    possible = [action for action in actions if not reasons[action.pk]]
    words = _("“%(newer)s” (%(state)s) is newer and would be taken back too: undo or cancel that one first.")
    for newer in _newer_than(possible) if possible else ():
        for action in possible:
            if _would_take_back(action, newer):
                reasons[action.pk] = words % {"newer": newer, "state": newer.get_state_display()}
    return reasons


def _reason_in_itself(action: RemediationAction) -> str:
    inverse = inverse_of(action.kind)
    if inverse is None:
        return _("“%(action)s” cannot be undone.") % {"action": action.kind.label}
    if not inverse.is_wired:
        words = _("“%(action)s” is undone by “%(inverse)s”, which is not available yet; use the Defender portal.")
        return words % {"action": action.kind.label, "inverse": inverse.label}
    if action.state in OPEN_STATES:
        return _("Only an action that has been completed can be undone.")
    if action.state != State.SUCCEEDED:
        return _("This action was not carried out, so there is nothing to undo.")
    if WAS_THERE in (action.findings or {}):
        return _("It was so before, by somebody else's doing, so there is nothing of ours to take back.")
    if _needs_former(inverse) and not action.findings:
        return _("What was set before was not saved, so Quell cannot put it back: set it in the Exchange admin center.")
    return ""


def undo_parameters(action: RemediationAction, inverse: ActionType) -> dict[str, Any]:
    """Return the parameters of an action's inverse: its own of the same names, and the setting it saved."""
    known = {**action.parameters, "former": action.findings}
    return {parameter.name: known[parameter.name] for parameter in inverse.parameters if parameter.name in known}


def _newer_than(actions: Collection[RemediationAction]) -> Collection[RemediationAction]:
    """Return what may stand on the same as some of these, is open or done and not undone, oldest first."""
    devices = [action.device_id for action in actions if action.device_id]
    elsewhere = [action for action in actions if not action.device_id]
    # Mail may be named by its sender in one action and by its mailbox in another.
    entities = {action.entity for action in elsewhere} | {entity_of(action.parameters) for action in elsewhere}
    same = Q(entity="", parameters_sha256__in=[action.parameters_sha256 for action in elsewhere])
    undo = RemediationAction._base_manager.filter(undoes=OuterRef("pk"), state__in=sorted(STILL_COUNTS))
    inverses = {action.kind.inverse for action in actions}
    return RemediationAction.objects.filter(
        Q(device__in=devices) | Q(entity__in=entities - {""}) | same,
        ~Exists(undo),
        tenant__in={action.tenant_id for action in actions},
        type__in=[name for name, kind in CATALOGUE.items() if kind.inverse in inverses],
        state__in=sorted({*OPEN_STATES, State.SUCCEEDED}),
        pk__gt=min(action.pk for action in actions),
    ).order_by("pk")


def _would_take_back(action: RemediationAction, newer: RemediationAction) -> bool:
    """Return whether the inverse of an action would undo a newer one: it acts on the same device and parameters."""
    if newer.pk <= action.pk or (newer.tenant_id, newer.device_id) != (action.tenant_id, action.device_id):
        return False
    inverse = inverse_of(action.kind)
    if inverse is None or newer.kind.inverse != inverse.name:
        return False
    names = [parameter.name for parameter in inverse.parameters if parameter.name in action.parameters]
    return all(_overlap(action.parameters[name], newer.parameters.get(name)) for name in names)


def _overlap(some: Any, others: Any) -> bool:
    if isinstance(some, list) and isinstance(others, list):
        return any(each in others for each in some)
    return bool(some == others)


def _needs_former(inverse: ActionType) -> bool:
    return any(parameter.kind == "former" for parameter in inverse.parameters)
