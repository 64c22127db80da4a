"""Approvals under any order of events: a short run with every `make test`, the long one by `make chaos`."""

import os
import sys
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.approvals import ApprovalMachine, set_stage

EXAMPLES = int(os.environ.get("CHAOS_EXAMPLES", "12"))
STEPS = 50


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_nothing_is_ever_sent_without_valid_approvals(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    with set_stage():
        run_state_machine_as_test(
            ApprovalMachine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
    told = (
        f"\nApprovals: {EXAMPLES} examples of {STEPS} steps, {ApprovalMachine.steps} states checked, "
        f"{ApprovalMachine.claims} actions claimed, none without leave, {time.monotonic() - began:.0f} s\n"
    )
    if "CHAOS_EXAMPLES" in os.environ:
        with capsys.disabled():
            sys.stdout.write(told)
    assert ApprovalMachine.claims > EXAMPLES / 2, told
