"""Core and temporary folders: two lists, every spelling of a path, and doubt wherever there is any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from investigations.folders import is_core_folder, is_temp_folder

ROOTS = ["C:", "d:", "", r"\Device\HarddiskVolume3", "\\\\?\\C:", r"\\?\GLOBALROOT\Device\HarddiskVolume12"]
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_ åé", min_size=1, max_size=8).filter(lambda n: n == n.strip())

CASES = [
    # path below the root, in a core folder, in a temporary folder
    (r"\Windows\System32\cmd.exe", True, False),
    (r"\Windows\a.exe", True, False),
    (r"\Windows", True, False),
    (r"\Windows\Temp\a.exe", True, True),
    (r"\Windows\Temp\deep\er\a.exe", True, True),
    (r"\Windows\Temp", True, False),
    (r"\Windows\Temporary\a.exe", True, False),
    (r"\Windows2\a.exe", False, False),
    (r"\WindowsTemp\a.exe", False, False),
    (r"\data\windows\system32\a.exe", False, False),
    (r"\Program Files\a.exe", True, True),
    (r"\Program Files\Vendor\a.exe", True, True),
    (r"\Program Files (x86)\Vendor\a.exe", True, True),
    (r"\Program Files (arm)\a.exe", False, False),
    (r"\ProgramData\a.exe", False, False),
    (r"\Users\ann\AppData\Local\Temp\a.exe", False, True),
    (r"\Users\ann\AppData\Local\Temp\x\a.exe", False, True),
    (r"\Users\ann\AppData\Local\a.exe", False, False),
    (r"\Users\ann\Downloads\a.exe", False, True),
    (r"\Users\ann\Downloads", False, False),
    (r"\Users\Downloads\a.exe", False, False),
    (r"\Users\ann\docs\Downloads\a.exe", False, False),
    (r"\Users\ann\Desktop\a.exe", False, False),
    (r"\Documents and Settings\ann\Local Settings\Temp\a.exe", False, True),
    (r"\Documents and Settings\ann\Local Settings\Temporary\a.exe", False, True),
    (r"\Documents and Settings\ann\Local Settings\Temporary Internet Files\a.exe", False, False),
    (r"\Documents and Settings\ann\Users\a.exe", False, True),
    (r"\Users\ann\Downloads\..\..\..\Windows\a.exe", True, False),
    (r"\Windows\.\System32\..\..\Users\ann\Downloads\a.exe", False, True),
]

DOUBTFUL = [
    "",
    " ",
    "\\",
    "C:",
    "C:\\",
    "a.exe",
    r"Windows\System32\a.exe",
    r"C:Windows\a.exe",
    r"..\Windows\a.exe",
    r"C:\..\Windows\a.exe",
    r"C:\Users\..\..\Windows\a.exe",
    r"\\server\share\Windows\a.exe",
    "//server/share/windows/temp/a.exe",
    r"\\?\UNC\server\share\a.exe",
    r"\\?\Volume{2f0c}\Windows\a.exe",
    r"\\.\C:\Windows\a.exe",
    r"\Device\Mup\server\share\a.exe",
    r"\Device\HarddiskVolume\Windows\a.exe",
    r"\Device\HarddiskVolumeShadowCopy1\Windows\a.exe",
    r"C:\PROGRA~1\a.exe",
    r"C:\Users\ann\DOWNLO~1\a.exe",
    r"C:\data\PROGRA~1\..\..\Users\ann\Downloads\a.exe",
    r"%TEMP%\a.exe",
    r"C:\%folder%\a.exe",
    r"C:\Users\ann\Downloads\a.txt:b.exe",
    r"C:\Windows.\a.exe",
    "C:\\Windows \\a.exe",
    "C:\\Windows\\...\\a.exe",
    "C:\\Users\\ann\\Downloads\\a.exe\x00.txt",
    r"C:\Users\*\Downloads\a.exe",
    "/usr/bin/ssh",
    "/home/ann/a",
    "~/Downloads/a",
]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(("below", "in_core", "in_temporary"), CASES)
def test_each_list_answers_for_itself(root: str, below: str, in_core: bool, in_temporary: bool) -> None:
    path = root + below

    for spelling in (path, path.upper(), path.lower()):
        assert (is_core_folder(spelling), is_temp_folder(spelling)) == (in_core, in_temporary)
    if root in ("C:", "d:"):
        slashed = path.replace("\\", "/")
        assert (is_core_folder(slashed), is_temp_folder(slashed)) == (in_core, in_temporary)


@pytest.mark.parametrize("path", DOUBTFUL)
def test_doubt_is_neither_yes_nor_no(path: str) -> None:
    assert is_core_folder(path) is None
    assert is_temp_folder(path) is None


def test_a_path_with_slashes_and_no_drive_is_known_by_its_first_folder() -> None:
    assert is_core_folder("/Windows/System32/a.exe") is True
    assert is_temp_folder("/users/ann/downloads/a.exe") is True


@given(st.text(max_size=60) | st.text("cC:\\/.~%wW ", max_size=20))
def test_any_text_gets_an_answer(path: str) -> None:
    assert is_core_folder(path) in (True, False, None)
    assert (is_core_folder(path) is None) == (is_temp_folder(path) is None)


@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(NAMES, max_size=3))
def test_going_into_a_folder_and_out_again_changes_nothing(names: list[str], detour: list[str]) -> None:
    straight = "C:\\windows\\temp\\" + "\\".join(names)
    winding = "C:\\windows\\" + "\\".join([*detour, *[".."] * len(detour), "temp", *names])

    assert is_temp_folder(straight) is is_temp_folder(winding) is True
    assert is_core_folder(winding) is True
