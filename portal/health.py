"""Two addresses for load balancers and supervisors: whether this process answers, and whether it can be sent requests.

They stand before all else: no session, no actor, no scope, no redirect to https, whatever the Host header says.
"""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

import redis
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.backoff import NoBackoff
from redis.retry import Retry

LIVE: Final = "/health/live"
READY: Final = "/health/ready"
PATIENCE_SECONDS: Final = 2
"""How long the database and the broker have to answer, together."""

logger = logging.getLogger(__name__)


class HealthPages:
    """Answer LIVE with 200, and READY with 200 or 503; everything else passes.

    The database decides: without it nothing can be answered. Without the broker people who are signed in and API keys
    go on, and what is decided is sent later; to take every web process out then would make a small outage a large one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        if request.path_info == LIVE:
            return _answer(200, {"status": "alive"})
        if request.path_info == READY:
            reached = {name: "reached" if is_reached else "not reached" for name, is_reached in look().items()}
            is_ready = reached["database"] == "reached"
            return _answer(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", **reached})
        return self.get_response(request)


def look() -> dict[str, bool]:
    """Return whether the database and the broker answer now, within PATIENCE_SECONDS; why not is in the log.

    Each is asked by one thread, so that however many ask here, there is one connection more, and one that hangs is
    waited for by nobody.
    """
    asked = {name: worker.submit(_PROBES[name]) for name, worker in _WORKERS.items()}
    wait(asked.values(), timeout=PATIENCE_SECONDS)
    for name, answer in asked.items():
        if not answer.done():
            answer.cancel()
            logger.warning("Health: the %s did not answer within %s s", name, PATIENCE_SECONDS)
    return {name: answer.done() and not answer.cancelled() and answer.result() for name, answer in asked.items()}


def _reach_database() -> bool:
    own = connection.copy()
    own.settings_dict["OPTIONS"]["connect_timeout"] = PATIENCE_SECONDS
    try:
        with own.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        logger.warning("Health: the database was not reached: %s", type(error).__name__)
        return False
    finally:
        own.close()
    return True


def _reach_broker() -> bool:
    patience = {"socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
    try:
        with redis.from_url(settings.BROKER_URL, **patience, retry=Retry(NoBackoff(), 0)) as broker:
            return bool(broker.ping())
    except redis.RedisError as error:
        logger.warning("Health: the broker was not reached: %s", type(error).__name__)
        return False


_PROBES: Final[Mapping[str, Callable[[], bool]]] = {"database": _reach_database, "broker": _reach_broker}
_WORKERS: Final = {name: ThreadPoolExecutor(1, thread_name_prefix=f"health-{name}") for name in _PROBES}


def _answer(status: int, body: Mapping[str, str]) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
