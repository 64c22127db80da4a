"""IdentityProvider: where the people of one tenant sign in with their organisation's own account."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class IdentityProvider(TenantModel):
    """A tenant's OpenID Connect sign-in; the reserved provider tenant's is for provider staff.

    The client secret is sealed and can be replaced, not read. `entra_tenant_id` pins the `tid` of Microsoft's tokens.
    """

    issuer = models.URLField(
        _("issuer"),
        max_length=500,
        help_text=_("As the ID tokens say it, such as https://login.microsoftonline.com/<tenant id>/v2.0"),
    )
    client_id = models.CharField(_("client id"), max_length=200)
    sealed_client_secret = models.BinaryField(editable=False)
    entra_tenant_id = models.UUIDField(
        _("Microsoft Entra tenant id"),
        null=True,
        blank=True,
        help_text=_("Needed with Microsoft Entra: only accounts of this directory are let in."),
    )
    is_enabled = models.BooleanField(_("enabled"), default=True)

    objects: ClassVar[TenantManager["IdentityProvider"]] = TenantManager()

    class Meta:
        verbose_name = _("identity provider")
        verbose_name_plural = _("identity providers")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant",), name="one_identity_provider_per_tenant"),)

    def __str__(self) -> str:
        return self.issuer
