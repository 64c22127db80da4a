"""Defender for Endpoint's own view of the alerts, ``/api/alerts``, in PascalCase words (facts/defender.md 6.5, 6.8).

They are the alerts that Graph lists, as far as Defender for Endpoint raised them.
"""

from collections.abc import Mapping
from typing import Any, Final

from connectors.simulator.alerts import CLASSIFICATIONS, DETERMINATIONS, change, comment_of, find_alert
from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.odata import FieldKind, filtered, page

LARGEST_PAGE: Final = 10_000
LARGEST_BATCH: Final = 1000
FIELDS: Final[dict[str, FieldKind]] = {
    "id": "text",
    "status": "text",
    "severity": "text",
    "category": "text",
    "assignedTo": "text",
    "detectionSource": "text",
    "machineId": "address",
    "incidentId": "text",
    "alertCreationTime": "moment",
    "lastUpdateTime": "moment",
    "lastEventTime": "moment",
}


def _pascal(word: str) -> str:
    return word[:1].upper() + word[1:]


_OWN_WORDS: Final = {"unknown": "NotAvailable", "notEnoughDataToValidate": "NoEnoughDataToValidate"}
_DETERMINATIONS: Final = {word: _OWN_WORDS.get(word, _pascal(word)) for word in DETERMINATIONS}
_CLASSIFICATIONS: Final = {word: _pascal(word) for word in CLASSIFICATIONS}
_STATUSES: Final = {"new": "New", "inProgress": "InProgress", "resolved": "Resolved"}
# What "Update alert" and "Alerts" call the same thing besides; taken when written, never sent.
_ALIASES: Final = {
    "CompromisedUser": "compromisedAccount",
    "ConfirmedUserActivity": "confirmedActivity",
    "Clean": "notMalicious",
    "InsufficientData": "notEnoughDataToValidate",
}
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "status": {written: word for word, written in _STATUSES.items()},
    "classification": {written: word for word, written in _CLASSIFICATIONS.items()},
    "determination": {written: word for word, written in _DETERMINATIONS.items()} | _ALIASES,
}
_SOURCES: Final = {
    "antivirus": "WindowsDefenderAv",
    "smartScreen": "WindowsDefenderSmartScreen",
    "customTi": "CustomerTI",
}


def list_alerts(call: Call) -> Answer:
    """A page of the alerts, newest first, their evidence empty unless ``$expand`` asks for it. Raises Refusal (400)."""
    rows = [as_json(alert) for alert in call.tenant.alerts.values() if _is_own(alert)]
    rows.sort(key=lambda row: str(row["alertCreationTime"]), reverse=True)
    if "evidence" not in call.query.get("$expand", ""):
        rows = [{**row, "evidence": []} for row in rows]
    body = page(call, filtered(call, rows, FIELDS), size=LARGEST_PAGE, largest=LARGEST_PAGE)
    return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#Alerts", **body})


def get_alert(call: Call) -> Answer:
    """One alert with its evidence. Raises Refusal (404)."""
    return _shown(call, find_alert(call))


def update_alert(call: Call) -> Answer:
    """Change one alert. Raises Refusal (400, 404)."""
    alert, body = find_alert(call), body_object(call)
    change(alert, _wanted(call, alert, body), call.now)
    return _shown(call, alert)


def update_many(call: Call) -> Answer:
    """Change several alerts at once; answers with nothing. Raises Refusal (400, 404)."""
    body = dict(body_object(call))
    ids = body.pop("alertIds", None)
    if not isinstance(ids, list) or not ids or len(ids) > LARGEST_BATCH:
        raise Refusal(400, "InvalidRequestBody", f"'alertIds' must be a list of 1 to {LARGEST_BATCH} alert ids.")
    alerts = [call.tenant.alerts.get(str(alert_id).lower()) for alert_id in ids]
    found = [alert for alert in alerts if alert is not None]
    if len(found) < len(ids):
        raise Refusal(404, "ResourceNotFound", "At least one of the alerts was not found.")
    changes = [(alert, _wanted(call, alert, body)) for alert in found]
    for alert, wanted in changes:
        change(alert, wanted, call.now)
    return Answer(200)


def as_json(alert: Mapping[str, Any]) -> Json:
    """An alert as Defender for Endpoint writes it."""
    device: Mapping[str, Any] = next((piece for piece in alert["evidence"] if piece.get("mdeDeviceId")), {})
    return {
        "id": alert["id"],
        "incidentId": int(alert["incidentId"]) if str(alert["incidentId"]).isdecimal() else None,
        "investigationId": None,
        "assignedTo": alert["assignedTo"],
        "severity": _pascal(alert["severity"]).replace("Unknown", "UnSpecified"),
        "status": _STATUSES.get(alert["status"], "Unknown"),
        "classification": None if alert["classification"] == "unknown" else _CLASSIFICATIONS[alert["classification"]],
        "determination": None if alert["determination"] == "unknown" else _DETERMINATIONS[alert["determination"]],
        "investigationState": _pascal(alert["investigationState"] or "unknown"),
        "detectionSource": _SOURCES.get(alert["detectionSource"], "WindowsDefenderAtp"),
        "detectorId": alert["detectorId"],
        "category": alert["category"],
        "threatFamilyName": alert["threatFamilyName"],
        "threatName": alert["threatDisplayName"],
        "title": alert["title"],
        "description": alert["description"],
        "alertCreationTime": alert["createdDateTime"],
        "firstEventTime": alert["firstActivityDateTime"],
        "lastEventTime": alert["lastActivityDateTime"],
        "lastUpdateTime": alert["lastUpdateDateTime"],
        "resolvedTime": alert["resolvedDateTime"],
        "machineId": device.get("mdeDeviceId"),
        "computerDnsName": device.get("deviceDnsName"),
        "rbacGroupName": device.get("rbacGroupName"),
        "aadTenantId": alert["tenantId"],
        "relatedUser": None,
        "mitreTechniques": list(alert["mitreTechniques"] or []),
        "loggedOnUsers": [],
        "comments": [_comment(each) for each in alert["comments"]],
        "evidence": [row for row in map(_evidence, alert["evidence"]) if row is not None],
        "domains": [],
    }


def _wanted(call: Call, alert: Json, body: Mapping[str, Any]) -> Json:
    """The changes a body asks for, in Graph's words."""
    wanted: Json = {}
    for name, value in body.items():
        if name in _WORDS:
            word = _WORDS[name].get(str(value))
            if word is None:
                raise Refusal(400, "InvalidInput", f"{name} '{value}' is not one of {', '.join(_WORDS[name])}.")
            wanted[name] = word
        elif name == "assignedTo" and isinstance(value, str | None):
            wanted[name] = value
        elif name == "comment" and isinstance(value, str):
            wanted["comments"] = [*alert["comments"], comment_of(call, value)]
        else:
            raise Refusal(400, "InvalidRequestBody", f"The parameter '{name}' is not valid for this operation.")
    return wanted


def _shown(call: Call, alert: Json) -> Answer:
    body = {"@odata.context": f"{call.origin}/api/$metadata#Alerts/$entity", **as_json(alert)}
    return Answer(200, body, remote_id=alert["id"])


def _is_own(alert: Mapping[str, Any]) -> bool:
    return bool(alert["serviceSource"] == "microsoftDefenderForEndpoint")


def _comment(comment: Mapping[str, Any]) -> Json:
    return {
        "comment": comment["comment"],
        "createdBy": comment["createdByDisplayName"],
        "createdTime": comment["createdDateTime"],
    }


def _evidence(piece: Mapping[str, Any]) -> Json | None:
    """A piece of evidence, None for the kinds Defender for Endpoint does not list."""
    kind = str(piece["@odata.type"]).rpartition(".")[2]
    base = {"evidenceCreationTime": piece["createdDateTime"]}
    if kind == "fileEvidence":
        return {**base, "entityType": "File", **_file(piece.get("fileDetails"), piece)}
    if kind == "processEvidence":
        process = {
            "processId": piece.get("processId"),
            "processCommandLine": piece.get("processCommandLine"),
            "processCreationTime": piece.get("processCreationDateTime"),
            "parentProcessId": piece.get("parentProcessId"),
        }
        return {**base, "entityType": "Process", **_file(piece.get("imageFile"), piece), **process}
    if kind == "userEvidence":
        account = piece.get("userAccount") or {}
        return {
            **base,
            "entityType": "User",
            "accountName": account.get("accountName"),
            "domainName": account.get("domainName"),
            "userPrincipalName": account.get("userPrincipalName"),
        }
    if kind == "urlEvidence":
        return {**base, "entityType": "Url", "url": piece.get("url")}
    return {**base, "entityType": "Ip", "ipAddress": piece.get("ipAddress")} if kind == "ipEvidence" else None


def _file(details: Mapping[str, Any] | None, piece: Mapping[str, Any]) -> Json:
    known = details or {}
    status = piece.get("detectionStatus")
    return {
        "sha1": known.get("sha1"),
        "sha256": known.get("sha256"),
        "fileName": known.get("fileName"),
        "filePath": known.get("filePath"),
        "detectionStatus": _pascal(status) if status else None,
    }
