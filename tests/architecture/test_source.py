"""Rules of the house that a grep can hold."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("portal", "connectors", "investigations", "remediation")


def sources() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path.read_text()


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"across_tenants\b", {"portal/tenancy/models.py", "portal/tenancy/managers.py"}),
        (
            r"\baction\.state = |\.update\([^)]*\bstate=",
            {"remediation/actions/transitions.py", "investigations/services.py"},
        ),
        (r"autoretry_for|countdown=|\beta=|always_eager|acks_late", {"portal/settings.py"}),
        (r"set_config\(", {"portal/tenancy/scope.py", "portal/demo/story/owner.py"}),
        (r"except Exception|except:|except BaseException", set()),
        (r"\bTODO\b|\bFIXME\b|NotImplementedError", set()),
    ],
)
def test_a_thing_is_done_in_its_own_place_only(pattern: str, allowed: set[str]) -> None:
    found = {path for path, text in sources() if re.search(pattern, text)}
    assert found <= allowed


def test_no_file_is_named_for_saying_nothing_and_none_is_too_long() -> None:
    for path, text in sources():
        assert Path(path).name not in {"utils.py", "helpers.py", "common.py", "misc.py"}
        assert len(text.splitlines()) <= 400, path


def test_a_tenant_is_chosen_by_one_and_the_same_part_of_a_page() -> None:
    pages = [path for room in ROOMS for path in (ROOT / room).rglob("*.html")]
    assert [path.name for path in pages if 'name="tenant"' in path.read_text()] == ["tenant_select.html"]
