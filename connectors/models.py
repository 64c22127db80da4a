"""Connection: how one tenant's services are reached, and how far reading them has come."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from connectors.protocol import ConnectionSettings
from portal.secrets.envelope import unseal
from portal.secrets.secret_text import SecretText
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class Health(models.TextChoices):
    """What the last call to the tenant's services said about the connection."""

    UNTRIED = "untried", _("Not tried yet")
    WORKING = "working", _("Working")
    REFUSED = "refused", _("Refused")
    UNREACHABLE = "unreachable", _("Unreachable")


class ConnectionManager(TenantManager["Connection"]):
    """Connections in scope; their sealed secrets stay in the database until somebody asks for one by name."""

    def get_queryset(self) -> models.QuerySet["Connection"]:
        """Return the connections without their sealed secrets."""
        return super().get_queryset().defer("client_secret_sealed")


class Connection(TenantModel):
    """One tenant's way to Microsoft. The addresses are Microsoft's own by default; the demo points them elsewhere.

    The app registration is the provider's, from the environment, unless the tenant has its own: `client_id` with a
    client secret, sealed. `alerts_read_to` is the newest `lastUpdateDateTime` read (UTC); the next sync begins a little
    before it.
    """

    kind = models.CharField(_("kind"), max_length=40, default="microsoft")
    is_enabled = models.BooleanField(_("enabled"), default=True)
    login_url = models.URLField(_("sign-in address"), default="https://login.microsoftonline.com")
    defender_url = models.URLField(_("Defender address"), default="https://api.security.microsoft.com")
    graph_url = models.URLField(_("Graph address"), default="https://graph.microsoft.com")
    client_id = models.CharField(
        _("client id"),
        max_length=64,
        default="",
        db_default="",
        blank=True,
        help_text=_("The tenant's own app registration, used as soon as its secret is set. Empty: the provider's."),
    )
    client_secret_sealed = models.BinaryField(_("client secret"), null=True, editable=False)
    client_secret_set_at = models.DateTimeField(_("client secret set"), null=True, editable=False)
    alerts_read_to = models.DateTimeField(_("alerts read to"), null=True, editable=False)
    devices_read_at = models.DateTimeField(_("devices read"), null=True, editable=False)
    next_sync_at = models.DateTimeField(_("next sync"), null=True, editable=False)
    health = models.CharField(
        _("health"), max_length=20, choices=Health.choices, default=Health.UNTRIED, editable=False
    )
    health_detail = models.TextField(_("health, in words"), blank=True, editable=False)
    health_at = models.DateTimeField(_("health seen"), null=True, editable=False)

    objects: ClassVar[ConnectionManager] = ConnectionManager()

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        base_manager_name = "objects"
        constraints = (
            models.UniqueConstraint(fields=("tenant", "kind"), name="one_connection_of_a_kind"),
            models.CheckConstraint(
                condition=models.Q(client_secret_sealed=None)
                | (~models.Q(client_id="") & models.Q(client_secret_set_at__isnull=False)),
                name="client_secret_belongs_to_a_client_id",
            ),
        )
        indexes = (
            models.Index(fields=("next_sync_at",), condition=models.Q(is_enabled=True), name="connection_sync_due"),
        )

    def __str__(self) -> str:
        return self.kind

    @property
    def secret_place(self) -> str:
        """What the client secret is bound to, besides the tenant: this very column of this very row."""
        return f"connectors.connection.{self.pk}.client_secret"

    def as_settings(self) -> ConnectionSettings:
        """Return the plain value a connector is opened with. Reads the tenant's row, and its data key where needed.

        Raises SecretUnreadable for a client secret that does not open.
        """
        client_id, client_secret = settings.MICROSOFT_CLIENT_ID, SecretText(settings.MICROSOFT_CLIENT_SECRET)
        if self.client_secret_sealed is not None:
            client_id = self.client_id
            client_secret = SecretText(unseal(self.tenant_id, self.secret_place, bytes(self.client_secret_sealed)))
        return ConnectionSettings(
            kind=self.kind,
            entra_tenant_id=str(self.tenant.entra_tenant_id),
            client_id=client_id,
            client_secret=client_secret,
            login_url=self.login_url,
            defender_url=self.defender_url,
            graph_url=self.graph_url,
            ca_file=settings.MICROSOFT_CA_FILE,
        )
