"""SecretText: a secret in memory that shows itself only when asked by name. Knows nothing of the portal."""

from typing import Final, NoReturn

REDACTED: Final = "[redacted]"


class SecretText:
    """A secret. Printed, formatted, logged or shown in a traceback it reads "[redacted]"; JSON and pickle refuse it.

    Two are equal when their texts are; hashable, so that settings that hold one can be a cache's key.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself: for the one call that needs it, never for a variable that lives on."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return REDACTED

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not pickled or copied; pass on what it belongs to by id.")
