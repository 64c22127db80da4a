"""Connection: how one tenant's services are reached, and how far reading them has come."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from connectors.protocol import ConnectionSettings
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class Health(models.TextChoices):
    """What the last call to the tenant's services said about the connection."""

    UNTRIED = "untried", _("Not tried yet")
    WORKING = "working", _("Working")
    REFUSED = "refused", _("Refused")
    UNREACHABLE = "unreachable", _("Unreachable")


class Connection(TenantModel):
    """One tenant's way to Microsoft. The addresses are Microsoft's own by default; the demo points them elsewhere.

    No secret is here: the app's credential is the provider's, from the environment. `alerts_read_to` is the newest
    `lastUpdateDateTime` read (UTC); the next sync begins a little before it.
    """

    kind = models.CharField(_("kind"), max_length=40, default="microsoft")
    is_enabled = models.BooleanField(_("enabled"), default=True)
    login_url = models.URLField(_("sign-in address"), default="https://login.microsoftonline.com")
    defender_url = models.URLField(_("Defender address"), default="https://api.security.microsoft.com")
    graph_url = models.URLField(_("Graph address"), default="https://graph.microsoft.com")
    alerts_read_to = models.DateTimeField(_("alerts read to"), null=True, editable=False)
    devices_read_at = models.DateTimeField(_("devices read"), null=True, editable=False)
    next_sync_at = models.DateTimeField(_("next sync"), null=True, editable=False)
    health = models.CharField(
        _("health"), max_length=20, choices=Health.choices, default=Health.UNTRIED, editable=False
    )
    health_detail = models.TextField(_("health, in words"), blank=True, editable=False)
    health_at = models.DateTimeField(_("health seen"), null=True, editable=False)

    objects: ClassVar[TenantManager["Connection"]] = TenantManager()

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        base_manager_name = "objects"
        constraints = (models.UniqueConstraint(fields=("tenant", "kind"), name="one_connection_of_a_kind"),)
        indexes = (
            models.Index(fields=("next_sync_at",), condition=models.Q(is_enabled=True), name="connection_sync_due"),
        )

    def __str__(self) -> str:
        return self.kind

    def as_settings(self) -> ConnectionSettings:
        """Return the plain value a connector is opened with. Reads the tenant's row."""
        return ConnectionSettings(
            kind=self.kind,
            entra_tenant_id=str(self.tenant.entra_tenant_id),
            client_id=settings.MICROSOFT_CLIENT_ID,
            client_secret=settings.MICROSOFT_CLIENT_SECRET,
            login_url=self.login_url,
            defender_url=self.defender_url,
            graph_url=self.graph_url,
            ca_file=settings.MICROSOFT_CA_FILE,
        )
