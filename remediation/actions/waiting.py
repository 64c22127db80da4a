"""What an action waits for, in words: an approved one by the same SQL that the claim asks."""

from typing import Final

from django.db import connection
from django.utils.translation import gettext as _

from remediation.actions import approvals
from remediation.actions.by_hand import waits_for_hands
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.safeguards import caps, freezes
from remediation.safeguards.models import Freeze
from remediation.safeguards.protection import IS_SHIELDED

_QUESTIONS: Final = f"""
SELECT {IS_SHIELDED}, {approvals.APPROVED}, coalesce({caps.USED} < {caps.CAP}, true) OR {approvals.PASSES_LIMIT},
    {caps.CAP}
FROM actions_remediationaction a WHERE a.tenant_id = %(tenant)s AND a.id = %(action)s
"""  # noqa: S608 our own constants


def describe_wait(action: RemediationAction) -> str:
    """Return what an action of a tenant in scope waits for, "" where that is nothing of ours."""
    if waits_for_hands(action):
        return _("A person has to do this in the Defender portal, then say here whether it was done.")
    if action.state == State.ACCEPTED and action.cancel_asked_at is not None:
        return _("Microsoft is asked to stop it; how it ended shows here.")
    if action.state != State.APPROVED:
        return ""
    frozen = freezes.holding(action.tenant_id, action.type)
    return _behind(frozen) if frozen else _short_of(action)


def _behind(frozen: Freeze) -> str:
    words = _(
        "Sending is frozen since %(time)s UTC by %(person)s: “%(reason)s” It is sent when the freeze is lifted, unless "
        "it has lapsed by then."
    )
    return words % {
        "time": f"{frozen.frozen_at:%Y-%m-%d %H:%M}",
        "person": frozen.frozen_by,
        "reason": frozen.reason,
    }


def _short_of(action: RemediationAction) -> str:
    with connection.cursor() as cursor:
        parameters = approvals.sql_parameters()
        parameters |= {"tenant": action.tenant_id, "action": action.pk, "caps": caps.DEFAULTS}
        cursor.execute(_QUESTIONS, parameters)
        is_shielded, is_approved, has_room, cap = cursor.fetchone()
    if not is_approved and is_shielded:
        return _("Its device is protected by now, which takes two people's approval. Cancel it and ask for it again.")
    if not is_approved:
        return _("It no longer has all the approvals it needs. Cancel it and ask for it again.")
    if not has_room:
        words = _("The limit of %(cap)d an hour for this action is reached; it waits for the next hour.")
        return words % {"cap": cap}
    return ""
