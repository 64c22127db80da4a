"""The scripts we send to devices, as far as can be told without a device: no PowerShell runs here."""

import re

import pytest

from connectors.microsoft.library import SCRIPTS, load_script
from connectors.microsoft.live_response import script_of

STEMS = sorted(path.stem for path in SCRIPTS.iterdir())
ENDING = "}\nWrite-Output 'QUELL done'\nexit 0\n"


@pytest.mark.parametrize("stem", STEMS)
def test_a_script_takes_one_text_runs_none_of_it_and_says_how_it_ended(stem: str) -> None:
    text = load_script(stem).content.decode("ascii")  # PowerShell 5.1 reads anything else in the device's own code page
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)

    assert re.search(r"^param\(\[Parameter\(Mandatory = \$true\)\]\[string\] \$Arguments\)$", code, re.MULTILINE)
    assert code.count("$Arguments") == 2
    assert not re.search(r"Invoke-Expression|\biex\b|ScriptBlock|Start-Process|cmd\.exe", code, re.IGNORECASE)
    assert not re.search(r"-Path \$given|-Name \$given|-TaskName", code)
    assert code.endswith(ENDING)
    assert "Write-Output ('QUELL failed: ' +" in code
    assert "exit 1" in code
    assert [code.count(pair) for pair in "{("] == [code.count(pair) for pair in "})"]


def test_every_script_is_used_and_named_after_what_it_holds() -> None:
    used = {script_of(action_type) for action_type in ("delete_file", "stop_process", "remove_scheduled_task")}
    assert used | {script_of("release_from_quarantine")} == set(STEMS)
    for stem in STEMS:
        script = load_script(stem)
        assert re.fullmatch(r"[a-z0-9.-]+", script.name)
        assert script.name == f"quell-{stem}-{script.sha256[:12]}.ps1"
