"""The fault run: a short one with every `make test`; by `make chaos` the long one, and each guard taken out once.

A run is a program of its own with servers of its own: see `python -m tests.chaos.fault_run --help`.
"""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.fault_run.proofs import PROOFS

ROOT = Path(__file__).resolve().parents[2]
FEWEST_KILLS = 20

pytestmark = pytest.mark.process
only_by_make_chaos = pytest.mark.skipif("CHAOS_EXAMPLES" not in os.environ, reason="takes minutes: make chaos")


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Make no test database: a run has one of its own."""


def run(*words: str, seconds: float) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Carry out one run; return how it ended and its folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos.fault_run", *words],
        cwd=ROOT,
        env=inherited,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    sys.stdout.write(ended.stdout)
    found = re.search(r"seed \d+, in (\S+)", ended.stdout)
    assert found is not None, ended.stdout + ended.stderr
    return ended, Path(found[1])


def test_a_short_run_loses_nothing_and_does_nothing_twice() -> None:
    seed = str(random.SystemRandom().randrange(1_000_000))
    ended, folder = run("--profile", "short", "--seed", seed, seconds=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    kills = [line for line in history if line["what"] == "kill_lane" and line["data"].get("struck")]
    assert len(kills) >= FEWEST_KILLS, "too few strikes to mean anything"


@only_by_make_chaos
@pytest.mark.parametrize("guard", PROOFS)
def test_with_the_guard_its_scene_is_green(guard: str) -> None:
    ended, _folder = run("--guard", guard, "--seed", "1", seconds=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@only_by_make_chaos
@pytest.mark.parametrize("guard", PROOFS)
def test_without_the_guard_its_scene_is_red(guard: str) -> None:
    ended, folder = run("--guard", guard, "--without", "--seed", "1", seconds=300)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    violations = json.loads((folder / "verdict.json").read_text())["violations"]
    assert {kind for kind, _words in violations} == {PROOFS[guard].violation}


@only_by_make_chaos
@pytest.mark.parametrize(
    "profile", ["recovery", "roll", "beat-off", "beat-thrice", "double-click", "no-broker", "noisy"]
)
def test_a_run_about_one_thing_is_green(profile: str) -> None:
    ended, _folder = run("--profile", profile, "--seed", "1", seconds=1800)
    assert ended.returncode == 0, ended.stdout + ended.stderr
