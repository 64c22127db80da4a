"""The fault run's judge: a run without fault is green, and each kind of trouble is found."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.fault_run.checker import Evidence, judge

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEPS = [None, "approved", "sending", "accepted", "succeeded"]


def make_evidence() -> Evidence:
    """One isolation that Bob approved, Ada had asked for, and Microsoft accepted once."""
    steps = [
        {"before": before, "after": after, "at": NOW + timedelta(seconds=number)}
        for number, (before, after) in enumerate(zip(STEPS, STEPS[1:], strict=False))
    ]
    action: dict[str, Any] = {
        "id": "a1", "tenant_id": "t1", "type": "isolate_device", "state": "succeeded", "required_approvals": 1,
        "asker": "ada", "sha": "s", "attempt": 1, "fence": 1, "created_at": NOW,
        "ended_at": NOW + timedelta(seconds=9), "error_code": "", "detail": "",
    }  # fmt: skip
    approval = {"person": "bob", "answer": "approve", "sha": "s", "at": NOW}
    return Evidence(
        about={"limits": {}},
        history=[{"kind": "ok", "who": "work", "what": "propose", "at": 0.0, "data": {"ids": ["a1"]}}],
        accepted={"a1": [{"at": "12:00"}]},
        requests=[],
        actions={"a1": action},
        decisions={"a1": [approval]},
        events={"a1": [dict(step) for step in steps]},
        moves={"a1": steps},
        caps={("t1", "isolate_device"): 1},
    )


def found(evidence: Evidence) -> set[str]:
    """Return the kinds of violation."""
    return {kind for kind, _words in judge(evidence).violations}


def test_a_run_without_fault_is_green() -> None:
    assert found(make_evidence()) == set()


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("lost", lambda evidence: evidence.actions["a1"].update(state="unknown", ended_at=None)),
        ("lost", lambda evidence: evidence.history[0]["data"]["ids"].append("a2")),
        ("twice", lambda evidence: evidence.accepted["a1"].append({"at": "12:01"})),
        ("untrue", lambda evidence: evidence.accepted.clear()),
        ("untrue", lambda evidence: evidence.actions["a1"].update(state="failed")),
        ("without leave", lambda evidence: evidence.decisions["a1"][0].update(person="ada")),
        ("without leave", lambda evidence: evidence.decisions["a1"][0].update(sha="other")),
        ("audit", lambda evidence: evidence.events["a1"].pop()),
        ("audit", lambda evidence: evidence.moves["a1"].pop()),
        ("over the limit", lambda evidence: evidence.caps.update({("t1", "isolate_device"): 0})),
        ("doubled", lambda evidence: evidence.actions.update(a2={**evidence.actions["a1"], "id": "a2", "attempt": 0})),
    ],
)
def test_trouble_is_found(kind: str, spoil: Callable[[Evidence], object]) -> None:
    evidence = make_evidence()
    spoil(evidence)
    assert kind in found(evidence)
