"""Where this clone's embedded servers are, known without starting or importing them."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

CLONE: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = CLONE / ".quell"
POSTGRES: Final = FOLDER / "postgres"


def socket_of_broker() -> Path:
    """Return Valkey's socket: in a folder of this clone and user, since its path may have at most 107 bytes."""
    digest = hashlib.sha256(str(CLONE).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"quell-{os.getuid()}-{digest}" / "valkey.sock"


def are_embedded(database_url: str, broker_url: str) -> bool:
    """Return whether both lead to this clone's own servers, over their sockets."""
    wanted = parse_qs(urlsplit(database_url).query)
    try:
        _pid, _data, _started, port, socket_folder, *_rest = (POSTGRES / "postmaster.pid").read_text().splitlines()
    except (OSError, ValueError):
        return False
    is_ours = wanted.get("host") == [socket_folder.strip()] and wanted.get("port") == [port.strip()]
    return is_ours and broker_url.startswith("unix://") and urlsplit(broker_url).path == str(socket_of_broker())
