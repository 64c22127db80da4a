"""Connection: how one tenant's services are reached, and how far reading them has come."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from connectors.clouds import Cloud
from connectors.protocol import ConnectionSettings
from connectors.provider import provider_certificate
from portal.secrets.envelope import unseal
from portal.secrets.secret_text import SecretText
from portal.tenancy.managers import TenantManager
from portal.tenancy.models import TenantModel


class Health(models.TextChoices):
    """What the last call to the tenant's services, and the last check, said about the connection."""

    UNTRIED = "untried", _("Not tried yet")
    WORKING = "working", _("Working")
    CERTIFICATE_EXPIRES = "certificate_expires", _("Certificate expires soon")
    PERMISSIONS_MISSING = "permissions_missing", _("Permissions missing")
    CONSENT_MISSING = "consent_missing", _("Consent missing")
    CREDENTIAL_WRONG = "credential_wrong", _("Credential wrong")
    CREDENTIAL_EXPIRED = "credential_expired", _("Credential expired")
    TENANT_UNKNOWN = "tenant_unknown", _("Tenant unknown")
    WRONG_TENANT = "wrong_tenant", _("Wrong tenant")
    LICENCE_MISSING = "licence_missing", _("Licence missing")
    BLOCKED = "blocked", _("Blocked by conditional access")
    REFUSED = "refused", _("Refused")
    UNREACHABLE = "unreachable", _("Unreachable")


class ConnectionManager(TenantManager["Connection"]):
    """Connections in scope; their sealed secrets stay in the database until somebody asks for one by name."""

    def get_queryset(self) -> models.QuerySet["Connection"]:
        """Return the connections without their sealed secrets."""
        return super().get_queryset().defer("client_secret_sealed", "client_certificate_sealed")


class Connection(TenantModel):
    """One tenant's way to Microsoft. The addresses are Microsoft's own by default; the demo points them elsewhere.

    The app registration is the provider's, from the environment, unless the tenant has its own: `client_id` with a
    client secret or a certificate, sealed. `alerts_read_to` is the newest `lastUpdateDateTime` read (UTC); the next
    sync begins a little before it. `findings` is what the last check found, one object a line of it, at `checked_at`;
    None asks for a check. `consent_state_hash` is of the one state that an answer from Microsoft may carry.
    """

    kind = models.CharField(_("kind"), max_length=40, default="microsoft")
    is_enabled = models.BooleanField(_("enabled"), default=True)
    cloud = models.CharField(
        _("cloud"),
        max_length=20,
        choices=Cloud.choices,
        default=Cloud.GLOBAL,
        db_default=Cloud.GLOBAL,
        help_text=_("Where the tenant lives. Choosing another fills in its addresses."),
    )
    login_url = models.URLField(_("sign-in address"), default="https://login.microsoftonline.com")
    defender_url = models.URLField(_("Defender address"), default="https://api.security.microsoft.com")
    graph_url = models.URLField(_("Graph address"), default="https://graph.microsoft.com")
    exchange_url = models.URLField(
        _("Exchange address"), default="https://outlook.office365.com", db_default="https://outlook.office365.com"
    )
    capabilities = ArrayField(
        models.TextField(),
        verbose_name=_("what this tenant has"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("What Microsoft does not offer every tenant, by name."),
    )
    client_id = models.CharField(
        _("client id"),
        max_length=64,
        default="",
        db_default="",
        blank=True,
        help_text=_("The tenant's own app registration, used as soon as it has a credential. Empty: the provider's."),
    )
    client_secret_sealed = models.BinaryField(_("client secret"), null=True, editable=False)
    client_secret_set_at = models.DateTimeField(_("client secret set"), null=True, editable=False)
    client_certificate_sealed = models.BinaryField(_("certificate"), null=True, editable=False)
    client_certificate_thumbprint = models.CharField(
        _("certificate's thumbprint (SHA-256)"), max_length=64, default="", db_default="", editable=False
    )
    client_certificate_expires_at = models.DateTimeField(_("certificate expires"), null=True, editable=False)
    consent_state_hash = models.CharField(max_length=64, default="", db_default="", editable=False)
    consent_state_ends_at = models.DateTimeField(null=True, editable=False)
    alerts_read_to = models.DateTimeField(_("alerts read to"), null=True, editable=False)
    devices_read_at = models.DateTimeField(_("devices read"), null=True, editable=False)
    next_sync_at = models.DateTimeField(_("next sync"), null=True, editable=False)
    health = models.CharField(
        _("health"), max_length=20, choices=Health.choices, default=Health.UNTRIED, editable=False
    )
    health_detail = models.TextField(_("health, in words"), blank=True, editable=False)
    health_at = models.DateTimeField(_("health seen"), null=True, editable=False)
    checked_at = models.DateTimeField(_("checked"), null=True, editable=False)
    findings = models.JSONField(_("what the check found"), default=list, db_default=[], editable=False)

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
            models.CheckConstraint(
                condition=models.Q(client_certificate_sealed=None)
                | (~models.Q(client_id="") & models.Q(client_certificate_expires_at__isnull=False)),
                name="client_certificate_belongs_to_a_client_id",
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

    @property
    def certificate_place(self) -> str:
        """What the certificate is bound to, besides the tenant: this very column of this very row."""
        return f"connectors.connection.{self.pk}.client_certificate"

    @property
    def has_own_credential(self) -> bool:
        """Whether the tenant's own app registration is used."""
        return self.client_secret_set_at is not None or self.client_certificate_expires_at is not None

    @property
    def application_id(self) -> str:
        """The app registration that signs in: the tenant's own once it has a credential, else the provider's."""
        return self.client_id if self.has_own_credential else settings.MICROSOFT_CLIENT_ID

    def as_settings(self) -> ConnectionSettings:
        """Return the plain value a connector is opened with. Reads the tenant's row, and its data key where needed.

        Raises SecretUnreadable for a credential that does not open, also for the provider's certificate file.
        """
        client_secret, client_certificate = self._credential()
        return ConnectionSettings(
            kind=self.kind,
            entra_tenant_id=str(self.tenant.entra_tenant_id),
            client_id=self.application_id,
            client_secret=client_secret,
            client_certificate=client_certificate,
            login_url=self.login_url,
            defender_url=self.defender_url,
            graph_url=self.graph_url,
            exchange_url=self.exchange_url,
            capabilities=frozenset(self.capabilities),
            cloud=self.cloud,
            ca_file=settings.MICROSOFT_CA_FILE,
        )

    def _credential(self) -> tuple[SecretText, SecretText | None]:
        """Return the client secret and the certificate to sign in with: the tenant's own, else the provider's."""
        if self.client_certificate_sealed is not None:
            sealed = bytes(self.client_certificate_sealed)
            return SecretText(""), SecretText(unseal(self.tenant_id, self.certificate_place, sealed))
        if self.client_secret_sealed is not None:
            sealed = bytes(self.client_secret_sealed)
            return SecretText(unseal(self.tenant_id, self.secret_place, sealed)), None
        return SecretText(settings.MICROSOFT_CLIENT_SECRET), provider_certificate()
