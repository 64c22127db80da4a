"""How often a customer's APIs may be called, counted in the broker's store by all workers together.

Windows that move, not buckets: a bucket of n, full at first, lets nearly 2 n through in its first minute, and Microsoft
counts calls in a minute and in an hour (docs/decisions/0014). The store may forget: then Microsoft counts for us, and
says 429. A store that cannot be reached holds nothing up, for the same reason.
"""

import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from time import time
from typing import Any, Final, cast

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.exceptions import NoScriptError, RedisError

from connectors.protocol import NotSent, Quota

logger = logging.getLogger(__name__)

SOCKET_SECONDS: Final = 2
LONGEST_REST_SECONDS: Final = 3600.0


def room(tenant: str, quota: Quota) -> int:
    """Return how many calls this tenant's API takes right now; `tenant` is its id at Microsoft."""
    try:
        if _resting(tenant, quota) > 0:
            return 0
        counter = _counter()
        return min(counter.get_window_stats(window, tenant, quota.name).remaining for window in _windows(quota))
    except (RedisError, OSError) as error:
        logger.warning("Calls of tenant %s could not be counted: %s", tenant, error)
        return quota.per_minute


def spend(tenant: str, quota: Quota) -> None:
    """Count one call that is about to be made. Raises NotSent (QuotaSpent) when it would be one too many."""
    try:
        windows = _windows(quota)
        until, *taken = _ask_at_once(tenant, quota, windows)
        if until and float(until) > time():
            raise _spent(tenant, quota, float(until) - time())
        for window, is_taken in zip(windows, taken, strict=True):
            if not is_taken:
                reset_at = _counter().get_window_stats(window, tenant, quota.name).reset_time
                raise _spent(tenant, quota, max(reset_at - time(), 0.1))
    except (RedisError, OSError) as error:
        logger.warning("A call of tenant %s could not be counted: %s", tenant, error)


def _ask_at_once(tenant: str, quota: Quota, windows: Sequence[RateLimitItem]) -> list[Any]:
    """Return until when the API rests, and for each window whether it took the call, in one round trip.

    The library asks for one window at a time, which is nearly as much work as the call itself.
    """
    storage = _storage()
    script = storage.lua_acquire_moving_window
    with storage.storage.pipeline(transaction=False) as pipeline:
        pipeline.get(_key(tenant, quota))
        for window in windows:
            key = storage.prefixed_key(window.key_for(tenant, quota.name))
            pipeline.evalsha(script.sha, 1, key, time(), window.amount, window.get_expiry(), 1)
        try:
            return list(pipeline.execute())
        except NoScriptError:
            storage.storage.script_load(script.script)
    return _ask_at_once(tenant, quota, windows)


def rest(tenant: str, quota: Quota, seconds: float) -> None:
    """Let this tenant's API rest for so long: it has said 429, whatever we counted."""
    wait = min(max(seconds, 0.1), LONGEST_REST_SECONDS)
    try:
        _storage().storage.set(_key(tenant, quota), time() + wait, px=int(wait * 1000) + 1000)
    except (RedisError, OSError) as error:
        logger.warning("The rest of tenant %s could not be noted: %s", tenant, error)


def _resting(tenant: str, quota: Quota) -> float:
    """Return how many seconds this API has still to rest, 0 or less when it need not."""
    until = _storage().storage.get(_key(tenant, quota))
    return float(until) - time() if until else 0.0


def _key(tenant: str, quota: Quota) -> str:
    return f"rest:{tenant}:{quota.name}".replace(" ", ":")


def _windows(quota: Quota) -> tuple[RateLimitItem, ...]:
    """Return the windows that Quell may fill: its share of each, and one call at least."""
    minute = RateLimitItemPerMinute(_share(quota.per_minute), namespace="quota")
    if quota.per_hour is None:
        return (minute,)
    return (minute, RateLimitItemPerHour(_share(quota.per_hour), namespace="quota"))


def _share(calls: int) -> int:
    return max(1, calls * settings.MICROSOFT_QUOTA_PERCENT // 100)


def _spent(tenant: str, quota: Quota, wait: float) -> NotSent:
    return NotSent(
        f"{quota.name} of tenant {tenant} has been called as often as Microsoft allows; it goes on in {wait:.0f} s.",
        code="QuotaSpent",
        retry_after=wait,
    )


def _storage() -> RedisStorage:
    """Return what the counter keeps its times in, with a client of its own: Django's cache makes one for every call."""
    return cast(RedisStorage, _counter().storage)


def _counter() -> MovingWindowRateLimiter:
    return _counter_of(settings.BROKER_URL, os.getpid())


@lru_cache(maxsize=2)
def _counter_of(url: str, process_id: int) -> MovingWindowRateLimiter:
    # The process id is part of the key: a forked worker must not write on its parent's sockets.
    address = url.replace("unix://", "redis+unix://", 1) if url.startswith("unix://") else url
    return MovingWindowRateLimiter(
        RedisStorage(address, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS)
    )
