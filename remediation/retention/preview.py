"""The dry run: what would leave now, and what a legal hold keeps, without anything leaving."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count

from remediation.retention.holds import held
from remediation.retention.kinds import KINDS, Kind
from remediation.retention.returned import rests
from remediation.retention.rules import cutoff_of, days_kept


@dataclass(frozen=True, slots=True)
class Preview:
    """One kind in one tenant: `due` rows would leave at the next purge, `held` ones would but for a legal hold.

    `rests` tells that nothing leaves for a day, since rows came back after a restore. `cutoff` is UTC.
    """

    kind: Kind
    days: int
    cutoff: datetime
    due: int
    held: int
    rests: bool

    @property
    def is_default(self) -> bool:
        """Whether the tenant keeps it as long as everybody."""
        return self.days == self.kind.days


def preview(tenant_id: UUID) -> list[Preview]:
    """Return every kind of a tenant in scope. It counts rows: about a second for a million."""
    found = []
    for name, days in days_kept(tenant_id).items():
        kind, cutoff = KINDS[name], cutoff_of(days)
        counted = kind.older_than(cutoff).filter(tenant=tenant_id)
        counts = counted.aggregate(all=Count("pk"), held=Count("pk", filter=held(kind)))
        found.append(
            Preview(kind, days, cutoff, counts["all"] - counts["held"], counts["held"], rests(tenant_id, kind))
        )
    return found
