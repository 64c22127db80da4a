"""Rings for the workers that send. A lost or doubled ring changes nothing but when: beat rings again."""

import logging
from typing import Final
from uuid import UUID

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

TASK: Final = "connectors.outbound.tasks.send"
QUIET_SECONDS: Final = 10
"""A bell that was rung and not yet answered is not rung again for so long."""


def ring(tenant_id: UUID) -> None:
    """Ask a worker to send what is due for a tenant. A broker that cannot be reached is logged, never raised."""
    try:
        if cache.add(_key(tenant_id), 1, timeout=QUIET_SECONDS):
            current_app.send_task(TASK, args=[str(tenant_id)])
    except (OperationalError, RedisError, OSError) as error:
        answered(tenant_id)  # it has not rung, so the next one must not stay silent
        logger.warning("Could not ring for deliveries of tenant %s; the next sweep will: %s", tenant_id, error)


def answered(tenant_id: UUID) -> None:
    """Note that a worker is looking, so that what comes up from now on rings again."""
    try:
        cache.delete(_key(tenant_id))
    except RedisError as error:
        logger.warning("Could not note that the bell for deliveries was answered: %s", error)


def ring_after_commit(tenant_id: UUID) -> None:
    """Ring once what this transaction wrote can be seen."""
    transaction.on_commit(lambda: ring(tenant_id))


def _key(tenant_id: UUID) -> str:
    return f"bell:deliveries:{tenant_id}"
