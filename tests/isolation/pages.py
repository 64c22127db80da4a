"""Reading the fields of a page's forms, as a browser would send them back."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from uuid import UUID

from tests.isolation.world import Model, Side


@dataclass(slots=True)
class Field:
    """A field of a form: the value it would send, and what it offers to choose from."""

    value: str = ""
    offered: list[str] = field(default_factory=list)


class FormReader(HTMLParser):
    """Collects the fields of all forms on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, Field] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note inputs, selects and their options."""
        given = {name: value or "" for name, value in attrs}
        if tag == "select":
            self._select = given.get("name", "")
            self.fields[self._select] = Field()
        elif tag == "option" and self._select:
            self._offer(given)
        elif tag in ("input", "textarea") and "name" in given and given.get("type") not in ("submit", "checkbox"):
            self.fields[given["name"]] = Field(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave a select."""
        self._select = "" if tag == "select" else self._select

    def _offer(self, given: dict[str, str]) -> None:
        chosen = self.fields[self._select]
        chosen.offered.append(given.get("value", ""))
        if "selected" in given or not chosen.value:
            chosen.value = given.get("value", "")


def fields_of(page: str) -> dict[str, Field]:
    """Return the fields of a page's forms by name."""
    reader = FormReader()
    reader.feed(page)
    return reader.fields


def kinds_named_by(found: Field, side: Side) -> list[Model]:
    """Return which kinds of row a field names: those of one side's rows among its value and what it offers."""
    words = {found.value, *found.offered}
    return [kind for kind, rows in side.rows.items() if any(_is_named(row, words) for row in rows)]


def _is_named(row: UUID, words: set[str]) -> bool:
    return str(row) in words
