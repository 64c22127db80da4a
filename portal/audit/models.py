"""AuditEvent: one line of a tenant's history, numbered without gaps, never changed."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class AuditEvent(TenantModel):
    """One thing that happened. Written by `record()` through the database function audit_append, and by nothing else.

    `seq` counts up by one per tenant in order of commit. `at` is PostgreSQL's clock (UTC). The actor is kept as id and
    label, without a foreign key: the history outlives the person's account.
    """

    seq = models.BigIntegerField(_("number"))
    at = models.DateTimeField(_("time"))
    verb = models.CharField(_("event"), max_length=80)
    object_type = models.CharField(_("kind of object"), max_length=60)
    object_id = models.UUIDField(_("object"))
    actor_id = models.UUIDField(_("actor id"), null=True)
    actor_label = models.CharField(_("actor"), max_length=254)
    data = models.JSONField(_("details"), default=dict)

    objects: ClassVar[TenantManager["AuditEvent"]] = TenantManager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        base_manager_name = "objects"
        ordering = ("-at", "-seq")
        constraints = (models.UniqueConstraint(fields=("tenant", "seq"), name="audit_number_once_per_tenant"),)
        indexes = (models.Index(fields=("tenant", "object_id", "seq"), name="audit_of_object"),)

    def __str__(self) -> str:
        return f"{self.seq} {self.verb}"
