"""Say to Microsoft what an alert was, and read back whether it has heard.

One PATCH, which may be repeated: it sets what is to be, whatever was before. A false positive is resolved with it.
Doubt kept from the facts: whether `lastUpdateDateTime` moves, and how soon a read shows the change, is not promised;
an answer that does not show it is looked up.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from connectors.microsoft.http import Api
from connectors.microsoft.words import DETERMINATIONS, plain_word
from connectors.protocol import ActionRequest, ConnectorError, LookUp, OutcomeUnknown, Receipt, Refused, RemoteState

ALERTS: Final = "/v1.0/security/alerts_v2"
ACTIONS: Final = frozenset({"classify_alert"})


def send(api: Api, request: ActionRequest, *, before_sending: Callable[[], None]) -> Receipt:
    """Set an alert's classification and determination. Raises Refused and its kinds, or OutcomeUnknown."""
    classification, determination = _wanted(request)
    body = {"classification": classification, "determination": determination}
    if classification == "falsePositive":
        body["status"] = "resolved"
    answer = api.act("PATCH", _address(request), body, action_id=request.action_id, before_sending=before_sending)
    receipt = _receipt(api, request, answer.body or {})
    if receipt is None:
        raise OutcomeUnknown(f"Graph's answer to action {request.action_id} does not show the change; look it up.")
    return receipt


def look_up(api: Api, requests: Sequence[ActionRequest]) -> LookUp:
    """Read each alert: classified as asked is done, otherwise is absent. What cannot be read now is unanswered."""
    found: dict[UUID, Receipt] = {}
    unanswered: set[UUID] = set()
    for request in requests:
        try:
            receipt = _receipt(api, request, api.get(_address(request)).body or {})
        except ConnectorError as error:
            # An alert that is gone has certainly not been classified.
            if not (isinstance(error, Refused) and error.code in {"404", "NotFound", "ResourceNotFound"}):
                unanswered.add(request.action_id)
            continue
        if receipt is not None:
            found[request.action_id] = receipt
    return LookUp(found, frozenset(unanswered))


def _receipt(api: Api, request: ActionRequest, alert: Mapping[str, Any]) -> Receipt | None:
    """Return the receipt if the alert says what was wanted. Raises OutcomeUnknown for another alert or tenant."""
    alert_id = _alert_id(request)
    if str(alert.get("id") or "").lower() != alert_id.lower():
        raise OutcomeUnknown(f"Graph answered action {request.action_id} with something else than its alert.")
    if str(alert.get("tenantId") or api.tenant_id).lower() != api.tenant_id.lower():
        raise OutcomeUnknown(f"Graph answered action {request.action_id} with an alert of another tenant.")
    said = plain_word(alert.get("classification")), plain_word(alert.get("determination"))
    if said != _wanted(request):
        return None
    return Receipt(alert_id, RemoteState.SUCCEEDED, f"Graph: {said[0]}, {said[1]}, {alert.get('status')}")


def _address(request: ActionRequest) -> str:
    return f"{ALERTS}/{quote(_alert_id(request), safe='')}"


def _alert_id(request: ActionRequest) -> str:
    alert_id = str(request.parameters.get("alert_id") or "")
    if not alert_id.strip("."):
        raise Refused("classify_alert needs an alert id.", code="InvalidInput")
    return alert_id


def _wanted(request: ActionRequest) -> tuple[str, str]:
    """Return classification and determination in Graph's words. Raises Refused for a pair Microsoft does not have."""
    classification = plain_word(request.parameters.get("classification"))
    determination = plain_word(request.parameters.get("determination"))
    if determination not in DETERMINATIONS.get(classification, ()):
        raise Refused(f"An alert cannot be called {classification}, {determination}.", code="InvalidInput")
    return classification, determination
