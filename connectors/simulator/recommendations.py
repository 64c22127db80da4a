"""Security recommendations, the machines exposed to each and its CVEs (facts/defender.md 5.1, 6.5, 6.8).

Rows of machines are put together from text that was rendered once for each machine, so that a tenant of 20,000 machines
and a million exposures answers at the speed of the network.
"""

import json
from collections.abc import Iterable, Sequence

from connectors.simulator.exchange import Answer, Call, Json, Refusal
from connectors.simulator.exposures import Weakness
from connectors.simulator.odata import FieldKind, filtered, page
from connectors.simulator.store import Tenant

LARGEST_PAGE = 10_000
FIELDS: dict[str, FieldKind] = {
    "id": "text",
    "productName": "text",
    "vendor": "text",
    "recommendedVersion": "text",
    "recommendationCategory": "text",
    "subCategory": "text",
    "severityScore": "number",
    "remediationType": "text",
    "recommendedProgram": "text",
    "recommendedVendor": "text",
    "status": "text",
}


def list_recommendations(call: Call) -> Answer:
    """A page of the tenant's recommendations."""
    rows = [as_json(call.tenant, weakness, call.now) for weakness in call.tenant.exposures.all(call.now)]
    return Answer(200, _collection(call, "Recommendations", filtered(call, rows, FIELDS)))


def get_recommendation(call: Call) -> Answer:
    """One recommendation. Raises Refusal (404)."""
    row = as_json(call.tenant, _found(call), call.now)
    return Answer(200, {"@odata.context": _context(call, "Recommendations/$entity"), **row})


def machine_references(call: Call) -> Answer:
    """A page of the machines exposed to one recommendation. Raises Refusal (404)."""
    return references(call, call.tenant.exposures.counted(_found(call), call.now))


def vulnerabilities(call: Call) -> Answer:
    """A page of one recommendation's CVEs. Raises Refusal (404)."""
    weakness = _found(call)
    exposed = len(call.tenant.exposures.counted(weakness, call.now))
    rows = [{**cve, "exposedMachines": exposed} for cve in weakness.cves]
    return Answer(200, _collection(call, "Collection(microsoft.windowsDefenderATP.api.PublicVulnerabilityDto)", rows))


def as_json(tenant: Tenant, weakness: Weakness, now: int) -> Json:
    """The recommendation as Microsoft would send it now, its counts made from what is exposed.

    ``weaknesses`` and ``totalMachineCount`` may be seeded larger than what is listed.
    """
    counted = tenant.exposures.counted(weakness, now)
    critical = sum(1 for key in counted if tenant.machines[key]["deviceValue"] == "High")
    total = weakness.properties["totalMachineCount"]
    return {
        **weakness.properties,
        "weaknesses": max(weakness.properties["weaknesses"], len(weakness.cves)),
        "exposedMachinesCount": len(counted),
        "exposedCriticalDevices": critical,
        "totalMachineCount": max(total, len(counted)),
    }


def references(call: Call, machine_ids: Sequence[str]) -> Answer:
    """A page of references to machines."""
    body = page(call, machine_ids, size=LARGEST_PAGE, largest=LARGEST_PAGE, most=call.tenant.page_size)
    head = {"@odata.context": _context(call, "Collection(microsoft.windowsDefenderATP.api.PublicAssetDto)"), **body}
    del head["value"]
    rows = b",".join(_rendered(call.tenant, body["value"]))
    return Answer(200, content=json.dumps(head)[:-1].encode() + b',"value":[' + rows + b"]}")


def _rendered(tenant: Tenant, machine_ids: Iterable[str]) -> Iterable[bytes]:
    for key in machine_ids:
        text = tenant.references.get(key)
        if text is None:
            text = tenant.references[key] = json.dumps(_reference(tenant.machines[key])).encode()
        yield text


def _reference(machine: Json) -> Json:
    return {
        "id": machine["id"],
        "computerDnsName": machine["computerDnsName"],
        "osPlatform": machine["osPlatform"],
        "rbacGroupName": machine["rbacGroupName"],
        "rbacGroupId": machine["rbacGroupId"],
        "assetCriticalityLevel": None,
        "tags": machine["machineTags"],
    }


def _found(call: Call) -> Weakness:
    weakness = call.tenant.exposures.find(call.path_values["recommendation"], call.now)
    if weakness is None:
        raise Refusal(404, "ResourceNotFound", f"Recommendation {call.path_values['recommendation']} was not found.")
    return weakness


def _collection(call: Call, name: str, rows: Sequence[Json]) -> Json:
    most = call.tenant.page_size
    return {
        "@odata.context": _context(call, name),
        **page(call, rows, size=LARGEST_PAGE, largest=LARGEST_PAGE, most=most),
    }


def _context(call: Call, name: str) -> str:
    return f"{call.origin}/api/$metadata#{name}"
