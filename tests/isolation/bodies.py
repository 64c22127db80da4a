"""Ids outside paths: the table of bodies that name rows, and what the OpenAPI schema says there is."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from investigations.models import Alert, Device, DeviceGroup, Evidence, Investigation
from portal.access.models import ServiceAccount
from portal.tenancy.models import Tenant, TenantGroup
from remediation.actions.models import RemediationAction
from remediation.safeguards.models import Freeze
from remediation.vulnerabilities.models import Recommendation, RecommendationException, RemediationActivity
from tests.isolation.routes import REASON
from tests.isolation.world import OURS_AT_MICROSOFT, Model

ALERT = {
    "id": "da1",
    "tenantId": str(OURS_AT_MICROSOFT),
    "title": "Malware",
    "severity": "high",
    "lastUpdateDateTime": "2026-11-20T10:00:00Z",
}

CHANGE = {**REASON, "tenant": Tenant}

CORRECTION = {
    **REASON,
    "tenant": Tenant,
    "kind": "false_positive",
    "classification": "falsePositive",
    "determination": "notMalicious",
}

EXCEPTION = {"justification": "risk_accepted", "context": "Because the matrix asks.", "days": 30}

BODIES: list[tuple[str, str, Mapping[str, Any]]] = [
    (
        "POST",
        "/api/v1/actions/",
        {
            **REASON,
            "tenant": Tenant,
            "type": "run_antivirus_scan",
            "device": Device,
            "parameters": {"scan_type": "Quick"},
        },
    ),
    ("POST", "/api/v1/actions/decide/", {**REASON, "ids": [RemediationAction], "answer": "reject"}),
    (
        "POST",
        "/api/v1/action-groups/decide/",
        {
            **REASON,
            "type": "isolate_device",
            "entity": "device:none",
            "as_of": "2026-11-20T10:00:00Z",
            "count": 1,
            "answer": "reject",
            "tenants": [Tenant],
        },
    ),
    ("POST", "/api/v1/alerts/", {"tenant": Tenant, "alerts": [ALERT]}),
    ("POST", "/api/v1/api-keys/", {"account": ServiceAccount, "name": "Matrix", "tenants": [Tenant]}),
    ("POST", "/api/v1/break-glass/", {**REASON, "tenant": Tenant}),
    ("POST", "/api/v1/connections/", {"tenant": Tenant}),
    ("POST", "/api/v1/corrections/", {**CORRECTION, "alert": Alert}),
    ("POST", "/api/v1/corrections/", {**CORRECTION, "evidence": Evidence}),
    ("POST", "/api/v1/corrections/", {**CORRECTION, "action": RemediationAction}),
    (
        "POST",
        "/api/v1/device-groups/",
        {"tenant": Tenant, "name": "Matrix", "rank": 1, "automation_level": "full", "rules": []},
    ),
    ("POST", "/api/v1/exceptions/", {**EXCEPTION, "tenant": Tenant, "cve_id": "CVE-2024-11477", "is_global": True}),
    ("POST", "/api/v1/exceptions/", {**EXCEPTION, "recommendation": Recommendation, "groups": [DeviceGroup]}),
    ("POST", "/api/v1/exceptions/decide/", {**REASON, "ids": [RecommendationException], "answer": "reject"}),
    ("POST", "/api/v1/exceptions/preview/", {"tenant": Tenant, "cve_id": "CVE-2024-11477", "is_global": True}),
    ("POST", "/api/v1/exceptions/preview/", {"recommendation": Recommendation, "groups": [DeviceGroup]}),
    ("POST", "/api/v1/exceptions/{id}/cancel/", {**REASON, "group": DeviceGroup}),
    ("POST", "/api/v1/freezes/", {**REASON, "tenant": Tenant}),
    ("POST", "/api/v1/guarded-changes/", {**CHANGE, "kind": "lift_freeze", "details": {"freeze": Freeze}}),
    ("POST", "/api/v1/guarded-changes/", {**CHANGE, "kind": "unprotect_device", "details": {"device": Device}}),
    (
        "POST",
        "/api/v1/identity-providers/",
        {"tenant": Tenant, "issuer": "https://id.example", "client_id": "a", "client_secret": "b"},
    ),
    ("POST", "/api/v1/hunts/", {"tenants": [Tenant], "query": "EmailEvents"}),
    ("POST", "/api/v1/mail-searches/", {"tenants": [Tenant], "sender": "bad.example"}),
    ("POST", "/api/v1/intune-connections/", {"tenant": Tenant}),
    ("POST", "/api/v1/investigations/", {**REASON, "device": Device}),
    ("POST", "/api/v1/legal-holds/", {**REASON, "tenant": Tenant}),
    ("POST", "/api/v1/legal-holds/", {**REASON, "activity": RemediationActivity}),
    ("POST", "/api/v1/legal-holds/", {**REASON, "action": RemediationAction}),
    ("POST", "/api/v1/legal-holds/", {**REASON, "investigation": Investigation}),
    ("POST", "/api/v1/members/", {"tenant": Tenant, "email": "new@acme.example", "role": "reader"}),
    (
        "POST",
        "/api/v1/notification-channels/",
        {"tenant": Tenant, "kind": "email", "name": "Matrix", "events": ["overdue"], "emails": ["it@acme.example"]},
    ),
    ("POST", "/api/v1/protected-devices/", {**REASON, "device": Device}),
    (
        "POST",
        "/api/v1/provider-memberships/",
        {"group": TenantGroup, "email": "nobody@provider.example", "role": "reader", "reach": "group"},
    ),
    (
        "POST",
        "/api/v1/remediation-activities/",
        {
            "recommendation": Recommendation,
            "device_groups": [DeviceGroup],
            "option": "attention_required",
            "priority": "low",
        },
    ),
    (
        "POST",
        "/api/v1/remediation-campaigns/",
        {
            "recommendation_id": "va-_-7-zip-_-7-zip",
            "tenants": [Tenant],
            "option": "attention_required",
            "priority": "low",
        },
    ),
    ("POST", "/api/v1/retention-rules/", {**REASON, "tenant": Tenant, "kind": "actions", "days": 500}),
    ("POST", "/api/v1/service-accounts/", {"tenant": Tenant, "name": "Matrix", "role": "reader"}),
    ("POST", "/api/v1/tenant-groups/", {"tenants": [Tenant], "name": "Matrix"}),
    ("POST", "/api/v1/tenant-groups/{id}/add-tenants/", {"tenants": [Tenant]}),
    ("POST", "/api/v1/tenant-groups/{id}/remove-tenants/", {"tenants": [Tenant]}),
]
"""Bodies that the operations accept; a model stands where the id of one of its rows goes."""

NAMED = {"tenant"}
"""Properties that name a row though the schema calls them plain text: an id or a short name."""

NO_ROW = {"entra_tenant_id"}
"""Properties that are ids of nothing here: whom a tenant is to Microsoft."""


@cache  # it takes a second to make, and names no rows that could change
def schema() -> dict[str, Any]:
    """Return the API's own description, as integrations get it."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the method, path and description of every operation."""
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def ids_in_bodies() -> set[tuple[str, str, str]]:
    """Return the method, path and property path of every property of a request body that names a row."""
    components = schema()["components"]["schemas"]
    found = set()
    for method, path, operation in operations():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            found |= {(method, path, place) for place in _ids_in(content["schema"], components, "", ())}
    return found


def _ids_in(part: Any, components: Mapping[str, Any], place: str, above: tuple[str, ...]) -> Iterator[str]:
    reference = part.get("$ref", "").rpartition("/")[2]
    if reference and reference not in above:
        yield from _ids_in(components[reference], components, place, (*above, reference))
    last = place.rpartition(".")[2]
    if (part.get("format") == "uuid" and last not in NO_ROW) or last in NAMED:
        yield place
    for name, inner in part.get("properties", {}).items():
        yield from _ids_in(inner, components, f"{place}.{name}".lstrip("."), above)
    for inner in [*part.get("oneOf", []), *part.get("anyOf", []), *part.get("allOf", [])]:
        yield from _ids_in(inner, components, place, above)
    for name in ("items", "additionalProperties"):
        if isinstance(part.get(name), dict):
            yield from _ids_in(part[name], components, place, above)


def ids_in_queries() -> list[tuple[str, str]]:
    """Return the path and name of every query parameter that names a row."""
    return sorted(
        (path, parameter["name"])
        for method, path, operation in operations()
        for parameter in operation.get("parameters", [])
        if method == "GET" and parameter["in"] == "query" and parameter["schema"].get("format") == "uuid"
    )


def markers(body: Any, place: str = "") -> Iterator[tuple[str, Model]]:
    """Yield the property paths of a table's body where an id goes, with the kind of row."""
    if isinstance(body, type):
        yield place, body
    elif isinstance(body, Mapping):
        for name, inner in body.items():
            yield from markers(inner, f"{place}.{name}".lstrip("."))
    elif isinstance(body, list):
        for inner in body:
            yield from markers(inner, place)


def filled(body: Any, choose: Callable[[str, Model], Any], place: str = "") -> Any:
    """Return a table's body with an id for each marker, as `choose` says by its property path and kind."""
    if isinstance(body, type):
        return str(choose(place, body))
    if isinstance(body, Mapping):
        return {name: filled(inner, choose, f"{place}.{name}".lstrip(".")) for name, inner in body.items()}
    if isinstance(body, list):
        return [filled(inner, choose, place) for inner in body]
    return body
