"""What is done while the broker is away: one process sends and looks up by itself, one tenant after another.

The rows are the queue, so nothing is done twice however many do it. Turns, quotas and circuits live in the broker's
store and are as if not there meanwhile.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from redis import Redis
from redis.exceptions import RedisError

from connectors.circuit import calls_allowed
from remediation.actions import draining
from remediation.actions.execution import tidy
from remediation.actions.settling import settle_batch

logger = logging.getLogger(__name__)

PING_SECONDS: Final = 1.0


def due_work() -> list[tuple[UUID, str]]:
    """Return which tenants have something due, and in which lane; what tidies comes first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, lane FROM tenants_with_due_work() ORDER BY lane DESC, tenant_id")
        return list(cursor.fetchall())


def stand_in(stop: Event) -> None:
    """Every SWEEP_SECONDS, or at once while more can go, do what is due; return when told to stop."""
    while not stop.is_set():
        if not serve_due(stop):
            stop.wait(settings.SWEEP_SECONDS)


def serve_due(stop: Event) -> bool:
    """Do what is due unless the broker answers, each tenant in its turn; return whether more may be waiting.

    What goes wrong for one tenant is logged, and the others go on.
    """
    if broker_answers():
        return False
    close_old_connections()
    try:
        due = due_work()
    except DatabaseError as error:
        logger.warning("The database does not say what is due; the next round asks again: %s", error)
        return False
    is_more = False
    with ThreadPoolExecutor(1) as lane_thread:  # a thread hands over whatever was raised in it
        for tenant_id, lane in due:
            if lane not in _LANES or stop.is_set():
                continue
            served = lane_thread.submit(_serve, lane, tenant_id)
            if trouble := served.exception():
                logger.error("%s of tenant %s failed", lane, tenant_id, exc_info=trouble)
            else:
                is_more |= served.result()
    return is_more


def broker_answers() -> bool:
    """Return whether the broker answers within a second."""
    try:
        with Redis.from_url(
            settings.BROKER_URL, socket_timeout=PING_SECONDS, socket_connect_timeout=PING_SECONDS
        ) as broker:
            return bool(broker.ping())
    except (RedisError, OSError):
        return False


def _serve(lane: str, tenant_id: UUID) -> bool:
    try:
        return _LANES[lane](tenant_id)
    finally:
        connection.close()


def _tidy(tenant_id: UUID) -> bool:
    tidy(tenant_id)
    return False


def _settle(tenant_id: UUID) -> bool:
    connector = draining.way_out_of(tenant_id).connector
    if connector is not None and calls_allowed(tenant_id):
        settle_batch(tenant_id, connector)
    return False


_LANES: Final[Mapping[str, Callable[[UUID], bool]]] = {
    "tidy": _tidy,
    "settle": _settle,
    "drain": draining.take_turn,
}
