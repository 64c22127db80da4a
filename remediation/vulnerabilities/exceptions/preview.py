"""What an exception would change: exposed devices before and after, group by group, before anybody decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from investigations.models import DeviceGroup
from remediation.vulnerabilities.exceptions.coverage import COVERED
from remediation.vulnerabilities.exceptions.requesting import Reach, Subject
from remediation.vulnerabilities.models import RecommendationException

_EXPOSED_BY_GROUP = f"""
WITH {COVERED}
SELECT d.group_id, count(DISTINCT x.device_id)
FROM vulnerabilities_exposure x
JOIN investigations_device d ON d.tenant_id = %(tenant)s AND d.id = x.device_id
WHERE x.tenant_id = %(tenant)s AND x.recommendation_id = ANY (%(only)s)
  AND NOT EXISTS (SELECT FROM covered c WHERE c.recommendation_id = x.recommendation_id AND c.group_id = d.group_id)
  AND NOT EXISTS (SELECT FROM in_effect e
                  WHERE e.cve_id = %(cve)s AND e.cve_id <> '' AND (e.is_global OR d.group_id = ANY (e.group_ids)))
GROUP BY d.group_id
"""  # noqa: S608 our own constants


@dataclass(frozen=True, slots=True)
class GroupPreview:
    """A device group, and how many of its devices are exposed without and with the exception."""

    group_id: UUID
    name: str
    exposed_before: int
    exposed_after: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What an exception would leave exposed, as of what was last read from Defender."""

    groups: Sequence[GroupPreview]

    @property
    def exposed_before(self) -> int:
        """Devices exposed without it."""
        return sum(group.exposed_before for group in self.groups)

    @property
    def exposed_after(self) -> int:
        """Devices exposed with it."""
        return sum(group.exposed_after for group in self.groups)


def preview(subject: Subject, reach: Reach) -> Preview:
    """Count what the subject exposes now and what it would with an exception of this reach; changes nothing.

    Devices that other exceptions cover already count as exposed in neither. Of a CVE, the exposed devices are those
    exposed to a recommendation that names it.
    """
    exposed = _exposed_by_group(subject)
    groups = DeviceGroup.objects.filter(tenant_id=subject.tenant_id).order_by("is_default", "rank")
    return Preview(
        [
            GroupPreview(
                group.pk,
                group.name,
                exposed.get(group.pk, 0),
                0 if reach.is_global or group.pk in reach.group_ids else exposed.get(group.pk, 0),
            )
            for group in groups
        ]
    )


def preview_of(exception: RecommendationException) -> Preview:
    """Return what granting an exception that waits would change."""
    subject = Subject(exception.tenant_id, exception.recommendation, exception.cve_id)
    return preview(subject, Reach(exception.is_global, frozenset(exception.group_ids)))


def _exposed_by_group(subject: Subject) -> dict[UUID, int]:
    recommendations = list(subject.recommendations().values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            _EXPOSED_BY_GROUP,
            {"tenant": subject.tenant_id, "only": recommendations, "cve": subject.cve_id},
        )
        return dict(cursor.fetchall())
