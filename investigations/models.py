"""Devices and their groups, alerts, investigations and evidence, as one tenant's rows."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from investigations.grouping import RuleOperator, RuleProperty
from investigations.states import (
    OPEN_STATES,
    AutomationLevel,
    EvidenceKind,
    EvidenceOutcome,
    InvestigationState,
    RemediationStatus,
    Verdict,
)
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel


class DeviceGroup(TenantModel):
    """Devices that share an automation level. A device is in exactly one: the first by rank whose rules it meets.

    Source: Microsoft, "Create and manage device groups". The default group takes what no other does.
    """

    name = models.CharField(_("name"), max_length=200)
    rank = models.PositiveIntegerField(_("rank"), help_text=_("1 is highest; a device joins the first group it fits."))
    automation_level = models.CharField(
        _("automation level"), max_length=30, choices=AutomationLevel.choices, default=AutomationLevel.SEMI_ALL_FOLDERS
    )
    is_default = models.BooleanField(_("default group"), default=False, editable=False)

    objects: ClassVar[TenantManager["DeviceGroup"]] = TenantManager()

    class Meta:
        verbose_name = _("device group")
        verbose_name_plural = _("device groups")
        base_manager_name = "objects"
        ordering = ("tenant", "is_default", "rank")
        constraints = (
            models.UniqueConstraint(fields=("tenant", "name"), name="one_group_of_a_name"),
            models.UniqueConstraint(
                fields=("tenant", "rank"), name="one_group_of_a_rank", deferrable=models.Deferrable.DEFERRED
            ),
            models.UniqueConstraint(fields=("tenant",), condition=models.Q(is_default=True), name="one_default_group"),
        )

    def __str__(self) -> str:
        return self.name


class DeviceGroupRule(TenantModel):
    """One row of a group's rules: rows about one property are alternatives, rows about different ones add up."""

    group = TenantForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="rules", verbose_name=_("group"))
    property = models.CharField(_("property"), max_length=10, choices=RuleProperty.choices)
    operator = models.CharField(_("operator"), max_length=12, choices=RuleOperator.choices)
    value = models.CharField(_("value"), max_length=200)

    objects: ClassVar[TenantManager["DeviceGroupRule"]] = TenantManager()

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "group", "property", "operator", "value"), name="one_rule_of_a_kind"
            ),
        )

    def __str__(self) -> str:
        return f"{self.property} {self.operator} {self.value}"


class Device(TenantModel):
    """A machine Defender for Endpoint knows. `machine_id` is Defender's 40 hex digits."""

    machine_id = models.CharField(_("Defender device id"), max_length=64)
    name = models.TextField(_("name"), blank=True)
    domain = models.TextField(_("domain"), blank=True)
    os_platform = models.TextField(_("OS platform"), blank=True)
    os_version = models.TextField(_("OS version"), blank=True)
    health_status = models.TextField(_("health"), blank=True)
    risk_score = models.TextField(_("risk"), blank=True)
    entra_device_id = models.TextField(_("Entra device id"), blank=True)
    defender_group = models.TextField(_("group in Defender"), blank=True)
    tags = ArrayField(models.TextField(), verbose_name=_("tags"), default=list)
    last_ip = models.TextField(_("last IP address"), blank=True)
    first_seen_at = models.DateTimeField(_("first seen"), null=True)
    last_seen_at = models.DateTimeField(_("last seen"), null=True)
    group = TenantForeignKey(DeviceGroup, on_delete=models.PROTECT, related_name="devices", verbose_name=_("group"))
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects: ClassVar[TenantManager["Device"]] = TenantManager()

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "machine_id"), name="one_device_per_machine"),)
        indexes = (models.Index(fields=("tenant", "group"), name="device_by_group"),)

    def __str__(self) -> str:
        return self.name or self.machine_id


class Investigation(TenantModel):
    """What belongs together: alerts, the devices they reach, the evidence, and what is done about it."""

    title = models.TextField(_("title"))
    state = models.CharField(
        _("state"), max_length=30, choices=InvestigationState.choices, default=InvestigationState.QUEUED
    )
    device = TenantForeignKey(
        Device, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("first device")
    )
    started_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("started by")
    )
    started_at = models.DateTimeField(_("started"), auto_now_add=True)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects: ClassVar[TenantManager["Investigation"]] = TenantManager()

    class Meta:
        verbose_name = _("investigation")
        verbose_name_plural = _("investigations")
        base_manager_name = "objects"
        indexes = (
            models.Index(fields=("tenant", "state", "id"), name="investigation_by_state"),
            models.Index(
                fields=("tenant", "device"),
                condition=models.Q(state__in=sorted(OPEN_STATES)),
                name="open_investigation_of_device",
            ),
        )

    def __str__(self) -> str:
        return self.title


class InvestigationDevice(TenantModel):
    """A device an investigation reaches. `is_widened` tells those it spread to from those it began with."""

    investigation = TenantForeignKey(Investigation, on_delete=models.CASCADE, related_name="reached")
    device = TenantForeignKey(Device, on_delete=models.PROTECT, related_name="reached_by")
    is_widened = models.BooleanField(_("reached by widening"), default=False)

    objects: ClassVar[TenantManager["InvestigationDevice"]] = TenantManager()

    class Meta:
        verbose_name = _("device of investigation")
        verbose_name_plural = _("devices of investigation")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "investigation", "device"), name="device_once_per_investigation"),
        )
        indexes = (models.Index(fields=("tenant", "device"), name="investigations_of_device"),)

    def __str__(self) -> str:
        return str(self.device_id)


class Alert(TenantModel):
    """An alert as Microsoft Graph gives it (`alerts_v2`), whole in `raw`."""

    alert_id = models.CharField(_("alert id"), max_length=200)
    investigation = TenantForeignKey(
        Investigation, on_delete=models.PROTECT, related_name="alerts", verbose_name=_("investigation")
    )
    incident_id = models.TextField(_("incident"), blank=True)
    title = models.TextField(_("title"))
    severity = models.TextField(_("severity"), blank=True)
    status = models.TextField(_("status"), blank=True)
    service_source = models.TextField(_("source"), blank=True)
    classification = models.TextField(_("classification"), blank=True)
    determination = models.TextField(_("determination"), blank=True)
    category = models.TextField(_("category"), blank=True)
    created_at_source = models.DateTimeField(_("created"), null=True)
    updated_at_source = models.DateTimeField(_("last updated"))
    raw = models.JSONField(_("as received"))
    received_at = models.DateTimeField(_("received"), auto_now_add=True)

    objects: ClassVar[TenantManager["Alert"]] = TenantManager()

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "alert_id"), name="one_alert_of_an_id"),)
        indexes = (models.Index(fields=("tenant", "investigation"), name="alerts_of_investigation"),)

    def __str__(self) -> str:
        return self.title


class Evidence(TenantModel):
    """One entity an alert names, Microsoft's verdict on it, and what Quell decided and why.

    `entity_key` tells entities of one alert apart; the same file on two devices is two. `recipients` are those of a
    mail cluster's messages, by network message id in small letters, as far as they were looked up: a message that none
    was found for has an empty list. `recipients_error` says why they could not be, and `recipients_due_at` when they
    are looked up again (UTC), None where that is at once or no more.
    """

    alert = TenantForeignKey(Alert, on_delete=models.CASCADE, related_name="evidence", verbose_name=_("alert"))
    investigation = TenantForeignKey(
        Investigation, on_delete=models.PROTECT, related_name="evidence", verbose_name=_("investigation")
    )
    device = TenantForeignKey(
        Device, on_delete=models.PROTECT, null=True, related_name="evidence", verbose_name=_("device")
    )
    kind = models.CharField(_("kind"), max_length=30, choices=EvidenceKind.choices)
    odata_type = models.TextField(_("Microsoft's type"), blank=True)
    entity_key = models.CharField(max_length=64, editable=False)
    label = models.TextField(_("entity"))
    verdict = models.CharField(_("verdict"), max_length=20, choices=Verdict.choices)
    remediation_status = models.CharField(
        _("remediation status"), max_length=30, choices=RemediationStatus.choices, blank=True
    )
    sha1 = models.CharField(_("SHA-1"), max_length=40, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    file_path = models.TextField(_("path"), blank=True)
    network_message_id = models.CharField(_("network message id"), max_length=100, blank=True)
    network_message_ids = ArrayField(models.TextField(), verbose_name=_("network message ids"), default=list)
    recipient = models.TextField(_("recipient"), blank=True)
    recipients = models.JSONField(_("recipients"), null=True, editable=False)
    recipients_error = models.TextField(
        _("why the recipients are not known"), blank=True, default="", db_default="", editable=False
    )
    recipients_due_at = models.DateTimeField(_("when the recipients are looked up again"), null=True, editable=False)
    mailbox = models.TextField(_("mailbox"), blank=True)
    url = models.TextField(_("URL"), blank=True)
    raw = models.JSONField(_("as received"))
    outcome = models.CharField(_("outcome"), max_length=30, choices=EvidenceOutcome.choices, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True)
    created_at_source = models.DateTimeField(_("first seen"), null=True)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects: ClassVar[TenantManager["Evidence"]] = TenantManager()

    class Meta:
        verbose_name = _("evidence")
        verbose_name_plural = _("evidence")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "alert", "entity_key"), name="one_evidence_per_entity"),
        )
        indexes = (
            models.Index(fields=("tenant", "investigation"), name="evidence_of_investigation"),
            models.Index(fields=("tenant", "sha1"), condition=~models.Q(sha1=""), name="evidence_by_sha1"),
            models.Index(fields=("tenant", "sha256"), condition=~models.Q(sha256=""), name="evidence_by_sha256"),
            models.Index(
                fields=("tenant", "network_message_id"),
                condition=~models.Q(network_message_id=""),
                name="evidence_by_message",
            ),
            models.Index(
                fields=("tenant", "id"),
                condition=models.Q(outcome=EvidenceOutcome.WAITING_FOR_RECIPIENTS),
                name="evidence_without_recipients",
            ),
        )

    def __str__(self) -> str:
        return self.label
