"""Reads a tenant's recommendations: calls outside any transaction, each piece stored in its own.

The list of recommendations is read whole each time; the lists each of them has are read by need (`lists`). What a crash
or the quota leaves unread stays due, and the next sync, which then begins soon, goes on with it.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from connectors.choosing import find_enabled
from connectors.protocol import ConnectionSettings, ConnectorError, NotSent
from connectors.registry import open_connection
from connectors.vulnerability_protocol import Vulnerabilities
from portal.secrets.exceptions import SecretUnreadable
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.activities.importing import store_remediation_tasks
from remediation.vulnerabilities.activities.progress import refresh_progress
from remediation.vulnerabilities.exceptions.effects import refresh_effects
from remediation.vulnerabilities.models import Recommendation, VulnerabilitySync
from remediation.vulnerabilities.recommendations.known_exploited import mark_known_exploited
from remediation.vulnerabilities.recommendations.lists import read_lists
from remediation.vulnerabilities.recommendations.payloads import Row, read_recommendations
from remediation.vulnerabilities.recommendations.storing import (
    count_today,
    let_disappear,
    store_recommendations,
    sync_of,
)
from remediation.vulnerabilities.shrinking import shrinks_by_half

logger = logging.getLogger(__name__)

LISTS_SECONDS: Final = 420.0
"""So long lists are read in one sync, so that what follows from them is worked out before the worker's time is over."""

LEASE: Final = timedelta(seconds=660)
"""A sync that has not ended by then has died, and the next one may begin."""

SOON_SECONDS: Final = 5.0
TROUBLE_SECONDS: Final = 300.0
"""What a missing permission refuses, it refuses again in five seconds, at the cost of the tenant's quota."""

_MOST_WORDS: Final = 5


@dataclass(slots=True)
class _Course:
    """How a sync went: `words` for people, `error` what stopped it, `again_in` when the next should begin (seconds)."""

    words: list[str] = field(default_factory=list)
    error: Exception | None = None
    again_in: float | None = None


def sync_recommendations(tenant_id: UUID) -> bool:
    """Read and store the tenant's recommendations and their devices; return whether all of it was read.

    Does nothing before `VulnerabilitySync.next_sync_at`, which it puts off while it reads: nobody else begins the same.
    How it went is `VulnerabilitySync.detail`, and stays there until the next one has ended. The connection's health is
    left to the reading of alerts, which would overwrite it within a minute.
    """
    try:
        wanted = _begin(tenant_id)
    except SecretUnreadable as error:
        return _end(tenant_id, _Course(error=error))
    if wanted is None:
        return False
    try:
        source = open_connection(wanted, deadline_seconds=settings.ACTION_DEADLINE_SECONDS).vulnerabilities
    except ValueError as error:  # an address that is not https, or a kind nobody connects to
        return _end(tenant_id, _Course(error=error))
    return _end(tenant_id, _read(tenant_id, source))


def _begin(tenant_id: UUID) -> ConnectionSettings | None:
    """Claim the sync and return where to read; None where nothing is connected or due. Raises SecretUnreadable."""
    with acting_for(tenant_id):
        row = find_enabled(tenant_id)
        if row is None or not row.tenant.is_active:
            return None
        due = sync_of(tenant_id).filter(next_sync_at__lte=Now())
        is_ours = due.update(next_sync_at=Now() + LEASE, started_at=Now())
        return row.as_settings() if is_ours else None


def _read(tenant_id: UUID, source: Vulnerabilities) -> _Course:
    course = _Course()
    try:
        rows = list(chain.from_iterable(source.recommendations()))
    except ConnectorError as error:
        course.error, course.again_in = error, _wait(error)
        return course
    _store(tenant_id, rows, course)
    _read_lists(tenant_id, source, course)
    _read_remediation_tasks(tenant_id, source, course)
    with acting_for(tenant_id):
        mark_known_exploited(tenant_id)
        count_today(tenant_id)
    refresh_progress(tenant_id)
    refresh_effects(tenant_id)
    return course


def _store(tenant_id: UUID, rows: list[Row], course: _Course) -> None:
    """Store the list. One that shrinks by half lets nothing disappear until it is read again.

    That again is half an interval later at least: what ails Microsoft's list now may ail it in five seconds.
    """
    payloads, refused = read_recommendations(rows)
    course.words += _told("refused", refused)
    with acting_for(tenant_id):
        known = Recommendation.objects.filter(tenant_id=tenant_id, disappeared_at=None).count()
        store_recommendations(tenant_id, payloads)
        sync = VulnerabilitySync.objects.select_for_update().get(tenant_id=tenant_id)
        if shrinks_by_half(known, len(rows)) and not _is_second_look(sync):
            sync.shrunk_at = sync.shrunk_at or database_now()
            course.words.append(
                f"Shrunk: the list has {len(rows)} recommendations and had {known}. Those that are missing are kept"
                " until a second reading says the same."
            )
        else:
            sync.shrunk_at = None
            let_disappear(tenant_id, set(_ids_of(rows)))
        sync.save(update_fields=["shrunk_at"])


def _is_second_look(sync: VulnerabilitySync) -> bool:
    after = timedelta(seconds=settings.VULNERABILITY_SYNC_SECONDS / 2)
    return sync.shrunk_at is not None and sync.shrunk_at + after <= database_now()


def _ids_of(rows: list[Row]) -> Iterator[str]:
    """Yield the ids that were listed, those of refused rows too: what is there has not disappeared."""
    return (row["id"].strip() for row in rows if isinstance(row.get("id"), str))


def _read_lists(tenant_id: UUID, source: Vulnerabilities, course: _Course) -> None:
    read = read_lists(tenant_id, source, ends_at=time.monotonic() + LISTS_SECONDS)
    course.words += _told("refused", read.refused)
    course.words += _told("not read", [str(failure) for failure in read.failures])
    if read.left:
        course.words.append(f"{read.left} lists of devices or CVEs are left for the next sync, which begins soon.")
        course.again_in = _wait(read.error)
    if not (isinstance(read.error, NotSent) and read.error.retry_after is not None):
        course.error = read.error  # that the quota is spent is no trouble


def _read_remediation_tasks(tenant_id: UUID, source: Vulnerabilities, course: _Course) -> None:
    try:
        rows = list(chain.from_iterable(source.remediation_tasks()))
    except ConnectorError as error:
        course.error = course.error or error
        course.words.append(f"Remediation activities of Defender were not read: {error}")
        return
    course.words += _told("refused", store_remediation_tasks(tenant_id, rows))


def _told(what: str, sentences: list[str]) -> list[str]:
    """Return one sentence for a kind of trouble: how many, and the first few in full; all of them are logged."""
    for sentence in sentences:
        logger.warning("Vulnerability sync, %s: %s", what, sentence)
    if not sentences:
        return []
    first = "; ".join(sentences[:_MOST_WORDS])
    return [f"{len(sentences)} {what}: {first}{' …' if len(sentences) > _MOST_WORDS else ''}"]


def _wait(error: Exception | None) -> float:
    """Return in how many seconds to go on: when the vendor says, after trouble a while later, else soon."""
    if error is None:
        return SOON_SECONDS
    retry_after = error.retry_after if isinstance(error, NotSent) else None
    return TROUBLE_SECONDS if retry_after is None else max(retry_after, SOON_SECONDS)


def _end(tenant_id: UUID, course: _Course) -> bool:
    """Write down how it went, and when the next sync begins."""
    if course.error is not None:
        logger.warning("Vulnerability sync of tenant %s stopped: %s", tenant_id, course.error)
    interval = float(settings.VULNERABILITY_SYNC_SECONDS)
    again_in = timedelta(seconds=min(interval, course.again_in or interval))
    stopped = [str(course.error)] if course.error is not None else []
    values = {"detail": "\n".join([*stopped, *course.words]), "next_sync_at": Now() + again_in}
    if course.error is None:
        values["read_at"] = Now()
    with acting_for(tenant_id):
        sync_of(tenant_id).update(**values)
    return course.error is None and course.again_in is None
