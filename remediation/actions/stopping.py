"""Asking Microsoft to stop an action that it has accepted. The settle lane carries it out; it may come too late."""

from django.db.models.functions import Now
from django.utils.translation import gettext as _

from connectors.choosing import find_enabled
from connectors.registry import class_of
from portal.audit.recording import ActorStamp, record
from remediation.actions.bells import ring_after_commit
from remediation.actions.by_hand import waits_for_hands
from remediation.actions.models import RemediationAction
from remediation.actions.states import State


def reason_against_stopping(action: RemediationAction) -> str:
    """Return why an action that has left the house can no longer be cancelled, in words for people; "" when it can.

    Reads the tenant's connection, which has to be in scope.
    """
    if waits_for_hands(action):
        return _("A person does this in the Defender portal: say that it was not done.")
    if action.state != State.ACCEPTED:
        return _("This action has already been sent; it can no longer be cancelled here.")
    if action.cancel_asked_at is not None:
        return _("Microsoft has been asked to stop it already; what came of that shows here soon.")
    connection = find_enabled(action.tenant_id)
    if connection is None or action.type not in class_of(connection.kind).cancellable_types:
        words = _("Microsoft has accepted “%(action)s” and does not stop it any more.")
        return words % {"action": action.kind.label}
    return ""


def ask_to_stop(action: RemediationAction, *, actor: ActorStamp, reason: str) -> None:
    """Put on record that a locked action is to be stopped at Microsoft, and have a worker ask for it."""
    changes = {"cancel_asked_at": Now(), "cancel_reason": reason, "changed_at": Now(), "next_check_at": Now()}
    RemediationAction.objects.filter(pk=action.pk).update(**changes)
    action.refresh_from_db(fields=list(changes))
    record(
        action.tenant_id,
        "action.cancel_asked",
        object_type="remediation action",
        object_id=action.pk,
        actor=actor,
        data={"reason": reason, "before": {"cancel_asked_at": None}, "after": {"state": action.state}},
    )
    ring_after_commit("settle", action.tenant_id)
