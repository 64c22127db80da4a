"""Graph's ``/security/alerts_v2`` (facts/graph.md 4.1)."""

from typing import Any

from connectors.simulator.exchange import Answer, Call, Json, Refusal
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
    alert = call.tenant.alerts.get(call.path_values["alert"])
    if alert is None:
        raise Refusal(404, "ResourceNotFound", f"Alert {call.path_values['alert']} was not found.")
    context = {"@odata.context": f"{call.origin}/v1.0/$metadata#security/alerts_v2/$entity"}
    return Answer(200, {**context, **_as_preferred(call, alert)}, _preference_applied(call))


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
