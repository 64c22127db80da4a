"""A test of guards proves something only if it turns red without each of them: `make chaos` takes them out in turn."""

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from remediation.actions import transitions
from tests.chaos.approvals import ApprovalMachine, set_stage
from tests.remediation.actions import test_approvals_table as table

pytestmark = pytest.mark.process

GUARDS: Final[dict[str, tuple[str, str]]] = {
    "an approval is of exactly these parameters": (
        "AND d.parameters_sha256 = a.parameters_sha256 AND d.user_id IS DISTINCT",
        "AND d.user_id IS DISTINCT",
    ),
    "who asked does not count": (" AND d.user_id IS DISTINCT FROM a.requested_by_id", ""),
    "who approved may still decide": ("r.role = ANY (%(deciders)s::text[])) > 0)", "true) >= 0)"),
    "who asked may still ask": ("ELSE %(requesters)s::text[] END)) > 0", "ELSE %(requesters)s::text[] END)) >= 0"),
    "the rule of today": ("SELECT r.approvers FROM safeguards_approvalrule", "SELECT 0 FROM safeguards_approvalrule"),
    "a freeze": (
        " = 0\n      AND (SELECT count(*) FROM actions_remediationaction o",
        " >= 0\n      AND (SELECT count(*) FROM actions_remediationaction o",
    ),
    "the limit per hour": ("AND (coalesce(", "AND (true OR coalesce("),
    "a protected device": ("AND p.device_id = a.device_id) > 0)", "AND p.device_id = a.device_id) < 0)"),
    "an approval lapses": (" AND a.execute_before > now()", ""),
    "an emergency is that person's": ("AND g.user_id = d.user_id", ""),
    "an emergency has its time": ("AND g.opened_at <= d.decided_at AND d.decided_at < g.ends_at", ""),
    "an emergency is of exactly these parameters": (
        "      AND d.parameters_sha256 = a.parameters_sha256\n      AND g.user_id",
        "      AND g.user_id",
    ),
    "an emergency needs the role still": (
        "r.role = ANY (%(emergency_roles)s::text[])) > 0) > 0",
        "true) >= 0) > 0",
    ),
    "an emergency is no ordinary approval": (" AND d.break_glass_id IS NULL", ""),
    "a rejection wins": ("d.answer = 'reject') = 0", "d.answer = 'reject') >= 0"),
}
"""What holds at the claim, each with how it is taken out of the SQL."""

RUN_INTO: Final = list(GUARDS)[:9]
"""Those that the machine runs into within some hundred examples; the table knows every one."""

TakeOut = Callable[[str], None]


@pytest.fixture
def take_out(monkeypatch: pytest.MonkeyPatch) -> TakeOut:
    """Take one guard out of the claim for the length of a test."""

    def change(guard: str) -> None:
        old, new = GUARDS[guard]
        assert old in transitions._CLAIM, "the claim no longer says it in these words"
        monkeypatch.setattr(transitions, "_CLAIM", transitions._CLAIM.replace(old, new))

    return change


@pytest.mark.django_db
@pytest.mark.parametrize("guard", GUARDS)
def test_without_it_the_table_is_red(guard: str, take_out: TakeOut) -> None:
    people = table.make_people()
    take_out(guard)
    with pytest.raises(AssertionError, match="sent"):
        table.test_the_claim_takes_exactly_what_the_rules_allow(people)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("guard", RUN_INTO)
def test_without_it_the_machine_is_red(guard: str, take_out: TakeOut) -> None:
    take_out(guard)
    quick = settings(
        max_examples=600,
        stateful_step_count=50,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with set_stage(), pytest.raises(AssertionError, match="claimed without leave"):
        run_state_machine_as_test(ApprovalMachine, settings=quick)
