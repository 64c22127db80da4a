"""What Defender knows about a file: a read, with its answer as data. It acts on nothing and may be repeated at will."""

import re
from collections.abc import Callable, Sequence
from uuid import UUID

from connectors.microsoft.http import Api
from connectors.protocol import (
    ActionRequest,
    ConnectorError,
    LookUp,
    NotSent,
    OutcomeUnknown,
    Receipt,
    Refused,
    RemoteState,
)

ACTIONS = frozenset({"get_file_information"})


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Read the file's profile. Raises Refused when Defender does not know it, NotSent when it cannot be read now."""
    api.token()
    before_sending()
    try:
        return _read(api, request)
    except OutcomeUnknown as error:
        raise NotSent(f"{error} Nothing was changed by asking.", code="ReadFailed") from error


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Read each file's profile again; what cannot be read now is unanswered."""
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            found[request.action_id] = _read(api, request)
        except ConnectorError:
            unanswered.add(request.action_id)
    return LookUp(found, frozenset(unanswered))


def _read(api: Api, request: ActionRequest) -> Receipt:
    sha1 = str(request.parameters.get("sha1", "")).lower()
    if not re.fullmatch("[0-9a-f]{40}", sha1):
        raise Refused("A file is asked about by its SHA-1 of 40 hexadecimal digits.", code="InvalidInput")
    profile = api.get(f"/api/files/{sha1}").body or {}
    if str(profile.get("sha1", "")).lower() != sha1:
        raise OutcomeUnknown(f"Defender answered action {request.action_id} with another file.")
    data = {name: value for name, value in profile.items() if not name.startswith("@")}
    verdict = " ".join(str(data.get(name) or "") for name in ("determinationType", "determinationValue")).strip()
    return Receipt(sha1, RemoteState.SUCCEEDED, f"Defender: {verdict or 'no determination'}", data)
