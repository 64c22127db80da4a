"""The expressions of KQL that the simulator understands: columns, literals, comparisons, and, or, not.

Words and rules are those of Microsoft's "Kusto Query Language" pages. What is not understood is refused, never guessed.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.simulator.moments import TICKS_PER_SECOND, ticks_of

Row = Mapping[str, Any]


class InvalidQuery(ValueError):
    """A query Microsoft would refuse, with words like Microsoft's."""


class Moment(int):
    """A point in time in ticks, to be told from a number."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a query: what it is, how it was written and where it stands (from 0)."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Expression:
    """What can be worked out for a row. ``kind`` is string, number, datetime, bool or timespan."""

    kind: str
    of: Callable[[Row], Any]


_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<moment>datetime\(\s*[^)]*\))
    |(?P<string>@"(?:[^"]|"")*"|@'(?:[^']|'')*'|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<span>\d+(?:\.\d+)?[dhms]\b)
    |(?P<number>-?\d+(?:\.\d+)?\b)
    |(?P<name>\$(?:left|right)\.\w+|!?[A-Za-z_]\w*~?)
    |(?P<sign>==|=~|!=|!~|<=|>=|<>|\.\.|[|(),<>=*;])""",
    re.VERBOSE,
)
_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_KINDS: Final = {"String": "string", "DateTime": "datetime", "Int64": "number", "Int32": "number", "SByte": "bool"}
_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=~": lambda found, wanted: found.lower() == wanted.lower(),
    "has": lambda found, wanted: _has(found.lower(), wanted.lower()),
    "has_cs": lambda found, wanted: _has(found, wanted),
    "contains": lambda found, wanted: wanted.lower() in found.lower(),
    "contains_cs": lambda found, wanted: wanted in found,
    "startswith": lambda found, wanted: found.lower().startswith(wanted.lower()),
    "endswith": lambda found, wanted: found.lower().endswith(wanted.lower()),
}
_ANY_OF: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "in": operator.eq,
    "in~": lambda found, wanted: found.lower() == wanted.lower(),
    "has_any": _TEXT["has"],
}
_UNARY: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "isempty": ("bool", lambda value: value in (None, "")),
    "isnotempty": ("bool", lambda value: value not in (None, "")),
    "isnull": ("bool", lambda value: value is None),
    "isnotnull": ("bool", lambda value: value is not None),
    "tolower": ("string", lambda value: str(value).lower()),
    "toupper": ("string", lambda value: str(value).upper()),
}


def tokens_of(query: str) -> list[Token]:
    """The words of a query, ended by one of kind ``end``. Raises InvalidQuery for what is no word."""
    return [*_words(query), Token("end", "", len(query))]


def _words(query: str) -> Iterator[Token]:
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None:
            raise malformed(query, Token("", query[position : position + 1], position))
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), position)
        position = match.end()


def malformed(query: str, token: Token) -> InvalidQuery:
    """The refusal of a query that cannot be read at this word."""
    before = query[: token.at]
    line, column = before.count("\n") + 1, token.at - (before.rfind("\n") + 1)
    said = token.text or "end of query"
    return InvalidQuery(
        f"Query could not be parsed at '{said}' on line [{line},{column}]. Token: '{said}'. "
        "Fix syntax errors in your query."
    )


def meaningless(text: str) -> InvalidQuery:
    """The refusal of a query that can be read and makes no sense."""
    return InvalidQuery(f"{text}. Fix semantic errors in your query.")


class Words:
    """The words of a query, taken one after the other, and the expressions among them."""

    def __init__(self, query: str, now: int) -> None:
        self._query = query
        self._now = now
        self._tokens = tokens_of(query)
        self._place = 0

    @property
    def next(self) -> Token:
        """The word that comes next."""
        return self._tokens[self._place]

    def take(self) -> Token:
        """The next word, which is then done with."""
        token = self.next
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def takes(self, *texts: str) -> bool:
        """Take the next word if it is one of these."""
        is_one = self.next.text in texts and self.next.kind in ("name", "sign")
        if is_one:
            self.take()
        return is_one

    def demand(self, text: str) -> None:
        """Take the next word, which must be this one. Raises InvalidQuery."""
        if not self.takes(text):
            raise self.wrong()

    def name(self) -> str:
        """Take a name. Raises InvalidQuery."""
        if self.next.kind != "name" or not self.next.text[0].isalpha() and self.next.text[0] not in "_$":
            raise self.wrong()
        return self.take().text

    def demand_pause(self) -> None:
        """Refuse the query unless an operator can end here. Raises InvalidQuery."""
        if self.next.kind != "end" and self.next.text not in ("|", ")", ";"):
            raise self.wrong()

    def wrong(self) -> InvalidQuery:
        """The refusal of the query at the next word."""
        return malformed(self._query, self.next)

    def expression(self, columns: Mapping[str, str]) -> Expression:
        """Take an expression over these columns (name to Microsoft's type). Raises InvalidQuery."""
        return self._joined("or", any, columns)

    def _joined(self, word: str, fold: Callable[[Iterator[bool]], bool], columns: Mapping[str, str]) -> Expression:
        parts = [self._part(word, columns)]
        while self.takes(word):
            parts.append(self._part(word, columns))
        if len(parts) == 1:
            return parts[0]
        if any(part.kind != "bool" for part in parts):
            raise meaningless(f"Operator '{word}' wants operands of type bool")
        return Expression("bool", lambda row: fold(bool(part.of(row)) for part in parts))

    def _part(self, word: str, columns: Mapping[str, str]) -> Expression:
        return self._joined("and", all, columns) if word == "or" else self._comparison(columns)

    def _comparison(self, columns: Mapping[str, str]) -> Expression:
        left = self._operand(columns)
        sign = self.next.text
        plain = "=~" if sign == "!~" else sign.removeprefix("!")
        if sign in _ORDER:
            compared = self._compared(left, columns)
        elif plain in _TEXT:
            compared = self._text_compared(left, plain, columns)
        elif plain in _ANY_OF:
            compared = self._one_of(left, plain, columns)
        elif plain == "between":
            compared = self._between(left, columns)
        else:
            return left
        if sign not in _ORDER and sign.startswith("!"):
            return Expression("bool", lambda row: not compared.of(row))
        return compared

    def _compared(self, left: Expression, columns: Mapping[str, str]) -> Expression:
        compare = _ORDER[self.take().text]
        right = self._operand(columns)
        _demand_alike(left, right)
        return _both(left, right, compare)

    def _text_compared(self, left: Expression, sign: str, columns: Mapping[str, str]) -> Expression:
        self.take()
        right = self._operand(columns)
        _demand_text(sign, left, right)
        return _both(left, right, _TEXT[sign])

    def _one_of(self, left: Expression, sign: str, columns: Mapping[str, str]) -> Expression:
        self.take()
        self.demand("(")
        choices = [self._operand(columns)]
        while self.takes(","):
            choices.append(self._operand(columns))
        self.demand(")")
        if sign != "in":
            _demand_text(sign, left, *choices)
        for choice in choices:
            _demand_alike(left, choice)
        either = [_both(left, choice, _ANY_OF[sign]) for choice in choices]
        return Expression("bool", lambda row: any(each.of(row) for each in either))

    def _between(self, left: Expression, columns: Mapping[str, str]) -> Expression:
        self.take()
        self.demand("(")
        low = self._operand(columns)
        self.demand("..")
        high = self._operand(columns)
        self.demand(")")
        _demand_alike(left, low)
        _demand_alike(left, high)
        above, below = _both(left, low, operator.ge), _both(left, high, operator.le)
        return Expression("bool", lambda row: above.of(row) and below.of(row))

    def _operand(self, columns: Mapping[str, str]) -> Expression:
        if self.takes("("):
            inner = self.expression(columns)
            self.demand(")")
            return inner
        if self.next.kind not in ("string", "number", "span", "moment", "name"):
            raise self.wrong()
        token = self.take()
        if token.kind != "name":
            return self._literal(token)
        if token.text in ("true", "false"):
            return _constant("bool", token.text == "true")
        return self._called(token, columns) if self.next.text == "(" else _column(token.text, columns)

    def _literal(self, token: Token) -> Expression:
        if token.kind == "string":
            return _constant("string", _unquoted(token.text))
        if token.kind == "number":
            return _constant("number", float(token.text) if "." in token.text else int(token.text))
        if token.kind == "span":
            return _constant("timespan", round(float(token.text[:-1]) * _SECONDS[token.text[-1]] * TICKS_PER_SECOND))
        try:
            return _constant("datetime", Moment(ticks_of(token.text[9:-1].strip(" \"'"))))
        except ValueError as error:
            raise malformed(self._query, token) from error

    def _called(self, token: Token, columns: Mapping[str, str]) -> Expression:
        self.demand("(")
        if token.text == "now":
            self.demand(")")
            return _constant("datetime", Moment(self._now))
        inner = self.expression(columns)
        self.demand(")")
        if token.text == "ago" and inner.kind == "timespan":
            return _constant("datetime", Moment(self._now - int(inner.of({}))))
        if token.text == "not" and inner.kind == "bool":
            return Expression("bool", lambda row: not inner.of(row))
        if token.text not in _UNARY:
            raise meaningless(f"Unknown function: '{token.text}'")
        kind, work = _UNARY[token.text]
        return Expression(kind, lambda row: work(inner.of(row)))


def _has(found: str, wanted: str) -> bool:
    """Whether a whole term (letters and digits up to anything else) is in the text."""
    return re.search(rf"(?<![^\W_]){re.escape(wanted)}(?![^\W_])", found) is not None


def _constant(kind: str, value: Any) -> Expression:
    return Expression(kind, lambda _row: value)


def _column(name: str, columns: Mapping[str, str]) -> Expression:
    if name not in columns:
        raise meaningless(f"Failed to resolve column or scalar expression named '{name}'")
    return Expression(_KINDS[columns[name]], lambda row: row[name])


def _both(left: Expression, right: Expression, compare: Callable[[Any, Any], bool]) -> Expression:
    def compared(row: Row) -> bool:
        found, wanted = left.of(row), right.of(row)
        return found is not None and wanted is not None and bool(compare(found, wanted))

    return Expression("bool", compared)


def _demand_alike(left: Expression, right: Expression) -> None:
    if left.kind != right.kind:
        text = f"Cannot compare values of types {left.kind} and {right.kind}. Try adding explicit casts"
        raise meaningless(text)


def _demand_text(sign: str, *operands: Expression) -> None:
    if any(operand.kind != "string" for operand in operands):
        raise meaningless(f"Operator '{sign}' wants operands of type string")


def _unquoted(text: str) -> str:
    if text.startswith("@"):
        mark = text[1]
        return text[2:-1].replace(mark * 2, mark)
    plain = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", lambda match: _escaped(match[1]), text[1:-1])
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _escaped(written: str) -> str:
    return chr(int(written[1:], 16)) if len(written) == 5 else _ESCAPES.get(written, written)


def columns_in(names: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """These columns with their types. Raises InvalidQuery for one that is not there."""
    for name in names:
        _column(name, columns)
    return {name: columns[name] for name in names}
