"""The page of freezes, which says how many actions each would hold back."""

from django.contrib import admin
from django.utils.translation import ngettext

from portal.tenancy.models import PROVIDER_TENANT_ID
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.safeguards.admin.freezes import FreezePages
from remediation.safeguards.freezes import types_held
from remediation.safeguards.models import Freeze


@admin.register(Freeze)
class FreezeAdmin(FreezePages):
    """Freezes, with their effect on actions."""

    def describe_effect(self, wanted: Freeze) -> str:
        """Count the approved actions that would wait."""
        held = RemediationAction.objects.filter(
            state=State.APPROVED, type__in=types_held(wanted.action_type, wanted.connector)
        )
        if wanted.tenant_id != PROVIDER_TENANT_ID:
            held = held.filter(tenant=wanted.tenant_id)
        count = held.count()
        words = ngettext(
            "%(count)d approved action will wait, and lapse by its own time.",
            "%(count)d approved actions will wait, and lapse by their own time.",
            count,
        )
        return words % {"count": count}
