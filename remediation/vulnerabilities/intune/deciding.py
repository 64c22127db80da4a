"""What people do to a security task from here: accept, reject, complete, send again. A worker then asks Intune."""

from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from connectors.storable import as_storable
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.tenancy.scope import database_now
from remediation.actions.bells import ring_after_commit
from remediation.vulnerabilities.intune.following import note
from remediation.vulnerabilities.models import IntuneConnection, SecurityTask
from remediation.vulnerabilities.states import TASK_MOVES, ActivityState, TaskStatus

LONGEST_NOTE: Final = 1000


def decide_task(task_id: UUID, wanted: TaskStatus, *, words: str, actor: Actor) -> SecurityTask:
    """Ask Intune to move a task to `wanted`, with a note for those who read it there, and return the task.

    It is the customer's IT that decides such a task, so a person has to, where the tenant allows it from here. Whether
    Intune still takes it, is seen when it is asked: `detail` tells of a conflict. Raises Forbidden, BadRequest for a
    rejection without a reason or a note that is too long, and Conflict for a move that makes no sense now.
    """
    task = SecurityTask.objects.select_for_update().get(pk=task_id)
    actor.require(Capability.HANDLE_REMEDIATION, task.tenant_id)
    actor.require_person()
    said = str(as_storable(words)).strip()
    if len(said) > LONGEST_NOTE:
        raise BadRequest(_("A note is at most %(most)d characters.") % {"most": LONGEST_NOTE})
    if wanted == TaskStatus.REJECTED and not said:
        raise BadRequest(_("Say why it is rejected; who asked for it reads that."))
    if obstacle := _obstacle(task, wanted):
        raise Conflict(obstacle)
    task.wanted_status, task.wanted_note, task.wanted_by_id = wanted, said, actor.id
    task.not_before, task.attempts, task.detail = database_now(), 0, ""
    task.save(update_fields=["wanted_status", "wanted_note", "wanted_by", "not_before", "attempts", "detail"])
    after = {"status": wanted, "note": said}
    note(task, "move_requested", actor=actor.stamp, before={"status": task.status}, after=after, reason=said)
    ring_after_commit("tickets", task.tenant_id)
    return task


def send_again(task_id: UUID, *, actor: Actor) -> SecurityTask:
    """Let a ticket that was not made be sent once more, and return it.

    A person has to, who has seen why it was not made. Raises Forbidden, and Conflict for a task that has not failed,
    whose activity is over, or while the Intune connection is off.
    """
    task = SecurityTask.objects.select_for_update(of=("self",)).select_related("activity").get(pk=task_id)
    actor.require(Capability.HANDLE_REMEDIATION, task.tenant_id)
    actor.require_person()
    if not may_send_again(task):
        raise Conflict(
            _(
                "Only a ticket that was not made in Intune, of an activity that is still active, can be sent again. If"
                " it is still wanted, request the remediation anew."
            )
        )
    if not IntuneConnection.objects.filter(tenant_id=task.tenant_id, is_on=True).exists():
        raise Conflict(_("The Intune connection of this tenant is off; switch it on first, under Intune connections."))
    before = {"status": task.status, "detail": task.detail}
    task.status, task.detail = TaskStatus.WAITING, ""
    task.not_before, task.lease_until, task.attempts = database_now(), None, 0
    task.save(update_fields=["status", "detail", "not_before", "lease_until", "attempts"])
    note(task, "sent_again", actor=actor.stamp, before=before, after={"status": task.status})
    ring_after_commit("tickets", task.tenant_id)
    return task


def may_send_again(task: SecurityTask) -> bool:
    """Return whether the task is a ticket that was surely not made, and still makes sense."""
    activity = task.activity
    return task.status == TaskStatus.FAILED and activity is not None and activity.state == ActivityState.ACTIVE


def may_decide_tasks(tenant_id: UUID) -> bool:
    """Return whether the tenant, in scope, lets people move its tasks from here, and is connected."""
    return IntuneConnection.objects.filter(tenant_id=tenant_id, is_on=True, may_update_tasks=True).exists()


def moves_of(task: SecurityTask) -> frozenset[TaskStatus]:
    """Return where the task can be moved now, as far as we know: nowhere while it is on its way somewhere."""
    return frozenset() if task.wanted_status else TASK_MOVES.get(TaskStatus(task.status), frozenset())


def _obstacle(task: SecurityTask, wanted: TaskStatus) -> str:
    if not may_decide_tasks(task.tenant_id):
        return _(
            "This tenant does not let tasks be accepted, rejected or completed from Quell, or its Intune connection is"
            " off; see Intune connections. In the Intune admin center it can be done at any time."
        )
    if task.wanted_status:
        words = _("It is being moved to “%(wanted)s” already; wait until Intune has answered.")
        return words % {"wanted": TaskStatus(task.wanted_status).label}
    if wanted not in moves_of(task):
        words = _("A task that is “%(status)s” cannot become “%(wanted)s”. What it can become from here: %(moves)s.")
        moves = ", ".join(f"“{move.label}”" for move in TaskStatus if move in moves_of(task)) or _("nothing")
        return words % {"status": TaskStatus(task.status).label, "wanted": wanted.label, "moves": moves}
    return ""
