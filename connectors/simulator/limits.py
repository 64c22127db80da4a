"""How often an API may be called in a tenant (facts/defender.md 6.2, 6.4): a short window and one of an hour."""

from collections import deque
from dataclasses import dataclass
from math import ceil

from connectors.simulator.exchange import Refusal
from connectors.simulator.moments import TICKS_PER_SECOND
from connectors.simulator.store import Tenant

MINUTE = 60
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Quota:
    """One API's limits: so many in a window (a minute, unless it says otherwise) and in an hour.

    An everyday one binds only tenants that were seeded with ``enforce_quotas``.
    """

    name: str
    a_window: int = 100
    an_hour: int | None = 1500
    is_everyday: bool = True
    window: int = MINUTE


LIVE_RESPONSE = Quota("runliveresponse", 10, None, is_everyday=False)
PACKAGE_LINK = Quota("getpackageuri", 2, 120, is_everyday=False)
INDICATOR_IMPORT = Quota("indicators/import", 30, None)
ALERT_BATCH = Quota("alerts/batchupdate", 10, 500)
HUNTING = Quota("hunting", 45, 1500)
# facts/graph.md 1.4 and 2.2, per application and tenant.
INTUNE_TASKS = Quota("deviceappmanagementtasks", 1000, None, window=20)
INTUNE_TASK_WRITES = Quota("deviceappmanagementtasks, written", 100, None, window=20)
INTUNE_DEVICES = Quota("manageddevices", 2000, None, window=20)


def charge(tenant: Tenant, quota: Quota, now: int) -> None:
    """Count one call. Raises Refusal (429) with whole seconds to wait when it is one too many."""
    if quota.is_everyday and not tenant.enforce_quotas:
        return
    calls = tenant.calls.setdefault(quota.name, deque())
    while calls and calls[0] <= now - HOUR * TICKS_PER_SECOND:
        calls.popleft()
    waits = [_wait(calls, _share(tenant, quota.a_window), quota.window, now)]
    if quota.an_hour is not None:
        waits.append(_wait(calls, _share(tenant, quota.an_hour), HOUR, now))
    if max(waits) > 0:
        raise Refusal(429, "TooManyRequests", "API calls quota exceeded!", {"Retry-After": str(ceil(max(waits)))})
    calls.append(now)


def _share(tenant: Tenant, most: int) -> int:
    return max(1, most * tenant.quota_percent // 100)


def _wait(calls: deque[int], most: int, seconds: int, now: int) -> float:
    """Seconds until one more call fits into the window, 0 when it does already."""
    if len(calls) < most:
        return 0
    return max(0.0, seconds - (now - calls[-most]) / TICKS_PER_SECOND)
