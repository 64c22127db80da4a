"""Keeps a request that is sent twice (a double click, the back button, a second tab) from making two activities."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _

from portal.access.actors import Actor
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.states import AT_INTUNE, ON_THE_WAY, ActivityState

_SAME: Final = ("option", "mitigation", "priority", "due_on", "notes", "wants_ticket", "group_ids")


def repeats(wanted: Sequence[RemediationActivity], actor: Actor) -> dict[UUID, str]:
    """Return why not, for each tenant where exactly this is requested already and still open.

    The activities are new, and alike but for tenant and recommendation. Until the transaction ends, a person's other
    requests wait. Where Intune rejected, deleted or ended the ticket of the open one, the same may be asked for again.
    """
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"remediation request:{actor.id}"])
    alike = RemediationActivity.objects.filter(
        state=ActivityState.ACTIVE,
        tenant_id__in=[each.tenant_id for each in wanted],
        recommendation_id__in=[each.recommendation_id for each in wanted],
        **{name: getattr(wanted[0], name) for name in _SAME},
    )
    if wanted[0].wants_ticket:
        alike = alike.filter(tasks__status__in=(*ON_THE_WAY, *AT_INTUNE))
    words = _("“%(name)s” was requested just like this by %(who)s at %(time)s UTC, and that activity is still open.")
    return {
        each.tenant_id: words
        % {
            "name": each.title,
            "who": each.requested_by_label,
            "time": f"{each.requested_at:%Y-%m-%d %H:%M}",
        }
        for each in alike.only("tenant_id", "title", "requested_by_label", "requested_at")
    }
