"""The live-response library (facts/defender.md 6.4): list, upload as a multipart form, delete.

Where Microsoft is silent the simulator is strict: a form with an unknown part is refused, and so is a second file of
the same name without ``OverrideIfExists``.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.moments import moment_text

LARGEST_FILE = 20 * 1024 * 1024
PARTS = frozenset({"file", "description", "parametersdescription", "hasparameters", "overrideifexists"})


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """One file of the library, with its row as it is listed."""

    content: bytes
    row: dict[str, Any]


def list_files(call: Call) -> Answer:
    """Every file of the tenant's library, without paging, as Microsoft's page has it."""
    rows = [file.row for file in call.tenant.library.values()]
    return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#LibraryFiles", "value": rows})


def upload_file(call: Call) -> Answer:
    """Keep one file. Raises Refusal (400) for a wrong form, too large a file, or a name that is taken."""
    form = {name.lower(): value for name, value in body_object(call).items()}  # Microsoft's pages: File and file
    if unknown := form.keys() - PARTS:
        raise _bad(f"Unknown in the form: {', '.join(sorted(unknown))}.")
    name, content = _file(form)
    known = call.tenant.library.get(name.lower())
    if known is not None and not _flag(form, "overrideifexists"):
        raise _bad(f"File {name} already exists in the library.")
    now = moment_text(call.now)
    row: Json = {
        "fileName": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "description": form.get("description"),
        "creationTime": known.row["creationTime"] if known else now,
        "lastUpdatedTime": now,
        "createdBy": call.caller,
        "hasParameters": _flag(form, "hasparameters"),
        "parametersDescription": form.get("parametersdescription"),
    }
    call.tenant.library[name.lower()] = LibraryFile(content, row)
    return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#LibraryFiles/$entity", **row}, remote_id=name)


def delete_file(call: Call) -> Answer:
    """Remove one file by its name. Raises Refusal (404)."""
    if call.tenant.library.pop(call.path_values["file"], None) is None:
        raise Refusal(404, "ResourceNotFound", f"File {call.path_values['file']} was not found.")
    return Answer(204)


def _file(form: Json) -> tuple[str, bytes]:
    file = form.get("file")
    if not isinstance(file, dict):
        raise _bad("The form has no file.")
    name, content = str(file["fileName"]), base64.b64decode(file["base64"])
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise _bad(f"The file name '{name}' has characters the library does not take.")
    if not content or len(content) > LARGEST_FILE:
        raise _bad(f"The file must have 1 to {LARGEST_FILE} bytes.")
    return name, content


def _flag(form: Json, name: str) -> bool:
    value = str(form.get(name) or "false").lower()
    if value not in ("true", "false"):
        raise _bad(f"{name} must be true or false.")
    return value == "true"


def _bad(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
