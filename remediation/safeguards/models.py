"""The rows of the safeguards. Nothing here is written but by this app's services, each with its audit event."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from investigations.models import Device
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel


class Freeze(TenantModel):
    """Sending stopped until somebody lifts it: for one tenant or, on the provider's reserved tenant, for all of them.

    An empty `action_type` is every type; `connector` is a `Route` of the catalogue, empty for every way out.
    """

    action_type = models.CharField(_("action"), max_length=40, blank=True)
    connector = models.CharField(_("connector"), max_length=40, blank=True)
    reason = models.TextField(_("reason"))
    frozen_by = models.CharField(_("frozen by"), max_length=254)
    frozen_at = models.DateTimeField(_("frozen"), db_default=Now())
    lifted_by = models.CharField(_("lifted by"), max_length=254, blank=True)
    lifted_at = models.DateTimeField(_("lifted"), null=True)

    objects: ClassVar[TenantManager["Freeze"]] = TenantManager()

    class Meta:
        verbose_name = _("freeze")
        verbose_name_plural = _("freezes")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "action_type", "connector"),
                condition=models.Q(lifted_at__isnull=True),
                name="one_freeze_in_force",
            ),
        )

    def __str__(self) -> str:
        return self.reason


class HourlyCap(TenantModel):
    """How many actions of one type may be sent for the tenant in one clock hour, where not the catalogue's default."""

    action_type = models.CharField(_("action"), max_length=40)
    cap = models.PositiveIntegerField(_("per hour"))

    objects: ClassVar[TenantManager["HourlyCap"]] = TenantManager()

    class Meta:
        verbose_name = _("hourly limit")
        verbose_name_plural = _("hourly limits")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "action_type"), name="one_cap_per_action_type"),)

    def __str__(self) -> str:
        return f"{self.action_type} {self.cap}"


class HourlyUse(TenantModel):
    """How many actions of one type were claimed in one clock hour (UTC); raised in the claim's own transaction."""

    action_type = models.CharField(max_length=40)
    hour = models.DateTimeField()
    used = models.PositiveIntegerField(default=0)

    objects: ClassVar[TenantManager["HourlyUse"]] = TenantManager()

    class Meta:
        verbose_name = _("hourly use")
        verbose_name_plural = _("hourly use")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "action_type", "hour"), name="one_use_per_hour"),)
        indexes = (models.Index(fields=("hour",), name="use_by_hour"),)

    def __str__(self) -> str:
        return f"{self.action_type} {self.used}"


class ProtectedDevice(TenantModel):
    """A device nothing is done to without two people: a domain controller, a hypervisor, a ventilator."""

    device = TenantForeignKey(Device, on_delete=models.PROTECT, related_name="protections", verbose_name=_("device"))
    reason = models.TextField(_("reason"))
    protected_by = models.CharField(_("protected by"), max_length=254)
    protected_at = models.DateTimeField(_("protected"), db_default=Now())

    objects: ClassVar[TenantManager["ProtectedDevice"]] = TenantManager()

    class Meta:
        verbose_name = _("protected device")
        verbose_name_plural = _("protected devices")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "device"), name="one_protection_per_device"),)

    def __str__(self) -> str:
        return str(self.device)


class ApprovalRule(TenantModel):
    """How many people must approve one type of action for the tenant, where not the catalogue's default."""

    action_type = models.CharField(_("action"), max_length=40)
    approvers = models.PositiveSmallIntegerField(_("approvals needed"))

    objects: ClassVar[TenantManager["ApprovalRule"]] = TenantManager()

    class Meta:
        verbose_name = _("approval rule")
        verbose_name_plural = _("approval rules")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "action_type"), name="one_rule_per_action_type"),
            models.CheckConstraint(
                condition=models.Q(approvers__gte=1, approvers__lte=5), name="approvers_are_one_to_five"
            ),
        )

    def __str__(self) -> str:
        return f"{self.action_type} {self.approvers}"


class GuardedChange(TenantModel):
    """A change to a safeguard: one person asks, another makes it so. What is asked never changes.

    `kind` is one of `changes.KINDS`, `details` its plain values (JSON).
    """

    class State(models.TextChoices):
        """What has become of it."""

        WAITING = "waiting", _("Waiting for a second person")
        MADE = "made", _("Made")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        EXPIRED = "expired", _("Expired")

    kind = models.CharField(_("change"), max_length=40)
    details = models.JSONField(_("details"))
    reason = models.TextField(_("reason"))
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.WAITING)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("requested by"))
    requested_at = models.DateTimeField(_("requested"), db_default=Now())
    decided_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True)
    decision_reason = models.TextField(_("reason of the decision"), blank=True)

    objects: ClassVar[TenantManager["GuardedChange"]] = TenantManager()

    class Meta:
        verbose_name = _("change that takes two people")
        verbose_name_plural = _("changes that take two people")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "kind", "details"),
                condition=models.Q(state="waiting"),
                name="one_waiting_change",
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True)
                | models.Q(state="withdrawn")
                | ~models.Q(decided_by=models.F("requested_by")),
                name="changes_take_two_people",
            ),
        )
        indexes = (models.Index(fields=("tenant", "state", "id"), name="change_by_state"),)

    def __str__(self) -> str:
        return self.kind


class BreakGlass(TenantModel):
    """An emergency: for a few minutes one person's own approval is enough, in one tenant, with everybody told.

    Somebody else has to review it within a day (`review_before`, UTC).
    """

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("person"))
    reason = models.TextField(_("reason"))
    opened_at = models.DateTimeField(_("opened"), db_default=Now())
    ends_at = models.DateTimeField(_("ends"))
    review_before = models.DateTimeField(_("review before"))
    reviewed_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("reviewed by")
    )
    reviewed_at = models.DateTimeField(_("reviewed"), null=True)
    review = models.TextField(_("review"), blank=True)
    alarmed_at = models.DateTimeField(_("alarm sent"), null=True, editable=False)
    reminded_at = models.DateTimeField(_("reminder sent"), null=True, editable=False)

    objects: ClassVar[TenantManager["BreakGlass"]] = TenantManager()

    class Meta:
        verbose_name = _("break-glass use")
        verbose_name_plural = _("break-glass uses")
        base_manager_name = "objects"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(reviewed_by__isnull=True) | ~models.Q(reviewed_by=models.F("user")),
                name="break_glass_is_reviewed_by_another",
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant", "review_before"),
                condition=models.Q(reviewed_at__isnull=True),
                name="break_glass_to_review",
            ),
        )

    def __str__(self) -> str:
        return self.reason
