"""The tenant's Intune: whether it is connected, its security tasks, and the devices it manages."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from investigations.models import Device
from portal.access.models import User
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantForeignKey, TenantModel
from remediation.vulnerabilities.models.activities import RemediationActivity
from remediation.vulnerabilities.states import IntuneHealth, TaskKind, TaskStatus


class IntuneConnection(TenantModel):
    """The tenant's Intune switch, off until somebody turns it on, and how Intune is; one row a tenant.

    `may_update_tasks` lets people accept, reject and complete tasks from here. `device_path` is the way to a task's
    devices that worked, since Microsoft documents none. `shrunk_at` is when a sweep first found half of the
    devices or fewer, None while sweeps are believed. Times are UTC.
    """

    is_on = models.BooleanField(_("Microsoft Intune connection"), default=False, db_default=False)
    may_update_tasks = models.BooleanField(
        _("accept, reject and complete tasks from Quell"), default=False, db_default=False
    )
    health = models.CharField(
        _("health"), max_length=20, choices=IntuneHealth.choices, default=IntuneHealth.UNTRIED, editable=False
    )
    health_detail = models.TextField(_("health, in words"), blank=True, editable=False)
    health_at = models.DateTimeField(_("health seen"), null=True, editable=False)
    partner_state = models.TextField(_("partner state"), blank=True, editable=False)
    heartbeat_at = models.DateTimeField(_("last heartbeat"), null=True, editable=False)
    device_path = models.TextField(blank=True, editable=False)
    tasks_read_at = models.DateTimeField(_("tasks read"), null=True, editable=False)
    devices_swept_at = models.DateTimeField(_("devices read whole"), null=True, editable=False)
    shrunk_at = models.DateTimeField(null=True, editable=False)
    next_sync_at = models.DateTimeField(_("next sync"), null=True, editable=False)

    objects: ClassVar[TenantManager["IntuneConnection"]] = TenantManager()

    class Meta:
        verbose_name = _("Intune connection")
        verbose_name_plural = _("Intune connections")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant",), name="one_intune_connection"),)

    def __str__(self) -> str:
        return gettext("Microsoft Intune connection of %(tenant)s") % {"tenant": self.tenant}


class SecurityTask(TenantModel):
    """A security task in Intune: one of ours from an activity, or one that was made elsewhere.

    The row is the queue of what goes to Intune: a task in `waiting` is to be made; `wanted_status` is what somebody
    asked Intune to move it to, "" when nothing is. `remote_id` is Intune's, "" until it answered. `absent_since` is
    when a look-up first found that Intune has none, a quiet while after it was sent. `admin_note` is what the IT admin
    wrote when they accepted, rejected or completed it.
    """

    activity = TenantForeignKey(
        RemediationActivity, on_delete=models.SET_NULL, null=True, related_name="tasks", verbose_name=_("activity")
    )
    remote_id = models.CharField(max_length=64, blank=True, editable=False)
    kind = models.CharField(_("kind"), max_length=20, choices=TaskKind.choices)
    status = models.CharField(_("status"), max_length=20, choices=TaskStatus.choices, default=TaskStatus.WAITING)
    detail = models.TextField(_("status, in words"), blank=True)
    display_name = models.TextField(_("name"))
    description = models.TextField(_("description"), blank=True)
    priority = models.TextField(_("priority"), blank=True)
    creator = models.TextField(_("creator"), blank=True)
    creator_notes = models.TextField(_("creator's notes"), blank=True)
    assigned_to = models.TextField(_("assigned to"), blank=True)
    admin_note = models.TextField(_("IT admin's note"), blank=True)
    due_at = models.DateTimeField(_("due"), null=True)
    created_at_source = models.DateTimeField(_("created in Intune"), null=True)
    managed_device_count = models.PositiveIntegerField(_("devices in Intune"), null=True)
    raw = models.JSONField(_("as received"), default=dict)
    wanted_status = models.CharField(max_length=20, choices=TaskStatus.choices, blank=True, editable=False)
    wanted_note = models.TextField(blank=True, editable=False)
    wanted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    not_before = models.DateTimeField(db_default=Now(), editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    sent_at = models.DateTimeField(null=True, editable=False)
    absent_since = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveIntegerField(default=0, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    devices_read_at = models.DateTimeField(_("devices read"), null=True, editable=False)
    created_at = models.DateTimeField(_("added"), db_default=Now())
    seen_at = models.DateTimeField(_("last seen in Intune"), null=True)

    objects: ClassVar[TenantManager["SecurityTask"]] = TenantManager()

    class Meta:
        verbose_name = _("security task")
        verbose_name_plural = _("security tasks")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant", "remote_id"), condition=~models.Q(remote_id=""), name="one_task_of_an_id"
            ),
        )
        indexes = (
            models.Index(fields=("tenant", "status", "-id"), name="task_by_status"),
            models.Index(
                fields=("not_before",),
                condition=models.Q(status__in=("waiting", "sending", "unconfirmed")) | ~models.Q(wanted_status=""),
                name="task_to_send",
            ),
        )

    def __str__(self) -> str:
        return self.display_name


class SecurityTaskDevice(TenantModel):
    """A device a security task names: `entra_device_id` is Microsoft's `id`, `intune_id` its `managedDeviceId`."""

    task = TenantForeignKey(SecurityTask, on_delete=models.CASCADE, db_index=False, related_name="devices")
    entra_device_id = models.TextField(_("Entra device id"))
    intune_id = models.TextField(_("Intune device id"), blank=True)
    name = models.TextField(_("name"), blank=True)
    last_sync_at = models.DateTimeField(_("last synced with Intune"), null=True)

    objects: ClassVar[TenantManager["SecurityTaskDevice"]] = TenantManager()

    class Meta:
        verbose_name = _("device of security task")
        verbose_name_plural = _("devices of security task")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "task", "entra_device_id"), name="one_device_per_task"),
        )

    def __str__(self) -> str:
        return self.name or self.entra_device_id


class ManagedDevice(TenantModel):
    """A device Intune manages; `device` is the same one in Defender, matched by its Entra device id.

    `swept_at` is the full sweep that last saw it; `removed_at` is set by the first one that no longer does.
    """

    intune_id = models.CharField(_("Intune device id"), max_length=64)
    entra_device_id = models.TextField(_("Entra device id"), blank=True)
    device = TenantForeignKey(
        Device, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("device in Defender")
    )
    name = models.TextField(_("name"), blank=True)
    operating_system = models.TextField(_("operating system"), blank=True)
    os_version = models.TextField(_("OS version"), blank=True)
    compliance_state = models.TextField(_("compliance"), blank=True)
    management_agent = models.TextField(_("managed by"), blank=True)
    owner_type = models.TextField(_("owner"), blank=True)
    user_principal_name = models.TextField(_("user"), blank=True)
    serial_number = models.TextField(_("serial number"), blank=True)
    category = models.TextField(_("category"), blank=True)
    last_sync_at = models.DateTimeField(_("last synced with Intune"), null=True)
    swept_at = models.DateTimeField(null=True, editable=False)
    removed_at = models.DateTimeField(_("no longer in Intune since"), null=True)

    objects: ClassVar[TenantManager["ManagedDevice"]] = TenantManager()

    class Meta:
        verbose_name = _("managed device")
        verbose_name_plural = _("managed devices")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "intune_id"), name="one_managed_device_of_an_id"),)
        indexes = (models.Index(fields=("tenant", "entra_device_id"), name="managed_by_entra_id"),)

    def __str__(self) -> str:
        return self.name or self.intune_id
