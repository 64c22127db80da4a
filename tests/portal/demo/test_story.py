"""The story, played whole as `make demo ONCE=1` plays it, and once with a wall taken down."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FEWEST_LINES = 37

pytestmark = pytest.mark.process


def play(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py story` on this clone's embedded servers."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}}
    return subprocess.run(
        [sys.executable, "manage.py", "story", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_every_line_is_as_promised() -> None:
    played = play()
    last = played.stdout.splitlines()[-1]
    counts = re.fullmatch(r"story: (\d+) of (\d+) lines as promised", last)
    assert counts is not None, played.stdout + played.stderr
    assert counts[1] == counts[2], played.stdout
    assert int(counts[2]) >= FEWEST_LINES
    assert played.returncode == 0


def test_a_fallen_wall_turns_its_line_red() -> None:
    played = play("--only", "stranger-finds-nothing", STORY_BREAK="wall")
    assert played.stdout.splitlines()[-1] == "story: 0 of 1 lines as promised", played.stdout + played.stderr
    assert "is 404, not 200" in played.stdout
    assert played.returncode == 1
