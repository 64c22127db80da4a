"""Defender's indicators: one for a value and type, set again by whoever posts it next (facts/defender.md 6.5, 6.8)."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from connectors.simulator.exchange import Answer, Call, Json, Refusal, body_object
from connectors.simulator.moments import moment_text, now_ticks, ticks_of
from connectors.simulator.odata import FieldKind, filtered, page
from connectors.simulator.store import Tenant

MOST_ACTIVE: Final = 15_000
LARGEST_BATCH: Final = 500
LARGEST_PAGE: Final = 10_000
ACTIONS: Final = ("Allowed", "Audit", "Block", "BlockAndRemediate", "Warn")
SEVERITIES: Final = ("Informational", "Low", "Medium", "High")
REQUIRED: Final = ("indicatorValue", "indicatorType", "action", "title", "description")
FIELDS: Final[dict[str, FieldKind]] = {
    "indicatorValue": "address",
    "indicatorType": "text",
    "action": "text",
    "severity": "text",
    "title": "text",
    "application": "text",
    "createdBy": "text",
    "createdByDisplayName": "text",
    "creationTimeDateTimeUtc": "moment",
    "expirationTime": "moment",
}

_NUMBERS = count(30_518)
_TEXTS: Final = frozenset(
    {*REQUIRED, "application", "severity", "recommendedActions", "educateUrl", "externalId", "expirationTime"}
)
_LISTS: Final = frozenset({"rbacGroupNames", "rbacGroupIds", "mitreTechniques"})
_SWITCHES: Final = frozenset({"generateAlert", "historicalDetection"})


def list_indicators(call: Call) -> Answer:
    """A page of the active indicators. Raises Refusal (400)."""
    rows = filtered(call, [row for row in call.tenant.indicators.values() if _is_active(row, call.now)], FIELDS)
    body = page(call, rows, size=LARGEST_PAGE, largest=LARGEST_PAGE)
    return Answer(200, {"@odata.context": _context(call, "Indicators"), **body})


def submit(call: Call) -> Answer:
    """Make an indicator, or change the one for this value and type. Raises Refusal (400)."""
    indicator = _put(call, body_object(call))
    body = {"@odata.context": _context(call, "Indicators/$entity"), **indicator}
    return Answer(200, body, remote_id=indicator["id"])


def import_many(call: Call) -> Answer:
    """The same for up to 500, each with its own result. Raises Refusal (400)."""
    wanted = body_object(call).get("Indicators")
    if not isinstance(wanted, list):
        raise Refusal(400, "InvalidRequestBody", "The parameter 'Indicators' must be a list.")
    if len(wanted) > LARGEST_BATCH:
        raise Refusal(400, "MaximumBatchSizeExceeded", f"At most {LARGEST_BATCH} indicators can be imported at once.")
    kind = "Collection(microsoft.windowsDefenderATP.api.ImportIndicatorResult)"
    return Answer(200, {"@odata.context": _context(call, kind), "value": [_imported(call, row) for row in wanted]})


def delete(call: Call) -> Answer:
    """Remove one. Raises Refusal (404)."""
    wanted = call.path_values["indicator"]
    key = next((key for key, row in call.tenant.indicators.items() if row["id"] == wanted), None)
    if key is None:
        raise Refusal(404, "ResourceNotFound", f"Indicator {wanted} was not found.")
    del call.tenant.indicators[key]
    return Answer(204, None, remote_id=wanted)


def delete_many(call: Call) -> Answer:
    """Remove those of these ids that there are. Raises Refusal (400)."""
    wanted = body_object(call).get("IndicatorIds")
    if not isinstance(wanted, list) or not wanted or len(wanted) > LARGEST_BATCH:
        raise Refusal(400, "InvalidRequestBody", f"'IndicatorIds' must be a list of 1 to {LARGEST_BATCH} ids.")
    ids = {str(each) for each in wanted}
    for key in [key for key, row in call.tenant.indicators.items() if row["id"] in ids]:
        del call.tenant.indicators[key]
    return Answer(204)


def seed_indicator(tenant: Tenant, given: Mapping[str, Any], maker: str) -> None:
    """Put an indicator in place as somebody else made it. Raises Refusal for what Defender would not take."""
    _set(tenant, {"title": "Seeded", "description": "Seeded", **given}, maker, now_ticks())


def _imported(call: Call, wanted: object) -> Json:
    given = wanted if isinstance(wanted, dict) else {}
    value = given.get("indicatorValue")
    try:
        made = _put(call, given)
    except Refusal as refusal:
        return {"id": None, "indicator": value, "isFailed": True, "failureReason": refusal.message}
    return {"id": made["id"], "indicator": value, "isFailed": False, "failureReason": None}


def _put(call: Call, body: Json) -> Json:
    return _set(call.tenant, body, call.caller, call.now)


def _set(tenant: Tenant, body: Mapping[str, Any], maker: str, now: int) -> Json:
    _check(body, now)
    key = body["indicatorType"], body["indicatorValue"].lower()
    known = tenant.indicators.get(key)
    former = known if known is not None and _is_active(known, now) else None
    active = sum(_is_active(row, now) for row in tenant.indicators.values())
    if former is None and active >= MOST_ACTIVE:
        raise Refusal(400, "BadRequest", f"Max capacity exceeded: {MOST_ACTIVE} indicators are active in the tenant.")
    moment = moment_text(now)
    given = {name: value for name, value in body.items() if name != "application" or former is None}
    base = former or {**_defaults(moment, maker), "id": str(next(_NUMBERS))}
    tenant.indicators[key] = {**base, **given, "lastUpdateTime": moment, "lastUpdatedBy": maker}
    return tenant.indicators[key]


def _check(body: Mapping[str, Any], now: int) -> None:
    for name, value in body.items():
        if name not in _TEXTS | _LISTS | _SWITCHES:
            raise Refusal(400, "InvalidRequestBody", f"The property '{name}' does not exist on type 'Indicator'.")
        is_right = isinstance(value, str | None) if name in _TEXTS else isinstance(value, list | bool | None)
        if not is_right:
            raise Refusal(400, "InvalidRequestBody", f"The value of '{name}' is of the wrong type.")
    for name in REQUIRED:
        if not (body.get(name) or "").strip():
            raise Refusal(400, "MissingRequiredParameter", f"Required parameter {name} is missing.")
    _check_words(body)
    _VALUES[body["indicatorType"]](body["indicatorValue"])
    if body.get("expirationTime") and _ticks(body["expirationTime"]) <= now:
        raise Refusal(400, "InvalidInput", "expirationTime must be in the future.")


def _check_words(body: Mapping[str, Any]) -> None:
    kind, action = body["indicatorType"], body["action"]
    if kind not in _VALUES:
        raise Refusal(400, "InvalidInput", f"indicatorType '{kind}' is not one of {', '.join(_VALUES)}.")
    if action not in ACTIONS:
        raise Refusal(400, "InvalidInput", f"action '{action}' is not one of {', '.join(ACTIONS)}.")
    if action == "BlockAndRemediate" and not kind.startswith("File"):
        raise Refusal(400, "InvalidInput", f"BlockAndRemediate is not supported for {kind}.")
    if action == "Audit" and body.get("generateAlert") is not True:
        raise Refusal(400, "InvalidInput", "generateAlert must be true with the action Audit.")
    if body.get("severity", SEVERITIES[0]) not in SEVERITIES:
        raise Refusal(400, "InvalidInput", f"severity '{body['severity']}' is not one of {', '.join(SEVERITIES)}.")


def _hash(digits: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", value):
            raise Refusal(400, "InvalidHashValue", f"'{value}' is not a hash of {digits} hexadecimal digits.")

    return check


def _address(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise Refusal(400, "InvalidIpAddress", f"'{value}' is not an IP address; CIDR is not supported.") from error


def _domain(value: str) -> None:
    if not re.fullmatch(r"(?:[\w-]{1,63}\.)+[\w-]{2,63}", value):
        raise Refusal(400, "InvalidDomainName", f"'{value}' is not a domain name.")


def _url(value: str) -> None:
    if not re.fullmatch(r"(?:https?://)?[\w.-]+(?::\d+)?(?:[/?#]\S*)?", value):
        raise Refusal(400, "InvalidUrl", f"'{value}' is not a URL.")


_VALUES: Final[Mapping[str, Callable[[str], None]]] = {
    "FileSha1": _hash(40),
    "FileSha256": _hash(64),
    "FileMd5": _hash(32),
    "CertificateThumbprint": _hash(40),
    "IpAddress": _address,
    "DomainName": _domain,
    "Url": _url,
}


def _ticks(text: str) -> int:
    try:
        return ticks_of(text)
    except ValueError as error:
        raise Refusal(400, "InvalidRequestBody", f"expirationTime: {error}.") from error


def _is_active(row: Mapping[str, Any], now: int) -> bool:
    return not row["expirationTime"] or ticks_of(row["expirationTime"]) > now


def _context(call: Call, name: str) -> str:
    return f"{call.origin}/api/$metadata#{name}"


def _defaults(moment: str, maker: str) -> Json:
    return {
        "createdBy": maker,
        "createdByDisplayName": maker,
        "createdBySource": "PublicApi",
        "creationTimeDateTimeUtc": moment,
        "severity": "Informational",
        "category": None,
        "application": None,
        "educateUrl": None,
        "bypassDurationHours": None,
        "recommendedActions": None,
        "expirationTime": None,
        "rbacGroupNames": [],
        "rbacGroupIds": [],
        "certificateInfo": None,
        "notificationId": None,
        "notificationBody": None,
        "version": None,
        "mitreTechniques": [],
        "historicalDetection": False,
        "lookBackPeriod": None,
        "generateAlert": False,
        "additionalInfo": None,
        "externalId": None,
    }
