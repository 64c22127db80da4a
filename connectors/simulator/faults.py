"""Faults that can be switched on: what goes wrong, for whom, where, and how often."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

from connectors.simulator.moments import now_ticks

KINDS = frozenset(
    {
        "throttle",
        "server_error",
        "stall",
        "reset_after_accepting",
        "hide",
        "answer_late",
        "answer_twice",
        "expire_tokens",
        "truncate",
        "html",
        "error_in_success",
        "about_another",
        "drip",
    }
)
NEED_SECONDS = frozenset({"stall", "answer_late", "hide", "drip"})
ANY_METHOD = frozenset({"expire_tokens", "truncate", "html", "error_in_success", "about_another", "drip"})


class InvalidFault(ValueError):
    """A fault that cannot be understood; the text says which part."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A request as faults see it. ``issued`` is when its bearer was made, in ticks; 0 at the login."""

    tenant_id: str
    method: str
    path: str
    issued: int = 0


@dataclass(slots=True)
class Fault:
    """One switched-on fault. ``count`` is how many requests it still strikes, None for all until it is deleted.

    ``share`` is how large a part of the requests it is meant for it strikes, drawn one by one; 1 for every one.
    """

    id: str
    kind: str
    tenant: str | None
    path: str | None
    method: str | None
    count: int | None
    seconds: float
    retry_after: str | None
    made: int
    share: float = 1.0
    struck: int = 0

    def strikes(self, occasion: Occasion) -> bool:
        """Whether the request is one it is meant for. Login requests are struck only by a fault whose path says so."""
        if self.count == 0 or (self.kind == "expire_tokens" and occasion.issued > self.made):
            return False
        if self.tenant is not None and self.tenant.lower() != occasion.tenant_id.lower():
            return False
        if self.method is not None and self.method.upper() != occasion.method:
            return False
        if self.path is None:
            return "/oauth2/" not in occasion.path.lower()
        return self.path.lower() in occasion.path.lower()

    def retry_after_header(self) -> dict[str, str]:
        """The ``Retry-After`` to send; the word ``date`` stands for an HTTP date ``seconds`` from now."""
        if self.retry_after is None:
            return {}
        if self.retry_after == "date":
            moment = datetime.now(UTC) + timedelta(seconds=self.seconds)
            return {"Retry-After": format_datetime(moment, usegmt=True)}
        return {"Retry-After": self.retry_after}

    def as_json(self) -> dict[str, Any]:
        """The fault as the admin endpoint shows it; ``struck`` counts the requests it has hit."""
        return {
            "id": self.id,
            "kind": self.kind,
            "tenant": self.tenant,
            "path": self.path,
            "method": self.method,
            "count": self.count,
            "seconds": self.seconds,
            "retry_after": self.retry_after,
            "share": self.share,
            "struck": self.struck,
        }


class Faults:
    """The faults that are on, oldest first."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._numbers = count(1)

    def add(self, wish: object) -> Fault:
        """Switch one on. Raises InvalidFault."""
        fault = _read(wish, f"fault-{next(self._numbers)}")
        self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        """Every fault that was not deleted, used up or not."""
        return list(self._faults.values())

    def remove(self, fault_id: str | None = None) -> int:
        """Switch one off, or all; says how many that were."""
        before = len(self._faults)
        if fault_id is None:
            self._faults.clear()
        else:
            self._faults.pop(fault_id, None)
        return before - len(self._faults)

    def take(self, kind: str, occasion: Occasion) -> Fault | None:
        """The oldest fault of this kind that strikes the request, with one strike used up; None when there is none."""
        for fault in self._faults.values():
            if fault.kind == kind and fault.strikes(occasion) and random.random() < fault.share:
                fault.struck += 1
                if fault.count is not None:
                    fault.count -= 1
                return fault
        return None


def _read(wish: object, fault_id: str) -> Fault:
    if not isinstance(wish, dict):
        raise InvalidFault("a fault is a JSON object")
    known = {"tenant", "path", "method", "kind", "count", "seconds", "retry_after", "share"}
    if unknown := wish.keys() - known:
        raise InvalidFault(f"unknown: {', '.join(sorted(unknown))}")
    kind = wish.get("kind")
    if kind not in KINDS:
        raise InvalidFault(f"kind {kind!r} is not one of {', '.join(sorted(KINDS))}")
    return Fault(
        id=fault_id,
        kind=kind,
        tenant=_text(wish, "tenant"),
        path=_text(wish, "path"),
        method=_text(wish, "method") if "method" in wish or kind in ANY_METHOD else "POST",
        count=_count(wish),
        seconds=_seconds(wish, kind),
        retry_after=_text(wish, "retry_after"),
        made=now_ticks(),
        share=_share(wish),
    )


def _text(wish: dict[str, Any], name: str) -> str | None:
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidFault(f"{name} must be a string or null")
    return value


def _count(wish: dict[str, Any]) -> int | None:
    value = wish.get("count")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidFault("count must be a whole number of at least 1, or null")
    return value


def _share(wish: dict[str, Any]) -> float:
    value = wish.get("share", 1)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise InvalidFault("share must be a number above 0 and at most 1")
    return float(value)


def _seconds(wish: dict[str, Any], kind: str) -> float:
    value = wish.get("seconds", 0)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise InvalidFault("seconds must be a number of at least 0")
    if kind in NEED_SECONDS and value == 0:
        raise InvalidFault(f"{kind} needs seconds")
    return float(value)
