"""Graph's ``/security/alerts_v2``: read, classified and commented on (facts/graph.md 4.1)."""

from collections.abc import Mapping
from typing import Any

from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.moments import moment_text
from connectors.simulator.odata import FieldKind, filtered, ordered, page

PAGE = 50
LARGEST_PAGE = 1000
FIELDS: dict[str, FieldKind] = {
    "lastUpdateDateTime": "moment",
    "createdDateTime": "moment",
    "status": "text",
    "severity": "text",
    "serviceSource": "text",
    "classification": "text",
    "determination": "text",
    "assignedTo": "text",
}
ORDERS = frozenset({"lastUpdateDateTime", "createdDateTime"})
PREFERENCE = "include-unknown-enum-members"

CLASSIFICATIONS = ("unknown", "falsePositive", "truePositive", "informationalExpectedActivity")
DETERMINATIONS = (
    "unknown",
    "apt",
    "malware",
    "securityPersonnel",
    "securityTesting",
    "unwantedSoftware",
    "other",
    "multiStagedAttack",
    "compromisedAccount",
    "phishing",
    "maliciousUserActivity",
    "notMalicious",
    "notEnoughDataToValidate",
    "confirmedActivity",
    "lineOfBusinessApplication",
)
# What can be changed, to which words; None for any text.
CHANGEABLE: dict[str, tuple[str, ...] | None] = {
    "status": ("new", "inProgress", "resolved"),
    "classification": CLASSIFICATIONS,
    "determination": DETERMINATIONS,
    "assignedTo": None,
}

# Members that come after unknownFutureValue in Graph's own enums: only a caller who prefers to see them does.
GATED_STATUSES = frozenset({"active", "pendingApproval", "declined", "unremediated", "running", "partiallyRemediated"})
GATED_SOURCES = frozenset(
    {
        "microsoftDefenderForCloud",
        "microsoftSentinel",
        "microsoftInsiderRiskManagement",
        "microsoftThreatIntelligence",
        "microsoftSecurityForAI",
    }
)


def list_alerts(call: Call) -> Answer:
    """A page of the tenant's alerts, newest first unless ``$orderby`` says otherwise. Raises Refusal (400)."""
    rows = ordered(call, filtered(call, list(call.tenant.alerts.values()), FIELDS), ORDERS, "createdDateTime")
    body = page(call, rows, size=PAGE, largest=LARGEST_PAGE)
    body["value"] = [_as_preferred(call, alert) for alert in body["value"]]
    context = {"@odata.context": f"{call.origin}/v1.0/$metadata#security/alerts_v2"}
    return Answer(200, {**context, **body}, _preference_applied(call))


def get_alert(call: Call) -> Answer:
    """One alert. Raises Refusal (404)."""
    return _shown(call, find_alert(call))


def update_alert(call: Call) -> Answer:
    """Change an alert's status, classification, determination or owner. Raises Refusal (400, 404)."""
    alert, body = find_alert(call), body_object(call)
    for name, value in body.items():
        if name not in CHANGEABLE:
            raise Refusal(400, "BadRequest", f"The property '{name}' does not exist on this type or cannot be changed.")
        words = CHANGEABLE[name]
        if words is not None and value not in words:
            raise Refusal(400, "BadRequest", f"Cannot convert the value '{value}' of '{name}' to its enumeration.")
        if not isinstance(value, str | None):
            raise Refusal(400, "BadRequest", f"The value of '{name}' must be a string.")
    change(alert, body, call.now)
    return _shown(call, alert)


def comment(call: Call) -> Answer:
    """Add a comment; answers with all there are, as Graph does. Raises Refusal (400, 404)."""
    alert, body = find_alert(call), body_object(call)
    text = body.get("comment")
    if not str(body.get("@odata.type", "")).endswith("microsoft.graph.security.alertComment"):
        raise Refusal(400, "BadRequest", "The property '@odata.type' must be microsoft.graph.security.alertComment.")
    if not isinstance(text, str) or not text.strip():
        raise Refusal(400, "BadRequest", "The property 'comment' is missing.")
    change(alert, {"comments": [*alert["comments"], comment_of(call, text)]}, call.now)
    context = f"{call.origin}/v1.0/$metadata#security/alerts_v2('{alert['id']}')/comments"
    return Answer(200, {"@odata.context": context, "value": alert["comments"]}, remote_id=alert["id"])


def find_alert(call: Call) -> Json:
    """The alert the path names. Raises Refusal (404)."""
    alert = call.tenant.alerts.get(call.path_values["alert"])
    if alert is None:
        raise Refusal(404, "ResourceNotFound", f"Alert {call.path_values['alert']} was not found.")
    return alert


def change(alert: Json, what: Mapping[str, Any], now: int) -> None:
    """Set some of an alert's properties, and what follows from them."""
    moment = moment_text(now)
    alert |= {**what, "lastUpdateDateTime": moment}
    if "status" in what:
        alert["resolvedDateTime"] = moment if what["status"] == "resolved" else None


def comment_of(call: Call, text: str) -> Json:
    """A comment of the caller's."""
    return {"comment": text, "createdByDisplayName": call.caller, "createdDateTime": moment_text(call.now)}


def _shown(call: Call, alert: Json) -> Answer:
    context = {"@odata.context": f"{call.origin}/v1.0/$metadata#security/alerts_v2/$entity"}
    body = {**context, **_as_preferred(call, alert)}
    return Answer(200, body, _preference_applied(call), remote_id=alert["id"])


def _as_preferred(call: Call, alert: Json) -> Json:
    if PREFERENCE in call.prefer:
        return alert
    source = "unknownFutureValue" if alert["serviceSource"] in GATED_SOURCES else alert["serviceSource"]
    return {**alert, "serviceSource": source, "evidence": [_gated(piece) for piece in alert["evidence"]]}


def _gated(evidence: dict[str, Any]) -> dict[str, Any]:
    if evidence["remediationStatus"] in GATED_STATUSES:
        return {**evidence, "remediationStatus": "unknownFutureValue"}
    return evidence


def _preference_applied(call: Call) -> dict[str, str]:
    return {"Preference-Applied": PREFERENCE} if PREFERENCE in call.prefer else {}
