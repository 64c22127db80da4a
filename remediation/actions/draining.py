"""One tenant's turn at a worker: what it may send now, by which way out, and when it makes room for others."""

import logging
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db.models.functions import Now
from redis.exceptions import RedisError

from connectors import quotas
from connectors.choosing import find_enabled
from connectors.circuit import calls_allowed, note_calls
from connectors.protocol import Connector, NotSent, Throttled
from connectors.registry import open_connection
from investigations.services import include_devices
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.actions.by_hand import is_hand_work
from remediation.actions.deciding import decide_evidence
from remediation.actions.execution import Outcome, finish_here, hand_over, send_all
from remediation.actions.models import RemediationAction
from remediation.actions.states import State
from remediation.actions.transitions import Claim, claim_batch
from remediation.catalogue import CATALOGUE, WIRED, Route

logger = logging.getLogger(__name__)

TURN_SECONDS: Final = 1.0
"""How long one tenant is served before it goes to the back of the queue."""

TURN_KEPT_SECONDS: Final = 3
"""How long a turn stays taken whose worker has died."""

FIRST_BATCH: Final = 8
LARGEST_BATCH: Final = 50
"""How many actions are claimed at a time, at first, and at most where the vendor answers fast."""

HERE: Final = frozenset(name for name in WIRED if CATALOGUE[name].route is Route.QUELL)
"""The types Quell carries out itself, connection or not."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """How a tenant's calls leave the house: its connection, None where it has none that can be used.

    `trouble` says why it cannot be, "" where there is none at all.
    """

    tenant_id: UUID
    connector: Connector | None = None
    entra_tenant_id: str = ""
    capabilities: frozenset[str] = frozenset()
    trouble: str = ""


def way_out_of(tenant_id: UUID, *, deadline_seconds: float | None = None) -> WayOut:
    """Return the tenant's enabled connection, opened; without one its actions wait and say so.

    A call may take as long as one of an action, unless another deadline is given.
    """
    seconds = deadline_seconds or settings.ACTION_DEADLINE_SECONDS
    with acting_for(tenant_id):
        row = find_enabled(tenant_id)
        if row is None:
            return WayOut(tenant_id)
        connector, trouble = None, ""
        try:
            connector = open_connection(row.as_settings(), deadline_seconds=seconds)
        except (SecretUnreadable, ValueError) as error:  # the sync has put the same words into the connection's health
            logger.warning("The connection of tenant %s cannot be used: %s", tenant_id, error)
            trouble = str(error)
        return WayOut(tenant_id, connector, str(row.tenant.entra_tenant_id), frozenset(row.capabilities), trouble)


def take_turn(tenant_id: UUID) -> bool:
    """Send the tenant's due actions until none can go or its time is over; return whether more may be waiting.

    One worker serves a tenant at a time: however slow its vendor is, the others are free.
    """
    if not _begin_turn(tenant_id):
        return False
    try:
        is_over = _send_in_turn(tenant_id)
    finally:
        was_rung = _end_turn(tenant_id)
    return is_over or was_rung


def _begin_turn(tenant_id: UUID) -> bool:
    """Return whether the turn is ours; whose it is, is told that somebody rang. Without the store it is everybody's."""
    try:
        if cache.add(f"turn:{tenant_id}", 1, timeout=TURN_KEPT_SECONDS):
            return True
        cache.set(f"turn:rung:{tenant_id}", 1, timeout=settings.SWEEP_SECONDS)
        return False
    except (RedisError, OSError):
        return True


def _keep_turn(tenant_id: UUID) -> None:
    with suppress(RedisError, OSError):
        cache.touch(f"turn:{tenant_id}", TURN_KEPT_SECONDS)


def _end_turn(tenant_id: UUID) -> bool:
    """Give the turn back; return whether somebody rang for it meanwhile."""
    try:
        cache.delete(f"turn:{tenant_id}")
        return bool(cache.delete(f"turn:rung:{tenant_id}"))
    except (RedisError, OSError):
        return False


def _send_in_turn(tenant_id: UUID) -> bool:
    ends_at = time.monotonic() + TURN_SECONDS
    owner = f"{socket.gethostname()}:{os.getpid()}"
    waiting = _types_waiting(tenant_id)
    way = way_out_of(tenant_id)
    spent: set[str] = set()
    most = FIRST_BATCH
    while (begun_at := time.monotonic()) < ends_at:
        room = _room(way, waiting, spent)
        claims = claim_batch(tenant_id, owner=owner, types=room, most=min(most, *room.values())) if room else []
        if not claims:
            return False
        for outcomes in _carry_out(claims, way):
            _keep_turn(tenant_id)
            note_calls(tenant_id, [outcome.error for outcome in outcomes])
            spent |= {_quota_name(way, outcome) for outcome in outcomes if _is_bounced(outcome)}
        now = time.monotonic()
        pace = len(claims) / (now - begun_at)
        most = min(max(FIRST_BATCH, round(pace * (ends_at - now))), LARGEST_BATCH)
    return True


def _types_waiting(tenant_id: UUID) -> set[str]:
    with acting_for(tenant_id):
        waiting = RemediationAction.objects.filter(state=State.APPROVED, not_before__lte=Now())
        return set(waiting.order_by().values_list("type", flat=True).distinct())


def _room(way: WayOut, types: Collection[str], spent: Collection[str]) -> dict[str, int]:
    """Return how many of each type may be claimed now, without those that cannot go; what bounced is not tried again.

    An API that takes no more calls keeps back the types that need it and no others; a vendor that does not answer, all
    that goes to it.
    """
    room: dict[str, int] = {}
    allowed = calls_allowed(way.tenant_id) if any(name not in HERE for name in types) else 0
    for name in types:
        quota = way.connector.quota_of(name) if way.connector is not None else None
        if name in HERE or _is_by_hand(way, name) or (quota is None and way.connector is not None):
            room[name] = LARGEST_BATCH
        elif quota is not None and quota.name not in spent:
            room[name] = min(allowed, quotas.room(way.entra_tenant_id, quota)) if allowed else 0
    return {name: count for name, count in room.items() if count > 0}


def _is_by_hand(way: WayOut, type_name: str) -> bool:
    return is_hand_work(CATALOGUE[type_name], way.capabilities)


def _carry_out(claims: Sequence[Claim], way: WayOut) -> Iterator[Sequence[Outcome]]:
    """Carry out each claim by its own way, those that Quell carries out itself last; yield what the vendor answers."""
    here = [claimed for claimed in claims if claimed.type in HERE]
    by_hand = [claimed for claimed in claims if claimed.type not in HERE and _is_by_hand(way, claimed.type)]
    outside = [claimed for claimed in claims if claimed not in here and claimed not in by_hand]
    hand_over(by_hand)
    if outside and way.connector is not None:
        yield from send_all(outside, way.connector)
    for claimed in here:
        finish_here(claimed, partial(_widen, claimed))


def _is_bounced(outcome: Outcome) -> bool:
    """Tell whether others like it would not be sent either: the vendor has had as many calls as it takes."""
    error = outcome.error
    return isinstance(error, Throttled) or (isinstance(error, NotSent) and error.code == "QuotaSpent")


def _quota_name(way: WayOut, outcome: Outcome) -> str:
    quota = way.connector.quota_of(outcome.claimed.type) if way.connector is not None else None
    return quota.name if quota is not None else ""


def _widen(claimed: Claim) -> None:
    tenant = Tenant.objects.get(pk=claimed.tenant_id)
    device_ids = [UUID(device) for device in claimed.parameters["devices"]]
    decide_evidence(tenant, include_devices(UUID(claimed.parameters["investigation"]), device_ids))
