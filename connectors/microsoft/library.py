"""Our scripts in the tenant's live-response library.

A script's name carries the beginning of its SHA-256, so that two releases of Quell beside each other never replace
each other's script. Doubts kept from the facts: the form's part is `File` in Microsoft's table and `file` in its
sample, and the hash of a listed file may be missing; then the script is uploaded again.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from connectors.microsoft.http import Api
from connectors.protocol import NotSent, OutcomeUnknown

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True, slots=True)
class Script:
    """One script as it is shipped, and what it is called in the library."""

    name: str
    content: bytes
    sha256: str


@cache
def load_script(stem: str) -> Script:
    """Return the script `scripts/<stem>.ps1`. Raises OSError if Quell was installed without it."""
    content = (SCRIPTS / f"{stem}.ps1").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Script(f"quell-{stem}-{digest[:12]}.ps1", content, digest)


def ensure(api: Api, script: Script) -> None:
    """See to it that the library holds this very script. Nothing has happened on any device when it fails.

    Raises Refused when Microsoft says no, NotSent when it could not be asked.
    """
    try:
        rows = [row for page in api.pages("/api/libraryfiles", {}) for row in page]
        held = {str(row.get("fileName")).lower(): str(row.get("sha256")).lower() for row in rows}
        if held.get(script.name) != script.sha256:
            api.upload("/api/libraryfiles", _form(script))
    except OutcomeUnknown as error:
        raise NotSent(f"The script {script.name} could not be put into the library: {error}", code="Library") from error


def _form(script: Script) -> dict[str, tuple[str | None, str | bytes]]:
    return {
        "File": (script.name, script.content),
        "Description": (None, "Quell"),
        "ParametersDescription": (None, "One base64 text of JSON; used by Quell only"),
        "HasParameters": (None, "true"),
        "OverrideIfExists": (None, "true"),
    }
