"""What Intune says of a security task, brought into our row: its status, its notes, and what that settles.

Where Intune keeps the note of the IT admin who accepted, rejected or completed a task is not documented
(facts/graph.md 1.4). What has been added to the creator's notes since we first knew them is taken for it.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from connectors.microsoft.intune import kind_of
from connectors.outbound.telling import Event, Notice, said_later, tell
from connectors.storable import as_storable
from investigations.fields import Fields
from portal.audit.recording import SYSTEM, ActorStamp, record
from portal.tenancy.scope import database_now
from remediation.vulnerabilities.intune.asking import without_entra_id
from remediation.vulnerabilities.models import ActivityDevice, RemediationActivity, SecurityTask
from remediation.vulnerabilities.states import TASK_MOVES, TaskStatus

_LEFT_OUT: Final = frozenset({"managedDevices"})
_INTUNES_WORDS: Final = ("pending", "active", "rejected", "completed")
_FOLLOWED: Final = ("status", "assigned_to", "created_at_source", "managed_device_count", "raw")
"""What Intune alone says of a task, also of one that was asked for here."""

_WANTED: Final = ("wanted_status", "wanted_note", "wanted_by", "lease_until", "attempts")


def read_task(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a task from one of Intune's rows. What is not as documented is left blank."""
    storable = as_storable(row)
    fields = Fields(storable)
    word = fields.any_text("status").lower()
    count = storable.get("managedDeviceCount")
    return {
        "remote_id": fields.any_text("id"),
        "kind": kind_of(storable),
        "status": TaskStatus(word) if word in _INTUNES_WORDS else TaskStatus.UNKNOWN,
        "display_name": fields.any_text("displayName", "appName") or _("Security task without a name"),
        "description": fields.any_text("description"),
        "priority": fields.any_text("priority"),
        "creator": fields.any_text("creator"),
        "creator_notes": fields.any_text("creatorNotes"),
        "assigned_to": fields.any_text("assignedTo"),
        "due_at": fields.any_moment("dueDateTime"),
        "created_at_source": fields.any_moment("createdDateTime"),
        "managed_device_count": count if isinstance(count, int) and 0 <= count < 2**31 else None,
        "raw": {name: value for name, value in storable.items() if name not in _LEFT_OUT},
    }


def follow(task: SecurityTask, found: Mapping[str, Any]) -> None:
    """Bring a task, locked, up to what `read_task` found, and settle what somebody wanted of it.

    What is wanted and there already is done; what has become impossible is told in `detail` and on record.
    """
    before = TaskStatus(task.status)
    for name in _FOLLOWED:
        setattr(task, name, found[name])
    task.admin_note = _added(task.creator_notes, found["creator_notes"])
    task.seen_at = database_now()
    task.detail = ""
    if task.wanted_status:
        _settle(task)
    task.save(update_fields=[*_FOLLOWED, "admin_note", "seen_at", "detail", *_WANTED])
    if before != task.status:
        note_change(task, before)


def adopt(task: SecurityTask, found: Mapping[str, Any]) -> None:
    """Take the task that Intune has for ours, locked, and count the devices that went along."""
    task.remote_id = found["remote_id"]
    task.lease_until, task.attempts = None, 0
    task.save(update_fields=["remote_id", "lease_until", "attempts"])
    follow(task, found)
    if task.activity_id:
        sent = ActivityDevice.objects.filter(activity_id=task.activity_id, sent_to_intune=True).count()
        RemediationActivity.objects.filter(pk=task.activity_id).update(
            devices_sent=sent, devices_without_entra_id=without_entra_id(task.activity_id)
        )


def mark_deleted(task: SecurityTask) -> None:
    """Say of a task, locked, that Intune has it no more. What was wanted of it is given up."""
    before = TaskStatus(task.status)
    task.status = TaskStatus.DELETED
    task.detail = _("Somebody deleted it in Intune. Request the remediation anew if a ticket is still wanted.")
    drop_wish(task)
    task.save(update_fields=["status", "detail", *_WANTED])
    note_change(task, before)


def drop_wish(task: SecurityTask) -> None:
    """Want nothing of the task any more, without saving it."""
    task.wanted_status, task.wanted_note, task.wanted_by = "", "", None
    task.lease_until, task.attempts = None, 0


def give_up_wish(task: SecurityTask, reason: str) -> None:
    """Say why a task, locked, is not moved as somebody wanted, on its page and on record."""
    wanted, by = task.wanted_status, task.wanted_by_id
    drop_wish(task)
    task.detail = reason
    task.save(update_fields=["detail", *_WANTED])
    note(task, "not_moved", before={"status": task.status}, after={"status": wanted}, wanted_by=by, reason=reason)


def note_change(task: SecurityTask, before: TaskStatus, **data: Any) -> None:
    """Put a change of status on record, and tell the tenant's channels of a rejection, once."""
    after = TaskStatus(task.status)
    note(task, "changed", before={"status": before}, after={"status": after}, admin_note=task.admin_note, **data)
    if after == TaskStatus.REJECTED:
        _tell_rejection(task)


def note(task: SecurityTask, what: str, *, actor: ActorStamp = SYSTEM, **data: Any) -> None:
    """Put on record what was done with a task."""
    record(
        task.tenant_id,
        f"security_task.{what}",
        object_type="security task",
        object_id=task.pk,
        actor=actor,
        data={"target": task.display_name, "activity": task.activity_id, **data},
    )


def _settle(task: SecurityTask) -> None:
    """Drop what is wanted where it is so already, or has become impossible."""
    wanted, status = TaskStatus(task.wanted_status), TaskStatus(task.status)
    if wanted == status:
        note(task, "moved", after={"status": status}, wanted_by=task.wanted_by_id, was_there=True)
        drop_wish(task)
    elif wanted not in TASK_MOVES.get(status, frozenset()):
        words = _("In Intune it is “%(status)s” meanwhile, so it was not moved to “%(wanted)s”.")
        give_up_wish(task, words % {"status": status.label, "wanted": wanted.label})


def _tell_rejection(task: SecurityTask) -> None:
    notice = Notice(
        event=Event.TICKET_REJECTED,
        subject=said_later(gettext_noop("Rejected in Intune: %(task)s"), task=task.display_name),
        facts=[
            (gettext_lazy("Task"), task.display_name),
            (gettext_lazy("Note of the IT admin"), task.admin_note or "–"),
        ],
        path=reverse("admin:vulnerabilities_securitytask_change", args=[task.pk]),
        object_type="security task",
        object_id=task.pk,
    )
    tell(task.tenant_id, notice, key=f"rejected:{task.pk}")


def _added(sent: str, now: str) -> str:
    """Return what stands in the notes beyond what was sent; all of it where that is no longer in front."""
    if now == sent:
        return ""
    return now.removeprefix(sent).strip()
