"""What an approval is bound to: the SHA-256 of tenant, type, target and parameters; an edit voids it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID


def fingerprint(tenant_id: UUID, type_name: str, machine_id: str, parameters: Mapping[str, Any]) -> str:
    """Return the hex SHA-256 over the canonical JSON (sorted keys, no spaces) of what an action is."""
    what = {"tenant": str(tenant_id), "type": type_name, "target": machine_id, "parameters": parameters}
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
