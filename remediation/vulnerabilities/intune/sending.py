"""Brings to Intune the tasks that are to be made or moved there: claim, call, record.

The row is the queue. A claim takes a lease and a new fence; Intune is called outside any transaction; who records shows
the fence, so that a worker that was taken for dead writes nothing. Whatever became of a request to make a task, another
is made only once two whole lists without our marker have shown that there is none, a while after it was sent and a
while apart.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from connectors.protocol import NotSent, OutcomeUnknown, Refused
from connectors.vulnerability_protocol import Intune, TaskRequest
from portal.access.actors import actor_for
from portal.access.roles import Capability
from portal.tenancy.scope import acting_for, database_now
from remediation.actions.draining import way_out_of
from remediation.safeguards.freezes import keep_out_freezes
from remediation.vulnerabilities.intune.asking import mark_devices, not_described, request_of, unmark_devices
from remediation.vulnerabilities.intune.following import (
    adopt,
    drop_wish,
    follow,
    give_up_wish,
    mark_deleted,
    note,
    note_change,
    read_task,
)
from remediation.vulnerabilities.intune.holding import require_open, why_frozen
from remediation.vulnerabilities.models import IntuneConnection, RemediationActivity, SecurityTask
from remediation.vulnerabilities.states import AT_INTUNE, ActivityState, TaskStatus

logger = logging.getLogger(__name__)

LEASE_SECONDS: Final = 600
"""Longer than any worker may take over one (`CELERY_TASK_TIME_LIMIT`)."""

MOST_AT_ONCE: Final = 50
LONGEST_WAIT_SECONDS: Final = 900.0
DEVICES_AWAITED: Final = timedelta(hours=1)
"""So long a ticket waits at most for the device list to describe its devices; it is read every minute."""

_IN_DOUBT: Final = Q(status__in=(TaskStatus.SENDING, TaskStatus.UNCONFIRMED))
_DUE: Final = (
    Q(not_before__lte=Now())
    & (Q(lease_until=None) | Q(lease_until__lte=Now()))
    & (Q(status=TaskStatus.WAITING) | _IN_DOUBT | Q(status__in=AT_INTUNE) & ~Q(wanted_status=""))
)


class Step(StrEnum):
    """What is to be done about a task."""

    MAKE = "make"
    LOOK_UP = "look_up"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that is this worker's until its lease is over, as it was when it was claimed.

    `request` is what is to be made, None for the other steps.
    """

    task: SecurityTask
    fence: int
    step: Step
    request: TaskRequest | None = None


def send_due(tenant_id: UUID) -> None:
    """Send what waits for the tenant's Intune, as long as it takes calls. No transaction is open during a call.

    While the tenant's Intune connection is off nothing is claimed, and nothing is lost; during a freeze only look-ups
    are, which send nothing.
    """
    for _turn in range(MOST_AT_ONCE):
        claimed = _claim(tenant_id)
        if claimed is None:
            return
        way = way_out_of(tenant_id)
        if way.connector is None:
            _put_off(claimed, way.trouble or _no_connection())
            return
        try:
            _call(claimed, way.connector.intune)
        except NotSent as error:
            _put_off(claimed, str(error), error.retry_after)
            return
        except OutcomeUnknown as error:
            _leave_open(claimed, str(error))
        except Refused as error:
            _refused(claimed, str(error))


def _call(claimed: Claim, intune: Intune) -> None:
    if claimed.request is not None:
        _make(claimed, claimed.request, intune)
    elif claimed.step == Step.LOOK_UP and claimed.task.activity_id:
        _look_up(claimed, claimed.task.activity_id, intune)
    else:
        _move(claimed, intune)


def _no_connection() -> str:
    return _("The tenant has no connection to Microsoft that is switched on; it goes on by itself once there is one.")


def _claim(tenant_id: UUID) -> Claim | None:
    with acting_for(tenant_id):
        keep_out_freezes()
        connection = IntuneConnection.objects.filter(is_on=True, tenant__is_active=True).first()
        if connection is None:
            return None
        due = SecurityTask.objects.select_for_update(skip_locked=True, of=("self",)).filter(_DUE)
        if frozen := why_frozen(tenant_id):
            SecurityTask.objects.filter(_DUE, ~_IN_DOUBT).exclude(detail=frozen).update(detail=frozen)
            due = due.filter(_IN_DOUBT)
        due = due.select_related("activity__recommendation", "wanted_by").order_by("not_before", "id")
        while (task := due.first()) is not None:
            step = _step_of(task)
            obstacle = _against_moving(task, connection) if step == Step.MOVE else _against_making(task.activity, step)
            if obstacle:
                _give_up(task, step, obstacle)
            elif step == Step.MAKE and (awaited := _awaited(task)):
                _write(task, not_before=Now() + timedelta(seconds=settings.SYNC_SECONDS), detail=awaited)
            else:
                return _take(task, step)
    return None


def _step_of(task: SecurityTask) -> Step:
    if task.status == TaskStatus.WAITING:
        return Step.MAKE
    return Step.MOVE if task.status in AT_INTUNE else Step.LOOK_UP


def _against_making(activity: RemediationActivity | None, step: Step) -> str:
    """Say why no ticket is to be made after all, "" where one is."""
    if activity is None:
        return _("Its remediation activity has been removed, so there is nothing to ask for any more.")
    if step == Step.MAKE and activity.state == ActivityState.COMPLETED:
        return _("Its remediation activity was completed before the ticket was made.")
    return ""


def _awaited(task: SecurityTask) -> str:
    """Say for which devices the ticket waits, "" where it waits no longer: sent now, it would leave them out."""
    number = not_described(task.activity_id) if task.activity_id else 0
    if not number or task.created_at + DEVICES_AWAITED <= database_now():
        return ""
    words = ngettext(
        "%(number)d device has not been described by Defender's device list yet, which tells the Entra device id it is"
        " sent by. The ticket waits for that, an hour at most.",
        "%(number)d devices have not been described by Defender's device list yet, which tells the Entra device ids"
        " they are sent by. The ticket waits for that, an hour at most.",
        number,
    )
    return words % {"number": number}


def _against_moving(task: SecurityTask, connection: IntuneConnection) -> str:
    """Say why the task is not to be moved after all, "" where it is: asking and sending are two moments."""
    if not connection.may_update_tasks:
        return _(
            "Accepting, rejecting and completing tasks from Quell has been switched off for this tenant meanwhile."
        )
    asker = task.wanted_by
    may = asker and actor_for(asker, by_key=False).may(Capability.HANDLE_REMEDIATION, task.tenant_id)
    return "" if may else _("%(person)s may no longer do this in this tenant.") % {"person": asker}


def _take(task: SecurityTask, step: Step) -> Claim:
    request = None
    if step == Step.MAKE and task.activity is not None:
        mark_devices(task.activity.pk)
        request = request_of(task, task.activity)
    status = {Step.MAKE: TaskStatus.SENDING, Step.LOOK_UP: TaskStatus.UNCONFIRMED}.get(step, TaskStatus(task.status))
    changes: dict[str, Any] = {} if step == Step.LOOK_UP else {"sent_at": Now()}
    lease = Now() + timedelta(seconds=LEASE_SECONDS)
    _write(task, status=status, fence=F("fence") + 1, attempts=F("attempts") + 1, lease_until=lease, **changes)
    return Claim(task, task.fence + 1, step, request)


def _make(claimed: Claim, request: TaskRequest, intune: Intune) -> None:
    found = read_task(intune.create_task(request, before_sending=partial(_require_ours, claimed)))
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is not None:
            adopt(task, found)


def _look_up(claimed: Claim, marker: UUID, intune: Intune) -> None:
    row = intune.find_task(marker)
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is None:
            return
        if row is not None:
            adopt(task, read_task(row))
        elif _is_quiet_since(task.absent_since):
            unmark_devices(task.activity_id)
            again = {"status": TaskStatus.WAITING, "not_before": Now(), "absent_since": None}
            _write(task, **again, lease_until=None, detail="")
        else:
            words = _("It is not in Intune yet. It is looked up again before another one is made.")
            absent_since = task.absent_since or (Now() if _is_quiet_since(task.sent_at or task.created_at) else None)
            _write(task, absent_since=absent_since, not_before=_later(task), lease_until=None, detail=words)


def _is_quiet_since(moment: datetime | None) -> bool:
    """Return whether that was so long ago that Intune would show it by now."""
    return moment is not None and moment + timedelta(seconds=settings.ACTION_QUIET_SECONDS) <= database_now()


def _move(claimed: Claim, intune: Intune) -> None:
    """Read before writing: what is there already, or has become impossible, is settled without a call that acts."""
    row = intune.task(claimed.task.remote_id)
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is None:
            return
        if row is None:
            mark_deleted(task)
            return
        follow(task, read_task(row))
        if not task.wanted_status:
            return
        wanted, words = TaskStatus(task.wanted_status), task.wanted_note
    intune.update_task(
        claimed.task.remote_id,
        status=wanted,
        note=words,
        before_sending=partial(_require_ours, claimed),
    )
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is not None:
            _moved(task, wanted)


def _moved(task: SecurityTask, wanted: TaskStatus) -> None:
    before, by = TaskStatus(task.status), task.wanted_by_id
    task.status, task.detail = wanted, ""
    if task.wanted_note:  # Intune's own words come with the next sync
        task.admin_note = "\n".join(filter(None, [task.admin_note, task.wanted_note]))
    drop_wish(task)
    task.save()
    note_change(task, before, wanted_by=by)


def _put_off(claimed: Claim, words: str, wait_seconds: float | None = None) -> None:
    """Nothing was sent: it goes back to where it was, and its turn comes again."""
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is not None:
            status = TaskStatus.WAITING if claimed.step == Step.MAKE else task.status
            if claimed.step == Step.MAKE:
                unmark_devices(task.activity_id)
            not_before = Now() + timedelta(seconds=wait_seconds) if wait_seconds else _later(task)
            _write(task, status=status, not_before=not_before, lease_until=None, detail=words)


def _leave_open(claimed: Claim, words: str) -> None:
    """Nobody knows what became of it: it is looked up before it is sent again."""
    logger.warning("Security task %s: %s", claimed.task.pk, words)
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is not None:
            status = TaskStatus.UNCONFIRMED if claimed.step == Step.MAKE else task.status
            _write(task, status=status, not_before=_later(task), lease_until=None, detail=words)


def _refused(claimed: Claim, words: str) -> None:
    """Say what Intune said. A refused look-up says nothing about the task, and is done again."""
    if claimed.step == Step.LOOK_UP:
        _leave_open(claimed, words)
        return
    with acting_for(claimed.task.tenant_id):
        task = _held(claimed)
        if task is not None:
            _give_up(task, claimed.step, words)


def _give_up(task: SecurityTask, step: Step, words: str) -> None:
    if step == Step.MOVE:
        give_up_wish(task, words)
        return
    unmark_devices(task.activity_id)
    _write(task, status=TaskStatus.FAILED, lease_until=None, detail=words)
    note(task, "failed", after={"status": TaskStatus.FAILED}, reason=words)


def _later(task: SecurityTask) -> Any:
    """Return when to try again: soon at first, then ever more seldom."""
    wait: float = min(settings.ACTION_POLL_SECONDS * 2 ** min(task.attempts, 10), LONGEST_WAIT_SECONDS)
    return Now() + timedelta(seconds=wait)


def _held(claimed: Claim) -> SecurityTask | None:
    """Return the task, locked, unless somebody else has it by now: then this worker is a ghost and writes nothing."""
    return SecurityTask.objects.select_for_update().filter(pk=claimed.task.pk, fence=claimed.fence).first()


def _require_ours(claimed: Claim) -> None:
    """Ask once more right before the socket: it may have been frozen, or this worker taken for dead. Raises NotSent."""
    with acting_for(claimed.task.tenant_id):
        mine = SecurityTask.objects.filter(pk=claimed.task.pk, fence=claimed.fence, lease_until__gt=Now())
        if not mine.exists():
            raise NotSent(_("This took too long; it is another worker's by now."), code="Held")
    require_open(claimed.task.tenant_id)


def _write(task: SecurityTask, **changes: Any) -> None:
    SecurityTask.objects.filter(pk=task.pk).update(**changes)
