"""The devices Intune manages, and its connector to Defender (facts/graph.md 1.4, 2.1, 2.2).

As at Intune, pages hold 1,000 rows at most, and a ``$filter`` is not to be relied on: ``lastSyncDateTime ge`` alone is
kept to, of several ``azureADDeviceId eq`` only the first, and every other filter is ignored and all rows come. With
``incomplete_without_top`` in the tenant's ``intune`` a list asked for without ``$top`` leaves out its last tenth.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from connectors.simulator.exchange import Answer, Call, Json, Refusal
from connectors.simulator.moments import moment_text, ticks_of

LARGEST_PAGE: Final = 1000
DEFENDER_CONNECTOR: Final = "fc780465-2017-40d4-a0c5-307022471b92"
PARTNER_STATES: Final = ("unavailable", "available", "enabled", "unresponsive")
_SYNCED_SINCE: Final = re.compile(r"\s*lastSyncDateTime ge ([^\s']+)\s*")
_FIRST_ENTRA_ID: Final = re.compile(r"\s*azureADDeviceId eq '([^']*)'")


def list_devices(call: Call) -> Answer:
    """A page of the tenant's managed devices, by id, with the properties ``$select`` names."""
    rows = [row for _, row in sorted(call.tenant.managed_devices.items())]
    body = following_page(call, _filtered(call, rows))
    chosen = [name.strip() for name in call.query.get("$select", "").split(",") if name.strip()]
    if chosen:
        names = ["id", *(name for name in chosen if name != "id")]
        body["value"] = [{name: row[name] for name in names if name in row} for row in body["value"]]
    return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#deviceManagement/managedDevices", **body})


def get_connector(call: Call) -> Answer:
    """How Intune's connector to Defender is. Raises Refusal (404) for any other connector, or where there is none."""
    state = call.tenant.intune.get("partner_state", "enabled")
    if call.path_values["connector"] != DEFENDER_CONNECTOR or state is None:
        raise Refusal(404, "ResourceNotFound", "The mobile threat defense connector was not found.")
    context = f"{call.origin}/v1.0/$metadata#deviceManagement/mobileThreatDefenseConnectors/$entity"
    heartbeat = call.tenant.intune.get("heartbeat") or moment_text(call.now)
    return Answer(
        200,
        {
            "@odata.context": context,
            "id": DEFENDER_CONNECTOR,
            "lastHeartbeatDateTime": heartbeat,
            "partnerState": state,
            "androidEnabled": False,
            "iosEnabled": False,
            "windowsEnabled": state == "enabled",
            "microsoftDefenderForEndpointAttachEnabled": True,
            "androidDeviceBlockedOnMissingPartnerData": False,
            "iosDeviceBlockedOnMissingPartnerData": False,
            "windowsDeviceBlockedOnMissingPartnerData": False,
            "partnerUnsupportedOsVersionBlocked": False,
            "partnerUnresponsivenessThresholdInDays": 7,
            "allowPartnerToCollectIOSApplicationMetadata": False,
            "allowPartnerToCollectIOSPersonalApplicationMetadata": False,
            "androidMobileApplicationManagementEnabled": False,
            "iosMobileApplicationManagementEnabled": False,
        },
    )


def following_page(call: Call, rows: Sequence[Json]) -> Json:
    """One page of rows that are in the order of their ids, with an opaque ``@odata.nextLink`` when there are more.

    The link names the last id given, so that what comes or goes meanwhile moves nothing else. Raises Refusal (400).
    """
    most = min(LARGEST_PAGE, call.tenant.page_size)
    top = call.query.get("$top", str(most))
    if not top.isdecimal() or top == "0":
        raise Refusal(400, "BadRequest", f"Invalid value '{top}' for $top: a positive integer is expected.")
    if "$top" not in call.query and call.tenant.intune.get("incomplete_without_top"):
        rows = rows[: len(rows) * 9 // 10]
    after = _last_id(call)
    left = [row for row in rows if str(row["id"]) > after] if after else list(rows)
    shown = left[: min(int(top), most)]
    body: Json = {"value": shown}
    if len(shown) < len(left):
        token = base64.urlsafe_b64encode(str(shown[-1]["id"]).encode()).decode()
        following = {**call.query, "$skiptoken": token}
        body["@odata.nextLink"] = f"{call.origin}{call.path}?{urlencode(following, safe='$')}"
    return body


def _last_id(call: Call) -> str:
    try:
        return base64.urlsafe_b64decode(call.query.get("$skiptoken", "")).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refusal(400, "BadRequest", "Skip token is invalid.") from error


def _filtered(call: Call, rows: Sequence[Json]) -> list[Json]:
    wanted = call.query.get("$filter", "")
    if since := _SYNCED_SINCE.fullmatch(wanted):
        try:
            start = ticks_of(since[1])
        except ValueError as error:
            raise Refusal(400, "BadRequest", f"'{since[1]}' is not a date and time.") from error
        return [row for row in rows if ticks_of(row["lastSyncDateTime"]) >= start]
    if first := _FIRST_ENTRA_ID.match(wanted):
        return [row for row in rows if row["azureADDeviceId"] == first[1]]
    return list(rows)
