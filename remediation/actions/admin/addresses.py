"""Where actions have their pages."""

from django.urls import reverse

from remediation.actions.models import RemediationAction
from remediation.actions.states import State


def url_of(action: RemediationAction) -> str:
    """Return the address of the action's page, on the tab it is on."""
    tab = "pendingaction" if action.state == State.PENDING_APPROVAL else "historyaction"
    return reverse(f"admin:actions_{tab}_change", args=[action.pk])
