"""Security recommendations of a tenant, the devices exposed to each, and how many they were each day."""

from typing import ClassVar, Final

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from investigations.models import Device
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import Tenant, TenantForeignKey, TenantModel
from remediation.vulnerabilities.states import RecommendationStatus

EXCEPTED_AT_SOURCE: Final = "exception"
"""`status_at_source`, in whatever case, of what has an exception at Microsoft (facts 5.1)."""


class Recommendation(TenantModel):
    """A security recommendation as Defender gives it (`/api/recommendations`), whole in `raw`.

    `recommendation_id` is Microsoft's, the same in every tenant (`va-_-vendor-_-product`, `sca-_-scid-…`). The counts
    are Microsoft's; `exposed_after_exceptions` is ours. `cve_ids` are those of its weaknesses, as far as they were
    read; the known-exploited columns follow from them. `disappeared_at` is set once Microsoft no longer lists it: then
    no device is exposed to it. The devices and the CVEs are lists of their own, each last read whole at `…_read_at`
    and to be read again at `…_due_at`; `exposures_read_at` is when the sync that did began to read
    lists, None while there is none to rely on. Times are UTC.
    """

    recommendation_id = models.CharField(_("recommendation id"), max_length=500)
    name = models.TextField(_("recommendation"))
    product_name = models.TextField(_("product"), blank=True)
    vendor = models.TextField(_("vendor"), blank=True)
    related_component = models.TextField(_("related component"), blank=True)
    recommended_version = models.TextField(_("recommended version"), blank=True)
    recommended_vendor = models.TextField(_("recommended vendor"), blank=True)
    recommended_program = models.TextField(_("recommended program"), blank=True)
    category = models.TextField(_("category"), blank=True)
    sub_category = models.TextField(_("subcategory"), blank=True)
    remediation_type = models.TextField(_("remediation type"), blank=True)
    status_at_source = models.TextField(_("status in Defender"), blank=True)
    status = models.CharField(
        _("status"), max_length=20, choices=RecommendationStatus.choices, default=RecommendationStatus.ACTIVE
    )
    weaknesses = models.PositiveIntegerField(_("weaknesses"), default=0)
    severity_score = models.FloatField(_("severity score"), default=0)
    exposure_impact = models.FloatField(_("exposure impact"), default=0)
    config_score_impact = models.FloatField(_("secure score impact"), default=0)
    has_public_exploit = models.BooleanField(_("public exploit"), default=False)
    has_active_alert = models.BooleanField(_("active alert"), default=False)
    associated_threats = ArrayField(models.TextField(), verbose_name=_("associated threats"), default=list)
    tags = ArrayField(models.TextField(), verbose_name=_("tags"), default=list)
    total_count = models.PositiveIntegerField(_("devices"), default=0)
    exposed_count = models.PositiveIntegerField(_("exposed devices"), default=0)
    exposed_critical_count = models.PositiveIntegerField(_("exposed critical devices"), default=0)
    no_user_impact_count = models.PositiveIntegerField(_("devices without user impact"), default=0)
    exposed_after_exceptions = models.PositiveIntegerField(_("exposed devices (after exceptions)"), default=0)
    cve_ids = ArrayField(models.TextField(), verbose_name=_("CVEs"), default=list)
    is_known_exploited = models.BooleanField(_("known exploited"), default=False)
    is_used_by_ransomware = models.BooleanField(_("used by ransomware"), default=False)
    known_exploited_due_on = models.DateField(_("due by CISA"), null=True)
    raw = models.JSONField(_("as received"))
    first_seen_at = models.DateTimeField(_("first seen"), db_default=Now())
    seen_at = models.DateTimeField(_("last seen"), db_default=Now())
    changed_at = models.DateTimeField(_("changed"), db_default=Now())
    disappeared_at = models.DateTimeField(_("no longer listed since"), null=True)
    exposures_read_at = models.DateTimeField(_("devices read"), null=True)
    exposures_due_at = models.DateTimeField(db_default=Now(), editable=False)
    cves_read_at = models.DateTimeField(_("CVEs read"), null=True)
    cves_due_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[TenantManager["Recommendation"]] = TenantManager()

    class Meta:
        verbose_name = _("security recommendation")
        verbose_name_plural = _("security recommendations")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "recommendation_id"), name="one_recommendation_of_an_id"),
        )
        indexes = (
            models.Index(fields=("tenant", "-exposed_count", "-id"), name="recommendation_by_exposure"),
            models.Index(fields=("recommendation_id",), name="recommendation_everywhere"),
            GinIndex(fields=("cve_ids",), name="recommendation_by_cve"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_excepted_at_source(self) -> bool:
        """Whether it has an exception at Microsoft, which may leave devices out of its list there."""
        return self.status_at_source.casefold() == EXCEPTED_AT_SOURCE


class Exposure(TenantModel):
    """A device that is exposed to a recommendation now.

    There are millions, so its tenant has neither a constraint nor an index of its own: both other keys hold it.
    """

    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("tenant"),
    )
    recommendation = TenantForeignKey(
        Recommendation, on_delete=models.CASCADE, db_index=False, related_name="exposures"
    )
    device = TenantForeignKey(Device, on_delete=models.CASCADE, db_index=False, related_name="exposures")
    since = models.DateTimeField(_("exposed since"), db_default=Now())

    objects: ClassVar[TenantManager["Exposure"]] = TenantManager()

    class Meta:
        verbose_name = _("exposed device")
        verbose_name_plural = _("exposed devices")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "recommendation", "device"), name="one_exposure_per_device"),
        )
        indexes = (models.Index(fields=("tenant", "device"), name="exposures_of_device"),)

    def __str__(self) -> str:
        return str(self.device_id)


class ExposureDay(TenantModel):
    """How many devices a recommendation exposed on one day (UTC), as it was last read on that day."""

    recommendation = TenantForeignKey(Recommendation, on_delete=models.CASCADE, db_index=False, related_name="days")
    day = models.DateField(_("day"))
    exposed_count = models.PositiveIntegerField(_("exposed devices"))
    total_count = models.PositiveIntegerField(_("devices"))

    objects: ClassVar[TenantManager["ExposureDay"]] = TenantManager()

    class Meta:
        verbose_name = _("day of exposure")
        verbose_name_plural = _("days of exposure")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "recommendation", "day"), name="one_count_a_day"),)

    def __str__(self) -> str:
        return f"{self.day}"


class VulnerabilitySync(TenantModel):
    """How far reading a tenant's recommendations and remediation tasks has come; one row a tenant.

    `detail` says what stopped the last one or was refused of it, "" when nothing was. `shrunk_at` is set while a list
    that shrinks by half waits for a second reading to be believed. Activities that Defender
    completed before `forgotten_before` have left by retention and are not imported anew.
    """

    next_sync_at = models.DateTimeField(_("next sync"), db_default=Now())
    started_at = models.DateTimeField(_("started"), null=True)
    read_at = models.DateTimeField(_("read"), null=True)
    shrunk_at = models.DateTimeField(_("list shrank"), null=True)
    detail = models.TextField(_("what stopped it"), blank=True)
    forgotten_before = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[TenantManager["VulnerabilitySync"]] = TenantManager()

    class Meta:
        verbose_name = _("vulnerability sync")
        verbose_name_plural = _("vulnerability syncs")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant",), name="one_vulnerability_sync"),)

    def __str__(self) -> str:
        return str(self.tenant_id)
