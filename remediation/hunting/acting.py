"""Rows become actions: which types the columns of a result allow, and one request per device, file or 100 messages.

Nothing is sent from here: each action goes the way of every other, with its approvals.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from investigations.models import Device
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Refusal
from portal.access.roles import Capability
from portal.audit.recording import record
from portal.tenancy.scope import acting_for
from remediation.actions.answering import stated
from remediation.actions.deciding import MESSAGES_OF_ACTION
from remediation.actions.models import RemediationAction
from remediation.actions.services import request_action
from remediation.catalogue import CATALOGUE, REQUESTABLE, ActionType, Area, Parameter
from remediation.hunting.models import Hunt
from remediation.hunting.states import ACTION_SOURCES, HuntSource

MOST_ACTIONS: Final = 100
"""Actions asked for at once: more than a person can look through is not a decision."""

MOST_SUBMISSIONS: Final = 10
"""The same of what goes to Microsoft's analysts without anybody's approval, one message a submission."""

COLUMNS_OF_PARAMETER: Final[Mapping[str, tuple[str, ...]]] = {
    "sha1": ("SHA1",),
    "url": ("Url",),
    "messages": ("NetworkMessageId", "RecipientEmailAddress"),
}
"""Which columns a parameter is read from, by its kind; all others are the person's to give."""

EXPLORER_TYPES: Final = ("move_to_junk", "soft_delete_email", "hard_delete_email")
_DEVICE_COLUMN: Final = "DeviceId"
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{40}")


class RowOutcome(TextChoices):
    """What came of asking for an action on a row."""

    CREATED = "created", gettext_lazy("Asked for")
    ALREADY_OPEN = "already_open", gettext_lazy("Already open")
    REFUSED = "refused", gettext_lazy("Refused")


@dataclass(frozen=True, slots=True)
class RowResult:
    """What came of one row: its action, or why there is none."""

    row: int
    outcome: RowOutcome
    action: RemediationAction | None = None
    reason: str = ""


@dataclass(slots=True)
class Group:
    """Rows that become one action together."""

    device: Device | None
    parameters: dict[str, Any]
    rows: list[int] = field(default_factory=list)


class _RowRefused(Exception):
    """No action can be asked for on this row; the message says why."""


def derived_parameters(kind: ActionType) -> list[Parameter]:
    """Return the parameters of a type that are read from the rows."""
    return [each for each in kind.parameters if each.kind in COLUMNS_OF_PARAMETER and not each.is_optional]


def asked_parameters(kind: ActionType) -> list[Parameter]:
    """Return the parameters of a type that the person gives, the same for all rows."""
    derived = derived_parameters(kind)
    return [each for each in kind.parameters if each not in derived]


def columns_needed(kind: ActionType) -> list[str]:
    """Return the columns that rows need for actions of this type; none where rows cannot lead to it."""
    columns = [_DEVICE_COLUMN] if kind.area is Area.DEVICE else []
    return columns + [name for each in derived_parameters(kind) for name in COLUMNS_OF_PARAMETER[each.kind]]


def offered_types(hunt: Hunt) -> list[ActionType]:
    """Return the types that the columns of this result allow; from the explorer, those that take mail away."""
    there = {name for name, _kind in hunt.columns}
    names = (
        EXPLORER_TYPES if hunt.source == HuntSource.EXPLORER else [name for name in CATALOGUE if name in REQUESTABLE]
    )
    return [
        CATALOGUE[name] for name in names if (needed := columns_needed(CATALOGUE[name])) and there.issuperset(needed)
    ]


@dataclass(frozen=True, slots=True)
class Plan:
    """What asking for actions of a type on some rows would come to; `refused` are the rows that become none."""

    kind: ActionType
    groups: list[Group]
    refused: dict[int, RowResult]

    @property
    def message_count(self) -> int:
        """How many messages it is about."""
        return sum(len(group.parameters.get("messages", ())) for group in self.groups)


def plan_on_rows(hunt: Hunt, type_name: str, rows: Collection[int]) -> Plan:
    """Return what these rows would become: one action per device or file, mail in actions of at most 100 messages.

    A submission is about one message, and there are at most ten at once. Raises BadRequest for a type the columns do
    not allow or for too many actions at once.
    """
    kind = _offered(hunt, type_name)
    refused: dict[int, RowResult] = {}
    groups = list(_groups(hunt, kind, sorted(set(rows)), refused))
    most = MOST_SUBMISSIONS if _is_submission(kind) else MOST_ACTIONS
    if len(groups) > most:
        raise BadRequest(_("These rows would become more than %(most)d actions; choose fewer.") % {"most": most})
    return Plan(kind, groups, refused)


def request_on_rows(
    hunt: Hunt, *, type_name: str, rows: Collection[int], parameters: Mapping[str, Any], reason: str, actor: Actor
) -> list[RowResult]:
    """Ask for an action on each of these rows of a result; return what came of each, in the order of the rows.

    Raises BadRequest as `plan_on_rows` does and without a reason, Forbidden without the right.
    """
    actor.require(Capability.REQUEST_ACTION, hunt.tenant_id)
    stated(reason)
    plan = plan_on_rows(hunt, type_name, rows)
    results = dict(plan.refused)
    for group in plan.groups:
        for result in _request(hunt, plan.kind, group, {**parameters, **group.parameters}, reason, actor):
            results[result.row] = result
    _note(hunt, plan.kind, results, reason, actor)
    return [results[row] for row in sorted(results)]


def _offered(hunt: Hunt, type_name: str) -> ActionType:
    kind = CATALOGUE.get(type_name)
    if kind is None or kind.name not in REQUESTABLE:
        raise BadRequest(_("There is no action “%(type)s” that could be asked for.") % {"type": type_name[:60]})
    needed = columns_needed(kind)
    if not needed:
        raise BadRequest(_("“%(action)s” cannot be asked for from rows.") % {"action": kind.label})
    if missing := set(needed) - {name for name, _type in hunt.columns}:
        words = _("“%(action)s” needs the columns %(missing)s; add them to the query.")
        raise BadRequest(words % {"action": kind.label, "missing": ", ".join(sorted(missing))})
    return kind


def _groups(hunt: Hunt, kind: ActionType, wanted: Sequence[int], results: dict[int, RowResult]) -> Iterator[Group]:
    """Yield what becomes one action each; rows that cannot become any are put into `results` with the reason."""
    devices = _devices_of(hunt, wanted) if kind.area is Area.DEVICE else {}
    found: dict[tuple[str, ...], Group] = {}
    for position in wanted:
        try:
            key, group = _group_of(_row(hunt, position), kind, devices)
        except _RowRefused as refusal:
            results[position] = RowResult(position, RowOutcome.REFUSED, reason=str(refusal))
        else:
            found.setdefault(key, group).rows.append(position)
    if any(each.kind == "messages" for each in derived_parameters(kind)):
        yield from _mail_groups(found, 1 if _is_submission(kind) else MESSAGES_OF_ACTION)
    else:
        yield from found.values()


def _is_submission(kind: ActionType) -> bool:
    return kind.name.startswith("submit_")


def _mail_groups(found: Mapping[tuple[str, ...], Group], most: int) -> Iterator[Group]:
    ordered = [found[key] for key in sorted(found)]
    for at in range(0, len(ordered), most):
        part = ordered[at : at + most]
        messages = [group.parameters["messages"] for group in part]
        yield Group(None, {"messages": messages}, [row for group in part for row in group.rows])


def _group_of(row: Mapping[str, Any], kind: ActionType, devices: Mapping[str, Device]) -> tuple[tuple[str, ...], Group]:
    device = _device(row, devices) if kind.area is Area.DEVICE else None
    parameters = {each.name: _value(row, each) for each in derived_parameters(kind)}
    return (device.machine_id if device else "", *(str(value) for value in parameters.values())), Group(
        device, parameters
    )


def _value(row: Mapping[str, Any], parameter: Parameter) -> Any:
    values = []
    for column in COLUMNS_OF_PARAMETER[parameter.kind]:
        value = row.get(column)
        if not isinstance(value, str) or not value.strip():
            raise _RowRefused(_("The column %(column)s is empty in this row.") % {"column": column})
        values.append(value.strip())
    if parameter.kind == "messages":
        return {"network_message_id": values[0].lower(), "recipient": values[1].lower()}
    return values[0]


def _device(row: Mapping[str, Any], devices: Mapping[str, Device]) -> Device:
    machine_id = str(row.get(_DEVICE_COLUMN) or "").strip().lower()
    if not _MACHINE_ID.fullmatch(machine_id):
        raise _RowRefused(_("The column DeviceId holds no Defender device id in this row."))
    if machine_id not in devices:
        raise _RowRefused(_("Quell does not know this device of this tenant (yet); it reads the devices every minute."))
    return devices[machine_id]


def _devices_of(hunt: Hunt, wanted: Sequence[int]) -> dict[str, Device]:
    rows = [hunt.rows[position] for position in wanted if 0 <= position < len(hunt.rows)]
    named = {str(row.get(_DEVICE_COLUMN) or "").strip().lower() for row in rows}
    found = Device.objects.filter(tenant_id=hunt.tenant_id, machine_id__in=named).select_related("group")
    return {device.machine_id: device for device in found}


def _row(hunt: Hunt, position: int) -> Mapping[str, Any]:
    if not 0 <= position < len(hunt.rows):
        raise _RowRefused(_("There is no such row."))
    row: Mapping[str, Any] = hunt.rows[position]
    return row


def _request(
    hunt: Hunt, kind: ActionType, group: Group, parameters: Mapping[str, Any], reason: str, actor: Actor
) -> list[RowResult]:
    try:
        with acting_for(hunt.tenant_id):
            action, is_new = request_action(
                tenant_id=hunt.tenant_id,
                type_name=kind.name,
                device=group.device,
                parameters=parameters,
                reason=reason,
                actor=actor,
                source=ACTION_SOURCES[HuntSource(hunt.source)],
            )
    except Refusal as refusal:
        return [RowResult(row, RowOutcome.REFUSED, reason=str(refusal)) for row in group.rows]
    outcome = RowOutcome.CREATED if is_new else RowOutcome.ALREADY_OPEN
    return [RowResult(row, outcome, action) for row in group.rows]


def _note(hunt: Hunt, kind: ActionType, results: Mapping[int, RowResult], reason: str, actor: Actor) -> None:
    record(
        hunt.tenant_id,
        "hunt.actions_requested",
        object_type="hunt",
        object_id=hunt.pk,
        actor=actor.stamp,
        data={
            "type": kind.name,
            "reason": reason,
            "rows": {str(row): str(result.outcome) for row, result in sorted(results.items())},
            "actions": sorted({str(result.action.pk) for result in results.values() if result.action}),
        },
    )
