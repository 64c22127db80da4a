"""Device groups: each tenant's default one, the verbs that change them, and sorting devices into them."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from django.db.models import F
from django.utils.translation import gettext as _

from investigations.grouping import DeviceFacts, GroupRules, Rule, RuleOperator, RuleProperty, choose_group
from investigations.models import Device, DeviceGroup, DeviceGroupRule
from investigations.states import AutomationLevel
from investigations.turns import take_turn
from portal.access.actors import Actor
from portal.access.exceptions import BadRequest, Conflict
from portal.access.roles import Capability
from portal.audit.recording import record

DEFAULT_NAME: Final = "Ungrouped devices"
"""What Microsoft calls the group that takes every device no other group does."""

LAST_RANK: Final = 1_000_000


def ensure_default_group(tenant_id: UUID) -> DeviceGroup:
    """Return the tenant's default group, made now if there is none; until somebody says otherwise it asks first."""
    group, _is_new = DeviceGroup.objects.get_or_create(
        tenant_id=tenant_id,
        is_default=True,
        defaults={
            "name": DEFAULT_NAME,
            "rank": LAST_RANK,
            "automation_level": AutomationLevel.SEMI_ALL_FOLDERS,
        },
    )
    return group


def rules_of(tenant_id: UUID) -> list[GroupRules]:
    """Return the tenant's groups as matching sees them, the default one among them."""
    ensure_default_group(tenant_id)
    groups = DeviceGroup.objects.filter(tenant_id=tenant_id).prefetch_related("rules")
    return [
        GroupRules(
            group_id=group.pk,
            rank=group.rank,
            rules=tuple(_as_rule(row) for row in group.rules.all()),
            is_default=group.is_default,
        )
        for group in groups
    ]


def regroup_devices(tenant_id: UUID) -> int:
    """Put every device of the tenant into the group it now fits; return how many changed theirs."""
    groups = rules_of(tenant_id)
    moving: dict[UUID, list[UUID]] = {}
    rows = Device.objects.filter(tenant_id=tenant_id).values_list(
        "pk", "group_id", "name", "domain", "tags", "os_platform"
    )
    for device_id, group_id, name, domain, tags, os_platform in rows.iterator():
        fitting = choose_group(DeviceFacts(name, domain, tuple(tags), os_platform), groups)
        if fitting != group_id:
            moving.setdefault(fitting, []).append(device_id)
    for group_id, device_ids in moving.items():
        Device.objects.filter(pk__in=device_ids).update(group_id=group_id)
    return sum(map(len, moving.values()))


def save_group(
    *,
    tenant_id: UUID,
    group_id: UUID | None,
    name: str,
    rank: int,
    automation_level: str,
    rules: Sequence[Rule],
    actor: Actor,
) -> tuple[DeviceGroup, int]:
    """Create a group (no `group_id`) or change one; return it and how many devices changed their group.

    A rank somebody else has moves that group and those after it one down. The default group keeps its name, rank and
    emptiness of rules. Raises BadRequest and Forbidden.
    """
    actor.require(Capability.MANAGE_DEVICE_GROUPS, tenant_id)
    take_turn(tenant_id)
    group = _existing(tenant_id, group_id) if group_id else DeviceGroup(tenant_id=tenant_id)
    before = _describe(group) if group_id else None
    group.automation_level = AutomationLevel(automation_level)
    if not group.is_default:
        group.name = _free_name(tenant_id, group, name)
        group.rank = _free_rank(tenant_id, group, rank)
    group.save()
    if not group.is_default:
        _replace_rules(group, rules)
    moved = regroup_devices(tenant_id)
    _note(group, "device_group.changed" if before else "device_group.created", actor, before, _describe(group), moved)
    return group, moved


def delete_group(group_id: UUID, *, actor: Actor) -> int:
    """Delete a group and return how many devices went elsewhere. Raises Conflict for the default group."""
    group = DeviceGroup.objects.get(pk=group_id)
    actor.require(Capability.MANAGE_DEVICE_GROUPS, group.tenant_id)
    take_turn(group.tenant_id)
    group.refresh_from_db()
    if group.is_default:
        raise Conflict(_("The default group cannot be deleted: it takes the devices no other group does."))
    before = _describe(group)
    group.rules.all().delete()
    moved = regroup_devices(group.tenant_id)
    _note(group, "device_group.deleted", actor, before, None, moved)
    group.delete()
    return moved


def _existing(tenant_id: UUID, group_id: UUID) -> DeviceGroup:
    return DeviceGroup.objects.select_for_update().get(pk=group_id, tenant_id=tenant_id)


def _free_name(tenant_id: UUID, group: DeviceGroup, name: str) -> str:
    wanted = name.strip()
    if not wanted:
        raise BadRequest(_("Give the device group a name."))
    if DeviceGroup.objects.filter(tenant_id=tenant_id, name=wanted).exclude(pk=group.pk).exists():
        raise BadRequest(_("There is a device group of this name already."))
    return wanted


def _free_rank(tenant_id: UUID, group: DeviceGroup, rank: int) -> int:
    if not 1 <= rank < LAST_RANK // 2:
        raise BadRequest(_("A rank is a number from 1; 1 is highest."))
    others = DeviceGroup.objects.filter(tenant_id=tenant_id, is_default=False).exclude(pk=group.pk)
    if others.filter(rank=rank).exists():
        others.filter(rank__gte=rank).update(rank=F("rank") + 1)
    return rank


def _replace_rules(group: DeviceGroup, rules: Sequence[Rule]) -> None:
    wanted = list(dict.fromkeys(rules))
    if any(not rule.value.strip() for rule in wanted):
        raise BadRequest(_("A rule needs a value to compare with."))
    group.rules.all().delete()
    DeviceGroupRule.objects.bulk_create(
        DeviceGroupRule(
            tenant_id=group.tenant_id, group=group, property=rule.property, operator=rule.operator, value=rule.value
        )
        for rule in wanted
    )


def _as_rule(row: DeviceGroupRule) -> Rule:
    return Rule(RuleProperty(row.property), RuleOperator(row.operator), row.value)


def _describe(group: DeviceGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "rank": group.rank,
        "automation_level": str(group.automation_level),
        "rules": [f"{row.property} {row.operator} {row.value}" for row in group.rules.order_by("id")],
    }


def _note(
    group: DeviceGroup,
    verb: str,
    actor: Actor,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    moved: int,
) -> None:
    record(
        group.tenant_id,
        verb,
        object_type="device group",
        object_id=group.pk,
        actor=actor.stamp,
        data={"before": before, "after": after, "devices_moved": moved},
    )
