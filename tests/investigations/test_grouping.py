"""A device is in exactly one group: the highest rank that matches, else the default."""

from uuid import UUID

import pytest

from investigations.grouping import DeviceFacts, GroupRules, Rule, RuleOperator, RuleProperty, choose_group, domain_of

HIGH, LOW, DEFAULT = UUID(int=3), UUID(int=2), UUID(int=1)
DEVICE = DeviceFacts(
    name="Fin-PC-07.corp.example", domain="corp.example", tags=("Finance", "Oslo"), os_platform="Windows11"
)
FALLBACK = GroupRules(DEFAULT, 99, (), is_default=True)


def rule(looked_at: str, operator: str, value: str) -> Rule:
    return Rule(RuleProperty(looked_at), RuleOperator(operator), value)


def chosen(*rules: Rule, device: DeviceFacts = DEVICE) -> bool:
    return choose_group(device, [FALLBACK, GroupRules(HIGH, 1, rules)]) == HIGH


@pytest.mark.parametrize(
    ("looked_at", "operator", "value", "matches"),
    [
        ("name", "starts_with", "FIN-", True),
        ("name", "ends_with", "corp.EXAMPLE", True),
        ("name", "contains", "pc", True),
        ("name", "equals", "fin-pc-07", False),
        ("name", "equals", "fin-pc-07.corp.example", True),
        ("domain", "equals", "CORP.example", True),
        ("domain", "starts_with", "example", False),
        ("tag", "equals", "oslo", True),
        ("tag", "equals", "osl", False),
        ("tag", "contains", "nanc", True),
        ("os", "starts_with", "windows", True),
        ("os", "ends_with", "10", False),
        ("name", "starts_with", " ", False),
        ("name", "contains", "", False),
    ],
)
def test_a_rule_compares_blind_to_case(looked_at: str, operator: str, value: str, matches: bool) -> None:
    assert chosen(rule(looked_at, operator, value)) is matches


def test_rules_of_one_property_are_alternatives_and_properties_must_all_hold() -> None:
    oslo, rome = rule("tag", "equals", "Oslo"), rule("tag", "equals", "Rome")
    windows, linux = rule("os", "starts_with", "Windows"), rule("os", "starts_with", "Linux")

    assert chosen(rome, oslo)
    assert chosen(rome, oslo, windows)
    assert not chosen(oslo, linux)
    assert not chosen(rome, windows)


def test_a_device_of_which_nothing_is_known_matches_no_rule() -> None:
    unknown = DeviceFacts(name="", domain="", tags=(), os_platform="")

    assert not any(chosen(rule(looked_at, "contains", "x"), device=unknown) for looked_at in RuleProperty.values)


def test_rank_one_wins_in_whatever_order_the_groups_come() -> None:
    oslo = (rule("tag", "equals", "Oslo"),)
    groups = [GroupRules(LOW, 2, oslo), FALLBACK, GroupRules(HIGH, 1, oslo)]

    assert choose_group(DEVICE, groups) == choose_group(DEVICE, groups[::-1]) == HIGH


def test_a_group_without_rules_and_the_default_groups_rules_match_nothing() -> None:
    ruled_default = GroupRules(DEFAULT, 1, (rule("tag", "equals", "Oslo"),), is_default=True)

    assert choose_group(DEVICE, [GroupRules(HIGH, 1, ()), FALLBACK]) == DEFAULT
    assert choose_group(DEVICE, [ruled_default, GroupRules(LOW, 2, (rule("tag", "equals", "Oslo"),))]) == LOW


def test_without_a_default_group_there_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no default group"):
        choose_group(DEVICE, [GroupRules(HIGH, 1, ())])


def test_the_domain_is_what_follows_the_first_dot() -> None:
    assert domain_of("pc.corp.example") == "corp.example"
    assert domain_of("c-lab-08") == ""
