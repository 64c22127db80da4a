"""AuditEvent: one line of a tenant's history, numbered without gaps, chained, never changed. Sealing: its last seal."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class AuditEvent(TenantModel):
    """One thing that happened. Written by `record()` through the database function audit_append, and by nothing else.

    `seq` counts up by one per tenant in order of commit. `at` is PostgreSQL's clock (UTC). The actor is kept as id and
    label, without a foreign key: the history outlives the person's account. `hash` is the SHA-256 of all other columns
    (`portal.audit.verify` says how), `previous_hash` that of the row before; null in rows older than the chain.
    """

    seq = models.BigIntegerField(_("number"))
    at = models.DateTimeField(_("time"))
    verb = models.CharField(_("event"), max_length=80)
    object_type = models.CharField(_("kind of object"), max_length=60)
    object_id = models.UUIDField(_("object"))
    actor_id = models.UUIDField(_("actor id"), null=True)
    actor_label = models.CharField(_("actor"), max_length=254)
    data = models.JSONField(_("details"), default=dict)
    previous_hash = models.BinaryField(_("previous hash"), null=True)
    hash = models.BinaryField(_("hash"), null=True)

    objects: ClassVar[TenantManager["AuditEvent"]] = TenantManager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        base_manager_name = "objects"
        ordering = ("-at", "-seq")
        constraints = (models.UniqueConstraint(fields=("tenant", "seq"), name="audit_number_once_per_tenant"),)
        indexes = (
            models.Index(fields=("tenant", "object_id", "seq"), name="audit_of_object"),
            models.Index(fields=("at", "seq"), name="audit_newest"),
        )

    def __str__(self) -> str:
        return f"{self.seq} {self.verb}"


class Sealing(models.Model):
    """When history was last sealed and how many tenants' histories were then shorter than a seal says; one row.

    For pages only: what proves anything is the seal file, outside the database.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    sealed_at = models.DateTimeField(_("last sealed"))
    shortened = models.PositiveIntegerField(_("shortened histories"), default=0)

    objects: ClassVar[models.Manager["Sealing"]] = models.Manager()

    class Meta:
        verbose_name = _("audit sealing")
        verbose_name_plural = _("audit sealing")
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="audit_one_sealing"),)

    def __str__(self) -> str:
        return str(self.sealed_at)
