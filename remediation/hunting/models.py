"""Hunt: one query in one tenant, and what it found. The row is the queue, as everywhere."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from investigations.models import Evidence
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel
from remediation.hunting.states import OPEN_STATES, HuntSource, HuntState


class Hunt(TenantModel):
    """One query in one tenant. `batch` is the same for all that one request asked for, over many tenants.

    `tenants_asked` is how many tenants that request named. `criteria` is what the search form of the explorer held, or
    which messages a cluster's look-up asks about. `columns` are pairs of name and Microsoft's type; `rows` are at most
    1,000 of the `row_count` that came. `fence` counts the times it was claimed, `failures` those that ended in doubt.
    Times are UTC and PostgreSQL's. Lists leave the rows in the database (`defer`): they may be large.
    """

    batch = models.UUIDField(_("batch"), editable=False)
    tenants_asked = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    source = models.CharField(_("asked from"), max_length=20, choices=HuntSource.choices)
    query = models.TextField(_("query"))
    timespan = models.CharField(_("time span"), max_length=100, blank=True)
    criteria = models.JSONField(_("criteria"), null=True)
    evidence = TenantForeignKey(
        Evidence, on_delete=models.CASCADE, null=True, db_index=False, related_name="+", verbose_name=_("evidence")
    )
    state = models.CharField(_("state"), max_length=10, choices=HuntState.choices, default=HuntState.QUEUED)
    not_before = models.DateTimeField(_("not before"), db_default=Now())
    lease_until = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(_("failed attempts"), default=0, editable=False)
    columns = models.JSONField(_("columns"), default=list)
    rows = models.JSONField(_("rows"), default=list)
    row_count = models.PositiveIntegerField(_("rows found"), null=True)
    error_code = models.CharField(_("error code"), max_length=100, blank=True)
    error = models.TextField(_("error"), blank=True)
    asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("asked by")
    )
    created_at = models.DateTimeField(_("asked"), db_default=Now())
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    is_told: bool
    """Annotated where it is shown (`telling.told_to`)."""

    objects: ClassVar[TenantManager["Hunt"]] = TenantManager()

    class Meta:
        verbose_name = _("hunt")
        verbose_name_plural = _("hunting")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "evidence"),
                condition=models.Q(state__in=OPEN_STATES),
                name="one_look_up_at_a_time",
            ),
            models.CheckConstraint(condition=models.Q(state__in=HuntState.values), name="hunt_state_is_known"),
        )
        indexes = (
            models.Index(fields=("tenant", "batch"), name="hunts_of_batch"),
            models.Index(fields=("not_before",), condition=models.Q(state=HuntState.QUEUED), name="hunt_to_run"),
            models.Index(fields=("lease_until",), condition=models.Q(state=HuntState.RUNNING), name="hunt_under_way"),
            models.Index(fields=("created_at",), name="hunt_by_age"),
        )

    def __str__(self) -> str:
        return f"{HuntSource(self.source).label} {self.pk}"


class MailSearch(Hunt):
    """A hunt of the explorer's; the same row under another name."""

    class Meta:
        proxy = True
        verbose_name = _("mail search")
        verbose_name_plural = _("explorer")
