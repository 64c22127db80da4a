"""What passes between the gateway and a handler: one call in, one answer or refusal out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.simulator.store import Tenant

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, read and waiting for its decision. Times are in ticks (see ``moments``)."""

    tenant: Tenant
    caller: str
    roles: frozenset[str]
    origin: str
    path: str
    path_values: Mapping[str, str]
    query: Mapping[str, str]
    prefer: str
    body: object
    now: int
    action_ticks: int
    hidden_ticks: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What Microsoft would send back: ``body``, or ``content`` where it is rendered already.

    ``remote_id`` is its handle on the work, for the log of accepted calls.
    """

    status: int
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    remote_id: str | None = None
    content: bytes | None = None

    def as_json(self) -> Json | None:
        """The body, read back where it was rendered."""
        return self.body if self.content is None else json.loads(self.content)


class Refusal(Exception):
    """Microsoft says no and nothing happened. The API's own error shape is put around it at the gateway."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def require_role(call: Call, role: str) -> None:
    """Raise Refusal (403) unless the application was granted this permission in the tenant."""
    if role not in call.roles:
        raise Refusal(403, "Forbidden", f"The application lacks the permission this call needs: {role}.")


Handler = Callable[[Call], Answer]


def body_object(call: Call) -> Json:
    """The call's body as a JSON object. Raises Refusal (400) for anything else."""
    if not isinstance(call.body, dict):
        raise Refusal(400, "InvalidRequestBody", "The request body is not a JSON object.")
    return call.body
