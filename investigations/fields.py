"""Takes typed values out of one JSON object of Microsoft's, or refuses it with the field's name."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

_WORD_LENGTH: Final = 100
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?\d*(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


class RefusedRecord(Exception):
    """A record, or a piece of one, that cannot be used: its place within the record, and why."""

    def __init__(self, position: str, reason: str) -> None:
        super().__init__(f"{position}: {reason}")
        self.position = position
        self.reason = reason


def decapitalised(word: str) -> str:
    """Return Microsoft's PascalCase spelling of an enum word as the camelCase one; others unchanged."""
    return word[:1].lower() + word[1:]


class Fields:
    """The fields of one JSON object. Null and absent are the same: "", () or None.

    Every method raises RefusedRecord for a value of another type. The refusal stands at `position`, or
    at the field itself where the object is the record as a whole ("").
    """

    def __init__(self, values: Mapping[str, Any], position: str = "", prefix: str = "") -> None:
        self._values = values
        self._position = position
        self._prefix = prefix

    def text(self, name: str, *, limit: int | None = None) -> str:
        """Return the text without white space around it; `limit` is the most characters allowed."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.refusal(name, "is not text")
        if limit is not None and len(value) > limit:
            raise self.refusal(name, f"is longer than {limit} characters")
        return value.strip()

    def required_text(self, name: str, *, limit: int | None = None) -> str:
        """Return the text, which must not be blank."""
        return self.text(name, limit=limit) or self._missing(name)

    def word(self, name: str) -> str:
        """Return an enum's word in camelCase; samples write some of them in PascalCase."""
        return decapitalised(self.text(name, limit=_WORD_LENGTH))

    def any_text(self, *names: str) -> str:
        """Return the first of these fields that holds text, whatever the others hold: for labels only."""
        texts = (value.strip() for value in map(self._values.get, names) if isinstance(value, str))
        return next(filter(None, texts), "")

    def number(self, name: str) -> str:
        """Return a whole number as text."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refusal(name, "is not a whole number")
        return str(value)

    def hex(self, name: str, *, digits: int) -> str:
        """Return a hexadecimal id or hash in lower case, which must have exactly so many digits."""
        value = self.text(name).lower()
        if value and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
            raise self.refusal(name, f"is not {digits} hexadecimal digits")
        return value

    def required_hex(self, name: str, *, digits: int) -> str:
        """Return a hexadecimal id, which must not be blank."""
        return self.hex(name, digits=digits) or self._missing(name)

    def moment(self, name: str) -> datetime | None:
        """Return a time in UTC. Microsoft's seven-digit fractions are cut to microseconds."""
        text = self.text(name)
        if not text:
            return None
        match = _MOMENT.fullmatch(text)
        if match is None:
            raise self.refusal(name, "is not a date and time with a time zone")
        try:
            return datetime.fromisoformat("".join(part or "" for part in match.groups()).upper()).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.refusal(name, "is not a date and time that exists") from error

    def any_moment(self, name: str) -> datetime | None:
        """Return a time in UTC, None for whatever is none: for what is only shown."""
        try:
            return self.moment(name)
        except RefusedRecord:
            return None

    def required_moment(self, name: str) -> datetime:
        """Return a time in UTC, which must be there."""
        moment = self.moment(name)
        if moment is None:
            self._missing(name)
        return moment

    def items(self, name: str) -> list[Any]:
        """Return a list of anything."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.refusal(name, "is not a list")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts without the blank ones."""
        items = self.items(name)
        if not all(isinstance(item, str) for item in items):
            raise self.refusal(name, "is not a list of texts")
        return tuple(item.strip() for item in items if item.strip())

    def part(self, name: str) -> "Fields":
        """Return the fields of an object inside this one."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise self.refusal(name, "is not an object")
        return Fields(value or {}, self._position, f"{self._prefix}{name}.")

    def refusal(self, name: str, problem: str) -> RefusedRecord:
        """Return the refusal for a field with a problem, to be raised."""
        return RefusedRecord(self._position or name, f"{self._prefix}{name} {problem}")

    def _missing(self, name: str) -> NoReturn:
        raise self.refusal(name, "is missing")
