"""Remediation activities: what was asked for, the devices it is about, and how they stand."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from investigations.models import Device
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel
from remediation.vulnerabilities.models.recommendations import Recommendation
from remediation.vulnerabilities.querysets import ActivityQuerySet
from remediation.vulnerabilities.states import (
    ActivityState,
    Completion,
    Mitigation,
    Origin,
    Priority,
    RemediationOption,
    Standing,
)

ActivityManager = TenantManager.from_queryset(ActivityQuerySet)
"""The questions of `ActivityQuerySet`, held to the open scope."""


class RemediationActivity(TenantModel):
    """One request for remediation in one tenant, and what has come of it.

    `campaign` is the same for all that one request asked for, over `tenants_asked` tenants. An empty `group_ids` means
    all device groups; `group_names` are as they were then. The device counts add up: `devices_at_start` is
    `devices_fixed` + `devices_exposed` + `devices_gone`. What was imported from Defender has Microsoft's counts and no
    rows for devices. `exposed_again_at` is set while devices of a completed activity are exposed again.
    `devices_without_entra_id` could not be sent to Intune when the others were. Times are UTC, `due_on` is a day that
    ends at midnight UTC.
    """

    recommendation = TenantForeignKey(
        Recommendation,
        on_delete=models.PROTECT,
        null=True,
        related_name="activities",
        verbose_name=_("related recommendation"),
    )
    campaign = models.UUIDField(_("campaign"), editable=False)
    tenants_asked = models.PositiveIntegerField(default=1, editable=False)
    origin = models.CharField(_("made in"), max_length=10, choices=Origin.choices, default=Origin.QUELL)
    defender_task_id = models.CharField(max_length=64, blank=True, editable=False)
    title = models.TextField(_("title"))
    related_component = models.TextField(_("related component"), blank=True)
    option = models.CharField(_("remediation type"), max_length=30, choices=RemediationOption.choices)
    mitigation = models.CharField(_("mitigation"), max_length=10, choices=Mitigation.choices, default=Mitigation.NONE)
    priority = models.CharField(_("priority"), max_length=10, choices=Priority.choices)
    due_on = models.DateField(_("due"), null=True)
    notes = models.TextField(_("notes"), blank=True)
    group_ids = ArrayField(models.UUIDField(), default=list)
    group_names = ArrayField(models.TextField(), verbose_name=_("device groups"), default=list)
    state = models.CharField(
        _("status"), max_length=10, choices=ActivityState.choices, default=ActivityState.ACTIVE, editable=False
    )
    completion = models.CharField(max_length=10, choices=Completion.choices, blank=True, editable=False)
    completed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    completed_by_label = models.TextField(_("completed by"), blank=True, editable=False)
    completed_at = models.DateTimeField(_("completed"), null=True, editable=False)
    completion_note = models.TextField(_("why it was completed"), blank=True, editable=False)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    requested_by_label = models.TextField(_("requested by"), blank=True, editable=False)
    requested_at = models.DateTimeField(_("requested"), db_default=Now(), editable=False)
    devices_at_start = models.PositiveIntegerField(_("devices at start"), default=0, editable=False)
    devices_fixed = models.PositiveIntegerField(_("fixed"), default=0, editable=False)
    devices_exposed = models.PositiveIntegerField(_("still exposed"), default=0, editable=False)
    devices_gone = models.PositiveIntegerField(_("gone"), default=0, editable=False)
    exposed_again_at = models.DateTimeField(_("exposed again since"), null=True, editable=False)
    exposed_again_count = models.PositiveIntegerField(_("exposed again"), default=0, editable=False)
    progress_at = models.DateTimeField(_("progress as of"), null=True, editable=False)
    wants_ticket = models.BooleanField(_("ticket in Intune"), default=False, editable=False)
    devices_sent = models.PositiveIntegerField(_("devices sent to Intune"), null=True, editable=False)
    devices_without_entra_id = models.PositiveIntegerField(
        _("devices without an Entra device id"), null=True, editable=False
    )
    told_due_soon_at = models.DateTimeField(null=True, editable=False)
    told_overdue_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[ActivityManager["RemediationActivity"]] = ActivityManager()

    class Meta:
        verbose_name = _("remediation activity")
        verbose_name_plural = _("remediation activities")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "defender_task_id"),
                condition=~models.Q(defender_task_id=""),
                name="one_activity_per_defender_task",
            ),
            models.CheckConstraint(
                condition=~models.Q(option=RemediationOption.ATTENTION_REQUIRED) | models.Q(due_on=None),
                name="attention_required_has_no_due_date",
            ),
            models.CheckConstraint(
                condition=models.Q(state=ActivityState.ACTIVE, completed_at=None, completion="")
                | models.Q(state=ActivityState.COMPLETED) & ~models.Q(completion=""),
                name="completed_activities_say_how",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "state", "-id"), name="activity_by_state"),
            models.Index(fields=("campaign",), name="activities_of_campaign"),
            models.Index(
                fields=("due_on",),
                condition=models.Q(state=ActivityState.ACTIVE, told_overdue_at=None),
                name="activity_due",
            ),
            models.Index(
                fields=("tenant", "completed_at"),
                condition=models.Q(state=ActivityState.COMPLETED),
                name="activity_by_completion",
            ),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def is_measured(self) -> bool:
        """Whether its devices say how far it is; with attention required there is nothing to measure (facts 5.2)."""
        return self.option != RemediationOption.ATTENTION_REQUIRED

    @property
    def percent_done(self) -> int | None:
        """How many of a hundred devices are no longer exposed, rounded down; None where nothing is measured."""
        if not self.is_measured or not self.devices_at_start:
            return None
        return 100 * (self.devices_at_start - self.devices_exposed) // self.devices_at_start


class ActivityDevice(TenantModel):
    """A device an activity began with, and how it stands. `sent_to_intune` tells those the ticket names."""

    activity = TenantForeignKey(RemediationActivity, on_delete=models.CASCADE, db_index=False, related_name="devices")
    device = TenantForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="+")
    standing = models.CharField(
        _("standing"), max_length=10, choices=Standing.choices, default=Standing.EXPOSED, db_default=Standing.EXPOSED
    )
    changed_at = models.DateTimeField(_("since"), db_default=Now())
    is_exposed_again = models.BooleanField(_("exposed again"), default=False, db_default=False)
    sent_to_intune = models.BooleanField(_("sent to Intune"), default=False, db_default=False)

    objects: ClassVar[TenantManager["ActivityDevice"]] = TenantManager()

    class Meta:
        verbose_name = _("device of activity")
        verbose_name_plural = _("devices of activity")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "activity", "device"), name="one_device_per_activity"),
        )
        indexes = (models.Index(fields=("tenant", "device"), name="activities_of_device"),)

    def __str__(self) -> str:
        return str(self.device_id)


class BurnDownDay(TenantModel):
    """How much of a tenant's remediation was open at the end of one day (UTC), as last counted on that day."""

    day = models.DateField(_("day"))
    open_activities = models.PositiveIntegerField(_("open activities"))
    overdue_activities = models.PositiveIntegerField(_("overdue"))
    completed_activities = models.PositiveIntegerField(_("completed that day"))
    exposed_devices = models.PositiveIntegerField(_("devices still exposed"))

    objects: ClassVar[TenantManager["BurnDownDay"]] = TenantManager()

    class Meta:
        verbose_name = _("day of the burn-down")
        verbose_name_plural = _("burn-down")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "day"), name="one_burn_down_a_day"),)

    def __str__(self) -> str:
        return f"{self.day}"
