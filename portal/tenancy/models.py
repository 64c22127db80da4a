"""Tenant: a customer. TenantGroup: the provider's own way to gather customers. TenantModel: a row of customer data."""

from typing import ClassVar
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from portal.tenancy.managers import TenantManager, TenantsInScope

PROVIDER_TENANT_ID = UUID("00000000-0000-7000-8000-000000000001")
"""The reserved tenant that events without a customer belong to; it has no connection and no devices."""


class Tenant(models.Model):
    """A customer. `entra_tenant_id` is who they are at Microsoft; alerts that name another tenant are refused."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(_("short name"), unique=True, help_text=_("Used on the command line and in file names."))
    name = models.CharField(_("name"), max_length=200)
    entra_tenant_id = models.UUIDField(_("Microsoft Entra tenant id"), unique=True)
    device_isolation_is_automatic = models.BooleanField(
        _("isolate devices without asking"),
        default=False,
        help_text=_("Off: isolating a malicious device always waits for approval. On: groups at Full isolate at once."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = TenantsInScope["Tenant"]()
    across_tenants: ClassVar[models.Manager["Tenant"]] = models.Manager()

    class Meta:
        verbose_name = _("tenant")
        verbose_name_plural = _("tenants")
        ordering = ("name",)
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.name


class TenantGroup(models.Model):
    """A named set of tenants that provider staff can be given together; the provider's own, no customer data."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(_("name"), max_length=200, unique=True)
    tenants: "models.ManyToManyField[Tenant, models.Model]" = models.ManyToManyField(
        Tenant, through="TenantGroupMember", related_name="groups", verbose_name=_("tenants")
    )

    class Meta:
        verbose_name = _("tenant group")
        verbose_name_plural = _("tenant groups")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class TenantGroupMember(models.Model):
    """One tenant's place in one group."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    group = models.ForeignKey(TenantGroup, on_delete=models.CASCADE, verbose_name=_("group"))
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", verbose_name=_("tenant"))

    class Meta:
        verbose_name = _("group member")
        verbose_name_plural = _("group members")
        constraints = (models.UniqueConstraint(fields=("group", "tenant"), name="one_place_per_group"),)

    def __str__(self) -> str:
        return str(self.tenant_id)


class TenantModel(models.Model):
    """A row of one customer's data: its tenant on it, held by the scope here and by row-level security below.

    A foreign key to another tenant model is a `TenantForeignKey`; the `Isolate` migration operation makes it a
    composite one, (tenant_id, x_id), since row-level security does not police foreign keys.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+", verbose_name=_("tenant"))

    objects = TenantManager["TenantModel"]()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class TenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A foreign key between rows of one tenant; its database constraint is the composite one that `Isolate` adds."""

    def __init__(self, to: object, on_delete: object, **options: object) -> None:
        options["db_constraint"] = False
        super().__init__(to, on_delete, **options)  # type: ignore[arg-type]
