"""What is kept for how long: the table of kinds, each with its clock, its bounds, and what leaves with it.

History (the audit) is not in it: that is never purged. Days are whole ones, by PostgreSQL's clock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import DateTimeField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Cast, Coalesce
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from connectors.outbound.models import Delivery
from connectors.outbound.states import OPEN_STATES as OPEN_DELIVERY_STATES
from portal.api.models import IdempotentAnswer
from portal.tenancy.models import TenantModel
from remediation.actions.models import ActionEvidence, Decision, RemediationAction
from remediation.actions.states import OPEN_STATES
from remediation.retention.checks import LONGEST_DAYS, SHORTEST_ACTION_DAYS
from remediation.retention.models import LegalHold
from remediation.vulnerabilities.activities.importing import forget_completed_before
from remediation.vulnerabilities.models import (
    ActivityDevice,
    BurnDownDay,
    ExceptedDevice,
    ExposureDay,
    ManagedDevice,
    RecommendationException,
    RemediationActivity,
    SecurityTask,
    SecurityTaskDevice,
)
from remediation.vulnerabilities.states import OPEN_EXCEPTION_STATES, ActivityState, TaskStatus

Covers = LegalHold.Covers


@dataclass(frozen=True, slots=True)
class Link:
    """Rows of another table that point at a kind's rows by `field`. They leave first, or let go of what leaves."""

    model: type[TenantModel]
    field: str

    @property
    def column(self) -> str:
        """The column of the foreign key."""
        return str(self.model._meta.get_field(self.field).column)  # type: ignore[union-attr]  # never a reverse one


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of row. `clock` is when its days begin, `is_over` which rows have a clock that runs.

    `days` is how long a tenant keeps it unless its rule says otherwise, between `shortest` and `longest`; where those
    are the same there are no rules. `parts` leave with a row, `loosened` lose their link to it. `held_by` says which
    column a legal hold's row is looked for in. `on_leaving` is told the tenant and the cutoff in each batch's
    transaction.
    """

    name: str
    label: Promise
    model: type[TenantModel]
    clock: Any
    is_over: Q
    days: int
    shortest: int
    longest: int
    parts: Sequence[Link] = ()
    loosened: Sequence[Link] = ()
    held_by: Mapping[str, str] = field(default_factory=dict)
    on_leaving: Callable[[UUID, datetime], None] | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether no tenant can have a rule of its own."""
        return self.shortest == self.longest

    def older_than(self, cutoff: Any) -> QuerySet[Any]:
        """Return the rows in scope whose clock began before the cutoff (UTC), held ones too."""
        rows: QuerySet[Any] = self.model._default_manager.filter(self.is_over)
        found: QuerySet[Any] = rows.annotate(clock=self.clock).filter(clock__lt=cutoff)
        return found


def _day(name: str) -> Cast:
    return Cast(F(name), DateTimeField())


KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(
            "remediation_activities",
            _("Completed remediation activities"),
            RemediationActivity,
            Coalesce("completed_at", "requested_at"),
            Q(state=ActivityState.COMPLETED),
            180, 30, LONGEST_DAYS,
            parts=(Link(ActivityDevice, "activity"),),
            loosened=(Link(SecurityTask, "activity"),),
            held_by={Covers.ACTIVITY: "id"},
            on_leaving=forget_completed_before,
        ),
        Kind(
            "actions",
            _("Ended remediation actions"),
            RemediationAction,
            F("ended_at"),
            # What was taken back leaves after what took it back: the younger row names the older one.
            Q(ended_at__isnull=False) & ~Q(state__in=OPEN_STATES)
            & Q(~Exists(RemediationAction.objects.filter(tenant=OuterRef("tenant"), undoes=OuterRef("pk")))),
            settings.ACTION_RETENTION_DAYS, SHORTEST_ACTION_DAYS, LONGEST_DAYS,
            parts=(Link(Decision, "action"), Link(ActionEvidence, "action")),
            held_by={Covers.ACTION: "id", Covers.INVESTIGATION: "investigation_id"},
        ),
        Kind(
            "exceptions",
            _("Ended exceptions"),
            RecommendationException,
            Coalesce("ended_at", "decided_at", "requested_at"),
            ~Q(state__in=OPEN_EXCEPTION_STATES),
            400, 180, LONGEST_DAYS,
            parts=(Link(ExceptedDevice, "exception"),),
        ),
        Kind(
            "security_tasks",
            _("Ended security tasks without an activity"),
            SecurityTask,
            Coalesce("seen_at", "created_at"),
            Q(
                activity=None,
                status__in=(TaskStatus.FAILED, TaskStatus.REJECTED, TaskStatus.COMPLETED, TaskStatus.DELETED),
            ),
            180, 30, LONGEST_DAYS,
            parts=(Link(SecurityTaskDevice, "task"),),
        ),
        Kind("exposure_days", _("Exposed devices by day"), ExposureDay, _day("day"), Q(), 400, 90, LONGEST_DAYS),
        Kind("burn_down_days", _("Burn-down by day"), BurnDownDay, _day("day"), Q(), 400, 90, LONGEST_DAYS),
        Kind(
            "managed_devices",
            _("Devices no longer in Intune"),
            ManagedDevice,
            F("removed_at"),
            Q(removed_at__isnull=False),
            180, 30, LONGEST_DAYS,
        ),
        Kind(
            "deliveries",
            _("Notifications that were delivered or given up"),
            Delivery,
            Coalesce("delivered_at", "tried_at", "created_at"),
            ~Q(state__in=OPEN_DELIVERY_STATES),
            180, 30, LONGEST_DAYS,
            loosened=(Link(Delivery, "replay_of"),),
            held_by={Covers.ACTIVITY: "object_id", Covers.ACTION: "object_id"},
        ),
        Kind(
            "idempotent_answers",
            _("Answers of the API, kept for Idempotency-Key"),
            IdempotentAnswer,
            F("created_at"),
            Q(),
            30, 30, 30,
        ),
    )
}  # fmt: skip
"""Kinds by name, in the order they are purged. A security task that Intune still lists was just seen, and stays."""

KIND_CHOICES: Final = [(name, kind.label) for name, kind in KINDS.items()]


def label_of(name: str) -> str:
    """Return what the kind of this name is called; its name, where there is no such kind any more."""
    return str(KINDS[name].label) if name in KINDS else name
