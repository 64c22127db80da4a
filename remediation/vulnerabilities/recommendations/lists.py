"""Reads the lists that each recommendation has of its own, devices and CVEs: those that are due, as far as calls last.

A list counts only when all of it was read. One that cannot be read is put off for an interval, so that it does not hold
up the others; when the quota is spent, or call after call fails, the rest is left for the next sync.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from connectors.protocol import ConnectorError, NotSent
from connectors.vulnerability_protocol import Rows, Vulnerabilities
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.models import Recommendation, RecommendationException, RemediationActivity
from remediation.vulnerabilities.recommendations.exposures import DeviceDirectory, store_exposures
from remediation.vulnerabilities.recommendations.payloads import read_cve_ids, read_references
from remediation.vulnerabilities.states import OPEN_EXCEPTION_STATES, ActivityState

READ_EVERY: Final = timedelta(days=1)
"""A list whose counts do not change is read so often."""

MOST_FAILURES: Final = 5
"""After so many failures in a row the lists are left for the next sync."""


@dataclass(slots=True)
class ListsRead:
    """What reading lists came to: `error` stopped it, or None; `left` are to be read by the next sync."""

    refused: list[str] = field(default_factory=list)
    failures: list[ConnectorError] = field(default_factory=list)
    error: ConnectorError | None = None
    left: int = 0


def read_lists(tenant_id: UUID, source: Vulnerabilities, *, ends_at: float) -> ListsRead:
    """Read and store the lists that are due, until `ends_at` (monotonic seconds). Opens scopes of its own."""
    read = ListsRead()
    with acting_for(tenant_id):
        devices, weaknesses = _due_devices(tenant_id), _due_weaknesses(tenant_id)
        directory, began = DeviceDirectory(tenant_id), database_now()
    _read_each(devices, _devices_of(directory, began), source, read, ends_at)
    _read_each(weaknesses, _WEAKNESSES, source, read, ends_at)
    return read


def _due_devices(tenant_id: UUID) -> list[Recommendation]:
    """Return what is new, changed or a day old, oldest first; before it what is worked on, at every sync.

    What was put off waits for its time also where it is worked on.
    """
    interval = timedelta(seconds=settings.VULNERABILITY_SYNC_SECONDS)
    rows = _listed(tenant_id).annotate(is_followed=_is_followed())
    is_stale = Q(exposures_read_at=None) | Q(exposures_read_at__lt=Now() - interval / 2)
    followed = Q(is_stale, is_followed=True, exposures_due_at__gt=Now() + interval)
    due = rows.filter(Q(exposures_due_at__lte=Now()) | followed)
    return list(due.order_by("-is_followed", "exposures_due_at", "pk"))


def _due_weaknesses(tenant_id: UUID) -> list[Recommendation]:
    return list(_listed(tenant_id).filter(cves_due_at__lte=Now()).order_by("cves_due_at", "pk"))


def _listed(tenant_id: UUID) -> "QuerySet[Recommendation]":
    rows = Recommendation.objects.filter(tenant_id=tenant_id, disappeared_at=None)
    return rows.only("pk", "tenant_id", "recommendation_id", "weaknesses", "exposed_count")


def _is_followed() -> Q:
    activities = RemediationActivity.objects.filter(recommendation=OuterRef("pk"), state=ActivityState.ACTIVE)
    exceptions = RecommendationException.objects.filter(state__in=OPEN_EXCEPTION_STATES)
    cve_ids = list(exceptions.exclude(cve_id="").values_list("cve_id", flat=True).distinct())
    return (
        Q(Exists(activities))
        | Q(Exists(exceptions.filter(recommendation=OuterRef("pk"))))
        | Q(cve_ids__overlap=cve_ids)
    )


def _store_devices(directory: DeviceDirectory, began: datetime, row: Recommendation, rows: Rows) -> list[str]:
    """Store a list of devices that was read to its end, since `began`; return what was refused of it.

    One with a refused row is not whole, since that may be a device which is exposed still. Neither is one with fewer
    than half of the devices that Microsoft counts: a page size nobody documents may have cut it. Nothing is taken away
    then.
    """
    references, refused = read_references(rows)
    if len(references) * 2 < row.exposed_count:
        refused = [*refused, f"{len(references)} of the {row.exposed_count} devices that Microsoft counts were listed"]
    with acting_for(row.tenant_id):
        store_exposures(row, directory.ids_of(references), is_whole=not refused)
        _update(row, exposures_due_at=Now() + READ_EVERY, **({} if refused else {"exposures_read_at": began}))
    return refused


def _store_weaknesses(row: Recommendation, rows: Rows) -> list[str]:
    """Store a list of vulnerabilities that was read to its end; return what was refused of it."""
    cve_ids, refused = read_cve_ids(rows)
    with acting_for(row.tenant_id):
        _update(row, cve_ids=cve_ids, cves_read_at=Now(), cves_due_at=Now() + READ_EVERY)
    return refused


def _update(row: Recommendation, **values: object) -> None:
    Recommendation.objects.filter(pk=row.pk).update(**values)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of list: how one is read and stored, and where it says when it is due."""

    pages: Callable[[Vulnerabilities, Recommendation], Iterator[Rows]]
    store: Callable[[Recommendation, Rows], list[str]]
    due_field: str


def _devices_of(directory: DeviceDirectory, began: datetime) -> _Kind:
    return _Kind(
        lambda source, row: source.exposed_devices(row.recommendation_id),
        partial(_store_devices, directory, began),
        "exposures_due_at",
    )


_WEAKNESSES: Final = _Kind(
    lambda source, row: source.weaknesses(row.recommendation_id) if row.weaknesses else iter(()),
    _store_weaknesses,
    "cves_due_at",
)


def _read_each(
    rows: Sequence[Recommendation], kind: _Kind, source: Vulnerabilities, read: ListsRead, ends_at: float
) -> None:
    in_a_row = 0
    with closing(_read_ahead(rows, lambda row: list(chain.from_iterable(kind.pages(source, row))))) as lists:
        for position, (row, coming) in enumerate(lists):
            error = _store_one(row, kind, coming, read) if time.monotonic() < ends_at else None
            in_a_row = in_a_row + 1 if error else 0
            if isinstance(error, NotSent) or in_a_row == MOST_FAILURES or time.monotonic() >= ends_at:
                read.error, read.left = error, read.left + len(rows) - position
                return
            if error is not None:
                read.failures.append(error)
                _put_off(row, kind)


def _read_ahead(
    rows: Sequence[Recommendation], read_one: Callable[[Recommendation], Rows]
) -> Generator[tuple[Recommendation, "Future[Rows]"], None, None]:
    """Yield each with its list to come; while the caller stores one, the next is read in a thread of its own."""
    with ThreadPoolExecutor(1) as reader:
        before: list[tuple[Recommendation, Future[Rows]]] = []
        for row in rows:
            coming = reader.submit(read_one, row)
            yield from before
            before = [(row, coming)]
        yield from before


def _store_one(row: Recommendation, kind: _Kind, coming: "Future[Rows]", read: ListsRead) -> ConnectorError | None:
    """Store a list once it has come whole; return why it has not."""
    try:
        rows = coming.result()
    except ConnectorError as error:
        return error
    read.refused += [f"{row.recommendation_id}, {words}" for words in kind.store(row, rows)]
    return None


def _put_off(row: Recommendation, kind: _Kind) -> None:
    again_at = Now() + timedelta(seconds=settings.VULNERABILITY_SYNC_SECONDS)
    with acting_for(row.tenant_id):
        _update(row, **{kind.due_field: again_at})
