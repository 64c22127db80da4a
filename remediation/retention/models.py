"""The rows of retention: rules, legal holds, the receipts of what was purged, and whose turn it is."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class RetentionRule(TenantModel):
    """How many days a tenant keeps one kind of row, where not the default; `kind` is a name in `kinds.KINDS`."""

    kind = models.CharField(_("kind"), max_length=40)
    days = models.PositiveIntegerField(_("days"))
    reason = models.TextField(_("reason"))
    changed_by = models.CharField(_("changed by"), max_length=254)
    changed_at = models.DateTimeField(_("changed"), db_default=Now())

    objects: ClassVar[TenantManager["RetentionRule"]] = TenantManager()

    class Meta:
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "kind"), name="one_retention_rule_per_kind"),)

    def __str__(self) -> str:
        return f"{self.kind}: {self.days}"


class LegalHold(TenantModel):
    """What must not leave until somebody lifts the hold: all of a tenant, or one row named by `object_id`.

    `lift_asked_by` is who asked for it to be lifted; `lifted_by` is somebody else. Times are UTC.
    """

    class Covers(models.TextChoices):
        """What a hold keeps. One over an investigation keeps its remediation actions."""

        TENANT = "tenant", _("Whole tenant")
        ACTIVITY = "activity", _("Remediation activity")
        ACTION = "action", _("Remediation action")
        INVESTIGATION = "investigation", _("Investigation")

    covers = models.CharField(_("covers"), max_length=20, choices=Covers.choices)
    object_id = models.UUIDField(_("row"), null=True)
    target = models.TextField(_("what is held"))
    reason = models.TextField(_("reason"))
    placed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("placed by"))
    placed_at = models.DateTimeField(_("placed"), db_default=Now())
    lift_asked_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("asked to lift it")
    )
    lift_asked_at = models.DateTimeField(_("asked"), null=True)
    lift_reason = models.TextField(_("why it may be lifted"), blank=True)
    lifted_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("lifted by")
    )
    lifted_at = models.DateTimeField(_("lifted"), null=True)

    objects: ClassVar[TenantManager["LegalHold"]] = TenantManager()

    class Meta:
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "covers", "object_id"),
                condition=models.Q(lifted_at=None),
                nulls_distinct=False,
                name="one_hold_in_force",
            ),
            models.CheckConstraint(
                condition=models.Q(covers="tenant", object_id=None)
                | ~models.Q(covers="tenant") & models.Q(object_id__isnull=False),
                name="holds_name_what_they_cover",
            ),
            models.CheckConstraint(
                condition=models.Q(lifted_by=None)
                | models.Q(lift_asked_by__isnull=False) & ~models.Q(lifted_by=models.F("lift_asked_by")),
                name="lifting_a_hold_takes_two_people",
            ),
        )

    def __str__(self) -> str:
        return self.target


class Purge(TenantModel):
    """The receipt of one batch that left: `row_count` rows of a kind older than `cutoff`, with their parts.

    Batches of one run share `run`. `sha256` is over the rows as they were (`purging`). `row_ids` empties once the
    receipt is `filed_at` in the file outside the database. `returned_count` tells how many of its rows were found
    back at `returned_at`, after a backup was restored. Times are UTC.
    """

    kind = models.CharField(_("kind"), max_length=40)
    run = models.UUIDField(_("run"))
    days = models.PositiveIntegerField(_("kept for days"))
    cutoff = models.DateTimeField(_("older than"))
    row_count = models.PositiveIntegerField(_("rows"))
    part_counts = models.JSONField(_("with them"), default=dict)
    first_id = models.UUIDField(_("first row"))
    last_id = models.UUIDField(_("last row"))
    sha256 = models.CharField(max_length=64)
    row_ids = ArrayField(models.UUIDField(), default=list, editable=False)
    purged_at = models.DateTimeField(_("purged"), db_default=Now())
    filed_at = models.DateTimeField(_("receipt filed"), null=True)
    returned_count = models.PositiveIntegerField(_("rows that came back"), default=0)
    returned_at = models.DateTimeField(_("came back"), null=True)

    objects: ClassVar[TenantManager["Purge"]] = TenantManager()

    class Meta:
        verbose_name = _("purge")
        verbose_name_plural = _("purges")
        base_manager_name = "objects"
        indexes = (
            models.Index(fields=("tenant", "kind", "-id"), name="purge_by_kind"),
            models.Index(fields=("tenant",), condition=models.Q(filed_at=None), name="purge_to_file"),
            models.Index(
                fields=("tenant", "returned_at"), condition=models.Q(returned_at__isnull=False), name="purge_returned"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.purged_at:%Y-%m-%d %H:%M}"


class PurgeTurn(TenantModel):
    """When a tenant's old rows are looked for again; one row a tenant, none until the first time."""

    next_at = models.DateTimeField()

    objects: ClassVar[TenantManager["PurgeTurn"]] = TenantManager()

    class Meta:
        verbose_name = _("turn to purge")
        verbose_name_plural = _("turns to purge")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant",), name="one_turn_to_purge"),)

    def __str__(self) -> str:
        return f"{self.next_at}"
