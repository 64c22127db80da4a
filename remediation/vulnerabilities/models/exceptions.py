"""Exceptions: recommendations and CVEs that are left as they are, for a while, for a reason."""

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
from remediation.vulnerabilities.states import ExceptionKind, ExceptionState, Justification, Origin


class RecommendationException(TenantModel):
    """An exception for a recommendation or a CVE, for some device groups or the whole tenant, until a day.

    A global one covers groups made later too and suspends those by group until it ends. `expires_on` is the last day it
    is in effect, UTC. `exposed_before` and `exposed_after` are how many devices were exposed before it was granted and
    with it. The database lets none be in effect that no second person granted.
    """

    kind = models.CharField(_("kind"), max_length=20, choices=ExceptionKind.choices)
    recommendation = TenantForeignKey(
        Recommendation,
        on_delete=models.PROTECT,
        null=True,
        related_name="exceptions",
        verbose_name=_("recommendation"),
    )
    cve_id = models.CharField(_("CVE"), max_length=30, blank=True)
    is_global = models.BooleanField(_("whole tenant"), default=False)
    group_ids = ArrayField(models.UUIDField(), default=list)
    group_names = ArrayField(models.TextField(), verbose_name=_("device groups"), default=list)
    justification = models.CharField(_("justification"), max_length=30, choices=Justification.choices)
    context = models.TextField(_("context"))
    expires_on = models.DateField(_("expires"))
    origin = models.CharField(_("made in"), max_length=10, choices=Origin.choices, default=Origin.QUELL)
    state = models.CharField(
        _("status"), max_length=20, choices=ExceptionState.choices, default=ExceptionState.REQUESTED, editable=False
    )
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    requested_at = models.DateTimeField(_("requested"), db_default=Now(), editable=False)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    decided_at = models.DateTimeField(_("decided"), null=True, editable=False)
    decision_reason = models.TextField(_("why it was decided so"), blank=True, editable=False)
    ended_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, editable=False)
    end_reason = models.TextField(_("why it was cancelled"), blank=True, editable=False)
    exposed_before = models.PositiveIntegerField(_("exposed before"), null=True, editable=False)
    exposed_after = models.PositiveIntegerField(_("exposed after"), null=True, editable=False)
    new_device_count = models.PositiveIntegerField(_("devices new in its scope"), default=0, editable=False)
    told_ending_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[TenantManager["RecommendationException"]] = TenantManager()

    class Meta:
        db_table = "vulnerabilities_exception"
        verbose_name = _("exception")
        verbose_name_plural = _("exceptions")
        base_manager_name = "objects"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind=ExceptionKind.RECOMMENDATION, recommendation__isnull=False, cve_id="")
                | models.Q(kind=ExceptionKind.CVE, recommendation=None) & ~models.Q(cve_id=""),
                name="exception_is_for_one_thing",
            ),
            models.CheckConstraint(
                condition=models.Q(is_global=False) | models.Q(group_ids=[]), name="global_exceptions_name_no_group"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=("in_effect", "suspended"))
                | models.Q(requested_by__isnull=False, decided_by__isnull=False, decided_at__isnull=False)
                & ~models.Q(decided_by=models.F("requested_by")),
                name="exceptions_take_two_people",
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "state", "-id"), name="exception_by_state"),
            models.Index(
                fields=("expires_on",),
                condition=models.Q(state__in=("requested", "in_effect", "suspended")),
                name="exception_to_end",
            ),
        )

    def __str__(self) -> str:
        return self.cve_id or str(self.recommendation)


class ExceptedDevice(TenantModel):
    """An exposed device in the scope of an exception; `is_new` tells those that came after it was granted."""

    exception = TenantForeignKey(
        RecommendationException, on_delete=models.CASCADE, db_index=False, related_name="devices"
    )
    device = TenantForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="+")
    is_new = models.BooleanField(_("new in the scope"), default=False, db_default=False)
    since = models.DateTimeField(_("since"), db_default=Now())

    objects: ClassVar[TenantManager["ExceptedDevice"]] = TenantManager()

    class Meta:
        verbose_name = _("excepted device")
        verbose_name_plural = _("excepted devices")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "exception", "device"), name="one_device_per_exception"),
        )
        indexes = (models.Index(fields=("tenant", "device"), name="exceptions_of_device"),)

    def __str__(self) -> str:
        return str(self.device_id)
