"""Canaries: strings that only the other tenant's rows hold, one for each column: a leak tells where it began."""

import re
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

LOOKS_LIKE = re.compile(r"kanarie\d{5}", re.IGNORECASE)

KEPT = {
    "action_type": "a word of the catalogue",
    "conflict_group": "a word of the catalogue",
    "connector": "a word of the catalogue",
    "cve_id": "a public id, and tied to the kind of its row",
    "fingerprint": "a digest",
    "kind": "a word of a table in code",
    "parameters_sha256": "a digest that the claim compares",
    "part_counts": "numbers by table",
}
"""Text columns whose values code looks up or computes with; a canary there would break what is to be looked at."""


class Canaries:
    """Hands them out and remembers where each one sits."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def mint(self, place: str) -> str:
        """Return a fresh canary (12 characters) for a place such as `investigations_device.name`."""
        canary = f"kanarie{len(self.places) + 1:05d}"
        self.places[canary] = place
        return canary

    def found_in(self, text: str) -> dict[str, str]:
        """Return the canaries that sing in a text, each with its place."""
        seen = {found.lower() for found in LOOKS_LIKE.findall(text)}
        return {canary: self.places.get(canary, "?") for canary in sorted(seen)}

    def plant(self, row: models.Model) -> dict[str, Any]:
        """Return new values for every text column of a row, each a canary in the column's own shape."""
        table = row._meta.db_table
        return {
            field.name: self._shaped(field, getattr(row, field.name), self.mint(f"{table}.{field.column}"))
            for field in row._meta.local_concrete_fields
            if holds_text(field)
        }

    def _shaped(self, field: models.Field, value: Any, canary: str) -> Any:
        if isinstance(field, models.URLField):
            return f"https://{canary}.example"
        if isinstance(field, models.EmailField):
            return f"{canary}@globex.example"
        if isinstance(field, ArrayField):
            return [canary]
        if isinstance(field, models.JSONField):
            if isinstance(value, list) and value:
                return _sung(value, canary)
            return {**value, "note": canary} if isinstance(value, dict) else {"note": canary}
        return canary


def _sung(value: Any, canary: str) -> Any:
    """Return a list as it is, with the canary for every text in it."""
    if isinstance(value, list):
        return [_sung(inner, canary) for inner in value]
    if isinstance(value, dict):
        return {name: _sung(inner, canary) for name, inner in value.items()}
    return canary if isinstance(value, str) else value


def holds_text(field: models.Field) -> bool:
    """Return whether a column holds free text that a canary can stand in for."""
    inner = field.base_field if isinstance(field, ArrayField) else field
    is_text = isinstance(inner, models.CharField | models.TextField | models.JSONField)
    return is_text and not field.choices and field.name not in KEPT
