"""The documentation keeps up with the code: its tables are what the code says, and its links lead somewhere."""

import re
from pathlib import Path
from shutil import copytree

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("actions", "roles", "decisions", "moves", "settings")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return copytree(ROOT / "docs", tmp_path / "docs")


def test_every_table_is_in_the_docs_and_up_to_date() -> None:
    call_command("document", check=True)
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert [name for name in TABLES if f"<!-- generated: {name} -->" not in reference] == []


@pytest.mark.parametrize("name", TABLES)
def test_an_edited_table_is_named_and_written_anew(copied: Path, name: str) -> None:
    page = copied / "reference.md"
    right = page.read_text(encoding="utf-8")
    page.write_text(right.replace(f"<!-- generated: {name} -->\n|", f"<!-- generated: {name} -->\n| edited |"))

    with pytest.raises(CommandError, match=rf"reference\.md: {name}\. Run `manage\.py document`"):
        call_command("document", check=True, folder=copied)
    call_command("document", folder=copied)

    assert page.read_text(encoding="utf-8") == right


@pytest.mark.parametrize(
    "marker", ["<!-- generated: nothing -->\n<!-- end generated -->", "<!-- generated: roles -->\nno end"]
)
def test_a_marker_that_means_nothing_is_refused(copied: Path, marker: str) -> None:
    (copied / "new.md").write_text(marker)
    with pytest.raises(CommandError, match=r"new\.md"):
        call_command("document", check=True, folder=copied)


def test_every_link_inside_the_project_leads_to_a_file() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target
    ]
    assert links, "the pattern finds no link at all"
    assert [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()] == []
