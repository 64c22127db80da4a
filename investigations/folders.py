"""Says whether a file lies in a core folder or a temporary folder, as Microsoft's automation levels mean it.

Microsoft's page on automation levels gives examples, and its two lists overlap: Program Files is an
example of both, and `\\windows\\temp` lies inside `\\windows`. They stay two lists; each level asks its own.
Whatever leaves a doubt about where a file really is gives None, and a person is asked.
"""

import re
from typing import Final

_CORE: Final = (r"\windows\*", r"\program files\*", r"\program files (x86)\*")
_TEMPORARY: Final = (
    r"\users\*\appdata\local\temp\*",
    r"\documents and settings\*\local settings\temp\*",
    r"\documents and settings\*\local settings\temporary\*",
    r"\windows\temp\*",
    r"\users\*\downloads\*",
    r"\program files\*",  # Microsoft's page writes this one without the star; it is read as the one below is
    r"\program files (x86)\*",
    r"\documents and settings\*\users\*",
)
_WINDOWS_TOP_FOLDERS: Final = frozenset(pattern.split("\\")[1] for pattern in _CORE + _TEMPORARY)

_VERBATIM: Final = re.compile(r"^\\\\\?\\(?:(?=[a-z]:\\)|globalroot(?=\\device\\))")
_DRIVE_OR_VOLUME: Final = re.compile(r"^(?:[a-z]:|\\device\\harddiskvolume\d+)(?=\\)")
_DOUBTFUL_NAME: Final = re.compile(r'~\d|%[^%]+%|[<>:"|?*\x00-\x1f\x7f]|[. ]$|^ ')


def is_core_folder(path: str) -> bool | None:
    """Return whether the file lies in an operating-system or Program Files folder; None where in doubt.

    The folder itself counts as well, since a path without its file name may be all there is.
    """
    names = _resolved(path)
    return None if names is None else any(_is_below(names, pattern, or_equal=True) for pattern in _CORE)


def is_temp_folder(path: str) -> bool | None:
    """Return whether the file lies below one of Microsoft's temporary folders; None where in doubt."""
    names = _resolved(path)
    return None if names is None else any(_is_below(names, pattern, or_equal=False) for pattern in _TEMPORARY)


def _is_below(names: list[str], pattern: str, *, or_equal: bool) -> bool:
    """A star between folders stands for exactly one name, the last star for anything at any depth below."""
    folder = pattern.strip("\\").split("\\")[:-1]
    if len(names) < len(folder) + (not or_equal):
        return False
    return all(wanted in ("*", name) for wanted, name in zip(folder, names, strict=False))


def _resolved(path: str) -> list[str] | None:
    """Return the names from the volume's root to the file in lower case, or None where in doubt.

    Doubtful are: an empty or relative path, a network path, an unknown device, a path that climbs above
    its root, a short name (`PROGRA~1`), an environment variable, a stream of a file (`a.txt:b`), names
    Windows would spell otherwise (ending in a dot or a space), and a rooted path with slashes that does not
    begin with a folder of Windows, as it may be another system's.
    """
    backslashed = path.lower().replace("/", "\\")
    rooted = _DRIVE_OR_VOLUME.sub("", _VERBATIM.sub("", backslashed))
    if not rooted.startswith("\\") or rooted.startswith("\\\\"):
        return None
    written = [name for name in rooted.split("\\") if name not in ("", ".")]
    if any(_DOUBTFUL_NAME.search(name) for name in written if name != ".."):
        return None
    names = _climbed(written)
    if not names or (rooted == backslashed and _is_foreign(names[0], slashed=path.startswith("/"))):
        return None
    return names


def _climbed(written: list[str]) -> list[str] | None:
    names: list[str] = []
    for name in written:
        if name != "..":
            names.append(name)
        elif names:
            names.pop()
        else:
            return None
    return names


def _is_foreign(top_folder: str, *, slashed: bool) -> bool:
    """Say whether a path without a drive may belong to something other than a Windows volume."""
    return top_folder == "device" or (slashed and top_folder not in _WINDOWS_TOP_FOLDERS)
