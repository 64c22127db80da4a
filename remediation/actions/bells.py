"""Rings the workers' doorbells. A lost or doubled ring changes nothing but when work is done: beat rings again."""

import logging
from uuid import UUID

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

TASKS = {lane: f"remediation.actions.tasks.{lane}" for lane in ("drain", "settle", "sync")} | {
    "hunt": "remediation.hunting.tasks.hunt",
    "recommendations": "remediation.vulnerabilities.tasks.read_recommendations",
    "intune": "remediation.vulnerabilities.tasks.read_intune",
    "tickets": "remediation.vulnerabilities.tasks.send_tickets",
    "due_dates": "remediation.vulnerabilities.tasks.tell_due_dates",
    "exceptions": "remediation.vulnerabilities.tasks.end_exceptions",
    "retention": "remediation.retention.tasks.purge",
}
QUIET_SECONDS = 10
"""A bell that was rung and not yet answered is not rung again for so long."""


def ring(lane: str, tenant_id: UUID) -> None:
    """Ask a worker to look at one tenant's lane. A broker that cannot be reached is logged, never raised."""
    try:
        if cache.add(_key(lane, tenant_id), 1, timeout=QUIET_SECONDS):
            current_app.send_task(TASKS[lane], args=[str(tenant_id)])
    except (OperationalError, RedisError, OSError) as error:
        answered(lane, tenant_id)  # it has not rung, so the next one must not stay silent
        logger.warning("Could not ring %s for tenant %s; the next sweep will: %s", lane, tenant_id, error)


def answered(lane: str, tenant_id: UUID) -> None:
    """Note that a worker is looking, so that what comes up from now on rings again."""
    try:
        cache.delete(_key(lane, tenant_id))
    except RedisError as error:
        logger.warning("Could not note that %s was answered: %s", lane, error)


def ring_after_commit(lane: str, tenant_id: UUID) -> None:
    """Ring once what this transaction did can be seen."""
    transaction.on_commit(lambda: ring(lane, tenant_id))


def _key(lane: str, tenant_id: UUID) -> str:
    return f"bell:{lane}:{tenant_id}"
