"""Reads Microsoft's rows of vulnerability management into typed values, or refuses them with place and reason."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from investigations.fields import Fields, RefusedRecord
from investigations.reading import Unreadable, records_of

_MOST: Final = 2**31 - 1
_MACHINE: Final = re.compile("[0-9a-f]{40}")
_CVE: Final = re.compile(r"CVE-\d{4}-\d{4,19}")

Row = Mapping[str, Any]
Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True)
class RecommendationPayload:
    """One row of `/api/recommendations` (facts 6.8) under our names; texts are "" where Microsoft sends nothing."""

    recommendation_id: str
    name: str
    product_name: str
    vendor: str
    related_component: str
    recommended_version: str
    recommended_vendor: str
    recommended_program: str
    category: str
    sub_category: str
    remediation_type: str
    status_at_source: str
    weaknesses: int
    severity_score: float
    exposure_impact: float
    config_score_impact: float
    has_public_exploit: bool
    has_active_alert: bool
    associated_threats: list[str]
    tags: list[str]
    total_count: int
    exposed_count: int
    exposed_critical_count: int
    no_user_impact_count: int
    raw: Row


def read_recommendations(rows: Iterable[Row]) -> tuple[list[RecommendationPayload], list[str]]:
    """Return what can be used, of the same id twice the last, and a sentence for each row that was refused."""
    usable, refused = read_each(rows, _read_recommendation, what="recommendation")
    return list({payload.recommendation_id: payload for payload in usable}.values()), refused


def read_each(
    rows: Iterable[Row], read: Callable[[dict[str, Any]], Payload], *, what: str
) -> tuple[list[Payload], list[str]]:
    """Return what `read` made of each row, and a sentence with place and reason for each that it refused."""
    usable: list[Payload] = []
    refused: list[str] = []
    for index, found in enumerate(found for row in rows for found in records_of([row])):
        try:
            if isinstance(found, Unreadable):
                raise RefusedRecord(found.position, found.reason)
            usable.append(read(found.data))
        except RefusedRecord as refusal:
            refused.append(f"{what} {index}: {refusal.reason}")
    return usable, refused


def _read_recommendation(row: dict[str, Any]) -> RecommendationPayload:
    fields = Fields(row)
    recommendation_id = fields.required_text("id", limit=500)
    return RecommendationPayload(
        recommendation_id=recommendation_id,
        name=fields.text("recommendationName") or recommendation_id,
        product_name=fields.text("productName"),
        vendor=fields.text("vendor"),
        related_component=fields.text("relatedComponent"),
        recommended_version=fields.text("recommendedVersion"),
        recommended_vendor=fields.text("recommendedVendor"),
        recommended_program=fields.text("recommendedProgram"),
        category=fields.text("recommendationCategory", limit=100),
        sub_category=fields.text("subCategory"),
        remediation_type=fields.text("remediationType", limit=100),
        status_at_source=fields.text("status", limit=100),
        weaknesses=_count(fields, row, "weaknesses"),
        severity_score=_score(fields, row, "severityScore"),
        exposure_impact=_score(fields, row, "exposureImpact"),
        config_score_impact=_score(fields, row, "configScoreImpact"),
        has_public_exploit=_flag(fields, row, "publicExploit"),
        has_active_alert=_flag(fields, row, "activeAlert"),
        associated_threats=list(fields.texts("associatedThreats")),
        tags=list(fields.texts("tags")),
        total_count=_count(fields, row, "totalMachineCount"),
        exposed_count=_count(fields, row, "exposedMachinesCount"),
        exposed_critical_count=_count(fields, row, "exposedCriticalDevices"),
        no_user_impact_count=_count(fields, row, "nonProductivityImpactedAssets"),
        raw=row,
    )


def read_references(rows: Iterable[Row]) -> tuple[dict[str, Row], list[str]]:
    """Return references to machines by the machine's id in lower case, and a sentence for each that was refused."""
    usable: dict[str, Row] = {}
    refused: list[str] = []
    for index, row in enumerate(rows):
        machine_id = row.get("id")
        machine_id = machine_id.lower() if isinstance(machine_id, str) else ""
        if _MACHINE.fullmatch(machine_id):
            usable[machine_id] = row
        else:
            refused.append(f"device {index}: id is not 40 hexadecimal digits")
    return usable, refused


def read_cve_ids(rows: Iterable[Row]) -> tuple[list[str], list[str]]:
    """Return CVE ids in upper case and in order, and a sentence for each row that was refused.

    What Microsoft tracks without a CVE (`TVM-…`) is no CVE, and passed over.
    """
    usable: set[str] = set()
    refused: list[str] = []
    for index, row in enumerate(rows):
        name = row.get("id")
        if not isinstance(name, str):
            refused.append(f"vulnerability {index}: id is not text")
        elif is_cve(name.upper()):
            usable.add(name.upper())
    return sorted(usable), refused


def is_cve(text: str) -> bool:
    """Tell whether this is a CVE id (the CVE Program's syntax: a year, and four digits or more)."""
    return _CVE.fullmatch(text) is not None


def _count(fields: Fields, row: Row, name: str) -> int:
    """Return a number of things, 0 where there is none. Raises RefusedRecord."""
    value = _score(fields, row, name)
    if value < 0 or value > _MOST or value != int(value):
        raise fields.refusal(name, "is not a number of things")
    return int(value)


def _score(fields: Fields, row: Row, name: str) -> float:
    value = row.get(name)
    if value is None:
        return 0
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise fields.refusal(name, "is not a number")
    return value


def _flag(fields: Fields, row: Row, name: str) -> bool:
    value = row.get(name)
    if not isinstance(value, bool | None):
        raise fields.refusal(name, "is neither true nor false")
    return bool(value)
