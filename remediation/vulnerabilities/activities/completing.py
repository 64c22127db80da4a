"""Completing activities: by hand, or by what their devices say."""

from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from connectors.outbound.telling import Event
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict, Forbidden
from portal.access.roles import Capability
from portal.api.fields import NOT_YOURS
from portal.audit.recording import SYSTEM, ActorStamp
from portal.tenancy.scope import database_now
from remediation.vulnerabilities.activities.requesting import fitting_notes
from remediation.vulnerabilities.activities.telling import note as put_on_record
from remediation.vulnerabilities.activities.telling import tell_of
from remediation.vulnerabilities.models import RemediationActivity
from remediation.vulnerabilities.states import ActivityState, Completion, Origin

SYSTEM_LABEL: Final = "System confirmation"
UNKNOWN_LABEL: Final = "N/A"
"""What Microsoft shows in *Completed by* where no person did it, in every language (facts 5.3)."""


def complete(activity_id: UUID, *, note: str, actor: Actor) -> RemediationActivity:
    """Mark an activity completed by this person. Raises Forbidden for API keys too, Conflict when it is already."""
    activity = _held(activity_id, actor)
    if actor.is_key:
        raise Forbidden(
            _(
                "Completing an activity by hand stands for a person's word, with their e-mail on record; an API key has"
                " none. Sign in as a person."
            )
        )
    if activity.state != ActivityState.ACTIVE:
        raise Conflict(
            _("This activity is completed already, by %(whom)s on %(day)s.")
            % {"whom": activity.completed_by_label, "day": f"{activity.completed_at:%Y-%m-%d}"}
        )
    activity.completed_by_id, activity.completion_note = actor.id, fitting_notes(note, field="note")
    _finish(activity, Completion.PERSON, actor=actor.stamp, label=actor.label)
    return activity


def confirm(activity: RemediationActivity) -> None:
    """Complete an activity because no device of it is left exposed. It is held by the open transaction."""
    _finish(activity, Completion.SYSTEM, actor=SYSTEM, label=SYSTEM_LABEL)


def change_notes(activity_id: UUID, notes: str, *, actor: Actor) -> RemediationActivity:
    """Replace an activity's notes, on record with the former ones. Raises Forbidden, Conflict when it is completed."""
    activity = _held(activity_id, actor)
    if activity.state != ActivityState.ACTIVE:
        raise Conflict(_("This activity is completed, so its notes stay as they are."))
    before, activity.notes = activity.notes, fitting_notes(notes)
    if activity.notes != before:
        activity.save(update_fields=["notes"])
        data = {"before": {"notes": before}, "after": {"notes": activity.notes}}
        put_on_record(activity, "activity.notes_changed", actor=actor.stamp, data=data)
    return activity


def _held(activity_id: UUID, actor: Actor) -> RemediationActivity:
    """Return the activity, locked: of a tenant in scope, made here, and for who may handle remediation there."""
    activity = RemediationActivity.objects.select_for_update(no_key=True).filter(pk=activity_id).first()
    if activity is None:
        raise BadRequest(str(NOT_YOURS))
    actor.require(Capability.HANDLE_REMEDIATION, activity.tenant_id)
    if activity.origin == Origin.DEFENDER:
        raise Conflict(_("This activity was made in Microsoft Defender and is read from there; change it there."))
    return activity


def _finish(activity: RemediationActivity, completion: Completion, *, actor: ActorStamp, label: str) -> None:
    """Complete it, on record and told; `completed_at` is the database's time."""
    activity.state, activity.completion = ActivityState.COMPLETED, completion
    activity.completed_by_label, activity.completed_at = label, database_now()
    activity.save(
        update_fields=[
            "state", "completion", "completed_by", "completed_by_label", "completed_at", "completion_note",
        ]
    )  # fmt: skip
    after = {
        "state": str(activity.state),
        "completion": str(completion),
        "completed_by": label,
        "note": activity.completion_note,
        "devices_fixed": activity.devices_fixed,
        "devices_exposed": activity.devices_exposed,
        "devices_gone": activity.devices_gone,
    }
    before = {"state": str(ActivityState.ACTIVE)}
    data = {"before": before, "after": after, "reason": activity.completion_note}
    put_on_record(activity, "activity.completed", actor=actor, data=data)
    tell_of(activity, Event.REMEDIATION_COMPLETED)
