"""Chooses the one device group a device belongs to (Microsoft: device groups).

A group's rules on the same property are alternatives, rules on different properties must all hold. A
device that several groups match goes to the one of the highest rank, and rank 1 is the highest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class RuleProperty(TextChoices):
    """What of a device a rule looks at."""

    NAME = "name", _("Name")
    DOMAIN = "domain", _("Domain")
    TAG = "tag", _("Tag")
    OS = "os", _("OS")


class RuleOperator(TextChoices):
    """How a rule compares, blind to case."""

    EQUALS = "equals", _("Equals")
    STARTS_WITH = "starts_with", _("Starts with")
    ENDS_WITH = "ends_with", _("Ends with")
    CONTAINS = "contains", _("Contains")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of a group's rules. A blank value matches nothing."""

    property: RuleProperty
    operator: RuleOperator
    value: str


@dataclass(frozen=True, slots=True)
class GroupRules:
    """A device group as far as matching goes. The default group's rank and rules are not looked at."""

    group_id: UUID
    rank: int
    rules: tuple[Rule, ...]
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What is known of a device that a rule may look at; "" or () where unknown."""

    name: str
    domain: str
    tags: tuple[str, ...]
    os_platform: str


def choose_group(device_facts: DeviceFacts, groups: Iterable[GroupRules]) -> UUID:
    """Return the group of the highest rank that matches, else the default group.

    A group without rules matches nothing. Raises ValueError if none of the groups is the default.
    """
    default: UUID | None = None
    for group in sorted(groups, key=lambda group: (group.rank, group.group_id)):
        if group.is_default:
            default = group.group_id
        elif _matches(group, device_facts):
            return group.group_id
    if default is None:
        raise ValueError("the device matches no group and there is no default group; every tenant needs one")
    return default


def domain_of(dns_name: str) -> str:
    """Return the domain of a full DNS name: what follows its first dot, "" for a bare host name."""
    return dns_name.partition(".")[2]


def _matches(group: GroupRules, device: DeviceFacts) -> bool:
    properties = {rule.property for rule in group.rules}
    return bool(properties) and all(
        any(_holds(rule, device) for rule in group.rules if rule.property == looked_at) for looked_at in properties
    )


def _holds(rule: Rule, device: DeviceFacts) -> bool:
    wanted = rule.value.strip().casefold()
    return bool(wanted) and any(
        _compares(text.casefold(), rule.operator, wanted) for text in _texts(rule.property, device)
    )


def _texts(looked_at: RuleProperty, device: DeviceFacts) -> tuple[str, ...]:
    texts = {
        RuleProperty.NAME: (device.name,),
        RuleProperty.DOMAIN: (device.domain,),
        RuleProperty.TAG: device.tags,
        RuleProperty.OS: (device.os_platform,),
    }
    return texts[RuleProperty(looked_at)]


def _compares(text: str, operator: RuleOperator, wanted: str) -> bool:
    answers = {
        RuleOperator.EQUALS: text == wanted,
        RuleOperator.STARTS_WITH: text.startswith(wanted),
        RuleOperator.ENDS_WITH: text.endswith(wanted),
        RuleOperator.CONTAINS: wanted in text,
    }
    return answers[RuleOperator(operator)]
