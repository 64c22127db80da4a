"""Ask Defender to stop a machine action it accepted; what came of it, the list of machine actions tells.

Microsoft allows it until the action has ended, whoever asked for it, with the permission of the action itself (Defender
"Cancel machine action API"). A device may have begun already: only a later look-up says how it ended.
"""

from typing import Final
from urllib.parse import quote

from connectors.microsoft import defender, live_response
from connectors.microsoft.http import Api
from connectors.protocol import ActionRequest, Refused

CANCELLABLE_TYPES: Final = frozenset(defender.ROUTES) | live_response.ACTIONS


def cancel(api: Api, request: ActionRequest) -> None:
    """Ask for one action to be stopped. Raises Refused when it has ended or is not known, and ConnectorError."""
    if request.type not in CANCELLABLE_TYPES:
        raise Refused(f"Microsoft cannot cancel {request.type}.", code="NotCancellable")
    if not request.remote_id:
        raise Refused("Microsoft has not accepted this action; there is nothing to cancel there.", code="NotAccepted")
    path = f"/api/machineactions/{quote(request.remote_id, safe='')}/cancel"
    body = {"Comment": defender.marked_body(request)["Comment"]}
    api.post(path, body, action_id=request.action_id, before_sending=lambda: None)
