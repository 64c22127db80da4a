"""TenantDataKey: the key that one tenant's secrets are sealed with, itself wrapped by a master key."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class TenantDataKey(TenantModel):
    """One version of a tenant's data key. At most one of them seals; retired ones only open.

    A retired key stays, so that nothing sealed with it is lost; after `rotate_keys --data-keys` it opens nothing.
    """

    version = models.PositiveIntegerField(_("version"))
    wrapped_key = models.BinaryField(_("wrapped key"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    retired_at = models.DateTimeField(_("retired"), null=True)

    objects: ClassVar[TenantManager["TenantDataKey"]] = TenantManager()

    class Meta:
        verbose_name = _("data key")
        verbose_name_plural = _("data keys")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "version"), name="one_data_key_per_version"),
            models.UniqueConstraint(
                fields=("tenant",), condition=models.Q(retired_at=None), name="one_sealing_data_key_per_tenant"
            ),
        )

    def __str__(self) -> str:
        return str(self.version)
