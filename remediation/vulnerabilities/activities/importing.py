"""Takes over the remediation activities that were made in Defender itself. Their API only reads (facts 6.5)."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from uuid_utils.compat import uuid7

from connectors.outbound.telling import Event
from investigations.fields import Fields
from investigations.turns import take_turn
from portal.audit.recording import SYSTEM
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.activities.completing import SYSTEM_LABEL, UNKNOWN_LABEL
from remediation.vulnerabilities.activities.telling import note, tell_of
from remediation.vulnerabilities.models import Recommendation, RemediationActivity, VulnerabilitySync
from remediation.vulnerabilities.recommendations.payloads import read_each
from remediation.vulnerabilities.recommendations.storing import sync_of
from remediation.vulnerabilities.states import ActivityState, Completion, Origin, Priority, RemediationOption

_MOST: Final = 2**31 - 1

OPTIONS: Final = {
    "update": RemediationOption.SOFTWARE_UPDATE,
    "upgrade": RemediationOption.SOFTWARE_UPDATE,
    "uninstall": RemediationOption.SOFTWARE_UNINSTALL,
    "configurationchange": RemediationOption.CONFIGURATION_CHANGE,
    "attentionrequired": RemediationOption.ATTENTION_REQUIRED,
}
"""Our options by Microsoft's `type`. What is none of them is told by its category: a setting, or else software."""


@dataclass(frozen=True, slots=True)
class TaskPayload:
    """One row of `/api/remediationTasks` (facts 6.8) under our names; `reference` is a recommendation's id, or ""."""

    defender_task_id: str
    reference: str
    title: str
    related_component: str
    option: RemediationOption
    priority: Priority
    due_on: date | None
    notes: str
    group_names: list[str]
    state: ActivityState
    completion: str
    completed_by_label: str
    completed_at: datetime | None
    requested_by_label: str
    requested_at: datetime | None
    devices_at_start: int
    devices_fixed: int
    devices_exposed: int


def store_remediation_tasks(tenant_id: UUID, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Store a tenant's activities from Defender, new or as they are now; return a sentence for each row refused.

    They are shown with Microsoft's own counts and changed in Defender alone. What was completed is completed by the
    person whose e-mail Microsoft names, by *System confirmation* where it says automatic, else *N/A*. Opens its own
    scope; harmless to repeat. One that is unknown and was completed before `forget_completed_before` stays away.
    """
    payloads, refused = read_tasks(rows)
    with acting_for(tenant_id):
        take_turn(tenant_id)
        known = {
            activity.defender_task_id: activity
            for activity in RemediationActivity.objects.select_for_update(no_key=True).filter(
                tenant_id=tenant_id, defender_task_id__in=[payload.defender_task_id for payload in payloads]
            )
        }
        references = {payload.reference for payload in payloads}
        recommendations = dict(
            Recommendation.objects.filter(tenant_id=tenant_id, recommendation_id__in=references).values_list(
                "recommendation_id", "pk"
            )
        )
        now, forgotten_before = database_now(), _forgotten_before(tenant_id)
        for payload in payloads:
            values = _columns(payload) | {"recommendation_id": recommendations.get(payload.reference)}
            activity = known.get(payload.defender_task_id)
            if activity is not None:
                _change(activity, values, now)
            elif not _is_forgotten(payload, forgotten_before):
                _add(tenant_id, values, now)
    return refused


def forget_completed_before(tenant_id: UUID, cutoff: datetime) -> None:
    """Import nothing any more that Defender completed before the cutoff (UTC) and that is unknown here: retention's.

    Runs in the transaction that purges, so that nothing comes back with the next import.
    """
    earlier = Q(forgotten_before=None) | Q(forgotten_before__lt=cutoff)
    sync_of(tenant_id).filter(earlier).update(forgotten_before=cutoff)


def _forgotten_before(tenant_id: UUID) -> datetime | None:
    return VulnerabilitySync.objects.filter(tenant_id=tenant_id).values_list("forgotten_before", flat=True).first()


def _is_forgotten(payload: TaskPayload, forgotten_before: datetime | None) -> bool:
    """Return whether retention had it leave. Where Microsoft does not say when it was completed, when it was made."""
    ended_at = payload.completed_at or payload.requested_at
    is_completed = payload.state == ActivityState.COMPLETED
    return bool(is_completed and forgotten_before and ended_at and ended_at < forgotten_before)


def read_tasks(rows: Iterable[Mapping[str, Any]]) -> tuple[list[TaskPayload], list[str]]:
    """Return what can be used, of the same id twice the last, and a sentence for each row that was refused."""
    usable, refused = read_each(rows, _read, what="remediation task")
    return list({payload.defender_task_id: payload for payload in usable}.values()), refused


def _read(row: dict[str, Any]) -> TaskPayload:
    fields = Fields(row)
    task_id = fields.required_text("id", limit=64)
    option = _option(fields)
    target, fixed = _count(fields, "targetDevices"), _count(fields, "fixedDevices")
    due = fields.moment("dueOn")
    is_completed = fields.word("status") == "completed"
    completion, label = _completion(fields) if is_completed else ("", "")
    return TaskPayload(
        defender_task_id=task_id,
        reference=_reference(fields),
        title=fields.text("title") or task_id,
        related_component=fields.text("relatedComponent"),
        option=option,
        priority=Priority(fields.word("priority")) if fields.word("priority") in Priority.values else Priority.MEDIUM,
        due_on=due.date() if due and option != RemediationOption.ATTENTION_REQUIRED else None,
        notes=fields.text("requesterNotes"),
        group_names=list(fields.texts("rbacGroupNames")),
        state=ActivityState.COMPLETED if is_completed else ActivityState.ACTIVE,
        completion=completion,
        completed_by_label=label,
        completed_at=fields.moment("statusLastModifiedOn") if is_completed else None,
        requested_by_label=fields.text("requesterEmail"),
        requested_at=fields.moment("createdOn"),
        devices_at_start=target,
        devices_fixed=min(fixed, target),
        devices_exposed=max(target - fixed, 0),
    )


def _option(fields: Fields) -> RemediationOption:
    known = OPTIONS.get(fields.text("type").replace(" ", "").casefold())
    is_setting = fields.text("category").replace(" ", "").casefold() == "securityconfiguration"
    return known or (RemediationOption.CONFIGURATION_CHANGE if is_setting else RemediationOption.SOFTWARE_UPDATE)


def _reference(fields: Fields) -> str:
    """Return the recommendation's id: as Microsoft gives it, else put together as its ids are."""
    if fields.text("recommendationReference"):
        return fields.text("recommendationReference")
    if fields.text("scid"):
        return f"sca-_-{fields.text('scid')}"
    return f"va-_-{fields.text('productId')}" if fields.text("productId") else ""


def _completion(fields: Fields) -> tuple[str, str]:
    """Return who completed it, and how that is shown (facts 5.3)."""
    if fields.text("completerEmail"):
        return Completion.PERSON, fields.text("completerEmail")
    if fields.word("completionMethod").startswith("automatic"):
        return Completion.SYSTEM, SYSTEM_LABEL
    return Completion.UNKNOWN, UNKNOWN_LABEL


def _count(fields: Fields, name: str) -> int:
    number = int(fields.number(name) or 0)
    if not 0 <= number <= _MOST:
        raise fields.refusal(name, "is not a number of devices")
    return number


def _columns(payload: TaskPayload) -> dict[str, Any]:
    values = asdict(payload)
    del values["reference"]
    return values


def _add(tenant_id: UUID, values: dict[str, Any], now: datetime) -> None:
    given = {name: value for name, value in values.items() if value is not None}
    if values["state"] == ActivityState.COMPLETED:
        given.setdefault("completed_at", now)
    elif due_on := values["due_on"]:
        given["told_overdue_at"] = now if due_on < now.date() else None  # what was overdue before is no news
    RemediationActivity.objects.create(
        tenant_id=tenant_id, campaign=uuid7(), origin=Origin.DEFENDER, progress_at=now, **given
    )


def _change(activity: RemediationActivity, values: dict[str, Any], now: datetime) -> None:
    """Bring an activity up to date; its being completed meanwhile is put on record and told."""
    if values["state"] == ActivityState.COMPLETED:
        values["completed_at"] = values["completed_at"] or activity.completed_at or now
    values["requested_at"] = values["requested_at"] or activity.requested_at
    values["recommendation_id"] = values["recommendation_id"] or activity.recommendation_id
    was_active = activity.state == ActivityState.ACTIVE
    differing = [name for name, value in values.items() if getattr(activity, name) != value]
    if not differing:
        return
    for name in differing:
        setattr(activity, name, values[name])
    activity.progress_at = now
    if "due_on" in differing:
        activity.told_due_soon_at = activity.told_overdue_at = None
    activity.save(update_fields=[*differing, "progress_at", "told_due_soon_at", "told_overdue_at"])
    if was_active and activity.state == ActivityState.COMPLETED:
        after = {"state": str(activity.state), "completed_by": activity.completed_by_label}
        data = {"before": {"state": str(ActivityState.ACTIVE)}, "after": after}
        note(activity, "activity.completed", actor=SYSTEM, data=data)
        tell_of(activity, Event.REMEDIATION_COMPLETED)
