"""A circuit per tenant: after several calls in a row without an answer the tenant is left alone for a growing while.

One customer's outage then costs one call a rest, not a worker's time for every call (docs/decisions/0015). The state is
in the broker's store; where that cannot be reached every circuit is closed.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from time import time
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from connectors.health import note_trouble, note_working
from connectors.protocol import ConnectorError, NotSent, OutcomeUnknown, Throttled

logger = logging.getLogger(__name__)

TROUBLES: Final = 4
"""So many calls in a row without an answer open the circuit."""

FIRST_REST_SECONDS: Final = 2.0
LONGEST_REST_SECONDS: Final = 120.0
MANY: Final = 1_000_000
_KEPT_SECONDS: Final = 3600
_NO_ANSWER: Final = frozenset({"NoConnection", "SignInUnavailable"})


@dataclass(frozen=True, slots=True)
class _Circuit:
    """`troubles` in a row so far; `rests` since the last answer, 0 while it is closed; times are epoch seconds."""

    troubles: int = 0
    rests: int = 0
    rests_until: float = 0.0


def is_trouble(error: ConnectorError | None) -> bool:
    """Tell whether a call ended without an answer: no connection, no sign-in, an error of the server, or silence."""
    return isinstance(error, OutcomeUnknown) or (isinstance(error, NotSent) and error.code in _NO_ANSWER)


def calls_allowed(tenant_id: UUID) -> int:
    """Return how many calls of this tenant may begin: MANY, none while it rests, and one trial after a rest."""
    try:
        circuit = _read(tenant_id)
        if circuit.rests == 0:
            return MANY
        if time() < circuit.rests_until:
            return 0
        return int(cache.add(_trial_key(tenant_id), 1, timeout=settings.ACTION_DEADLINE_SECONDS + 1))
    except (RedisError, OSError) as error:
        logger.warning("The circuit of tenant %s could not be read: %s", tenant_id, error)
        return MANY


def is_resting(tenant_id: UUID) -> bool:
    """Return whether the tenant is left alone just now: for reads that can wait and are no trial."""
    try:
        return time() < _read(tenant_id).rests_until
    except (RedisError, OSError) as error:
        logger.warning("The circuit of tenant %s could not be read: %s", tenant_id, error)
        return False


def note_calls(tenant_id: UUID, errors: Iterable[ConnectorError | None]) -> None:
    """Note how calls ended, in their order, None for one that was answered well; opens or closes the circuit.

    Any answer closes it, a no too; what was not sent for reasons of our own says nothing. Told in the connection's
    health. Opens its own scope.
    """
    try:
        before = _read(tenant_id)
        after = before
        last: ConnectorError | None = None
        for error in errors:
            after, last = (_after_trouble(after), error) if is_trouble(error) else (_after(after, error), last)
        if after == before:
            return
        cache.set(_key(tenant_id), (after.troubles, after.rests, after.rests_until), timeout=_KEPT_SECONDS)
        cache.delete(_trial_key(tenant_id))
    except (RedisError, OSError) as error:
        logger.warning("The circuit of tenant %s could not be written: %s", tenant_id, error)
        return
    if after.rests > before.rests:
        note_trouble(tenant_id, NotSent(_words(after, last), code="NoConnection"))
    elif before.rests and not after.rests:
        note_working(tenant_id)


def _words(circuit: _Circuit, last: ConnectorError | None) -> str:
    wait = circuit.rests_until - time()
    return f"Calls were not answered; nothing is asked for {wait:.0f} s, then one call tries again. The last: {last}"


def _after_trouble(circuit: _Circuit) -> _Circuit:
    now = time()
    troubles = circuit.troubles + 1
    is_to_rest = now >= circuit.rests_until and (circuit.rests > 0 or troubles >= TROUBLES)
    if not is_to_rest:
        return _Circuit(troubles, circuit.rests, circuit.rests_until)
    wait = min(FIRST_REST_SECONDS * 2**circuit.rests, LONGEST_REST_SECONDS)
    return _Circuit(troubles, circuit.rests + 1, now + wait)


def _after(circuit: _Circuit, error: ConnectorError | None) -> _Circuit:
    """Return the circuit after an answer: closed; or as it is, where nothing was asked."""
    is_answered = not isinstance(error, NotSent) or isinstance(error, Throttled)
    return _Circuit() if is_answered else circuit


def _read(tenant_id: UUID) -> _Circuit:
    return _Circuit(*(cache.get(_key(tenant_id)) or ()))


def _key(tenant_id: UUID) -> str:
    return f"circuit:{tenant_id}"


def _trial_key(tenant_id: UUID) -> str:
    return f"circuit:trial:{tenant_id}"
