"""/connections/: how each tenant is reached, and with whose credential. No secret ever comes out."""

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from connectors import consent, services
from connectors.certificates import MOST_CHARACTERS
from connectors.models import Connection, Health
from connectors.protocol import CAPABILITIES
from connectors.registry import CONNECTORS
from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import ShownOnce, replayable
from portal.api.permissions import SessionOnly
from portal.api.viewsets import ReadingViewSet
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant

_OWN_ID = "The tenant's own app registration; its secret is set apart. Empty: the provider's is used."


class FindingSerializer(serializers.Serializer):
    """One line of a check: what was tried, whether it works, and what to do about it where it does not."""

    what = serializers.CharField()
    works = serializers.BooleanField()
    words = serializers.CharField()
    code = serializers.CharField(help_text="Microsoft's error code or the missing permission; empty where it works.")


class ConnectionSerializer(serializers.ModelSerializer):
    """A connection. Of its own credential one learns only since when or until when there is one."""

    health = serializers.ChoiceField(Health.choices, read_only=True)
    findings = FindingSerializer(many=True, read_only=True, help_text="What the last check found.")

    class Meta:
        model = Connection
        fields = (
            "id", "tenant", "kind", *services.CHANGEABLE, "client_secret_set_at", "client_certificate_thumbprint",
            "client_certificate_expires_at", "health", "health_detail", "health_at", "checked_at", "findings",
            "alerts_read_to", "devices_read_at",
        )  # fmt: skip
        read_only_fields = fields


class ChangeConnectionSerializer(serializers.ModelSerializer):
    """What to change; what is left out stays. Cloud, addresses and capabilities are for provider admins."""

    capabilities = serializers.ListField(
        child=serializers.ChoiceField(CAPABILITIES), required=False, help_text="What Microsoft offers this tenant."
    )
    client_id = serializers.CharField(max_length=64, allow_blank=True, required=False, help_text=_OWN_ID)

    class Meta:
        model = Connection
        fields = services.CHANGEABLE


class NewConnectionSerializer(ChangeConnectionSerializer):
    """A connection to be; without addresses it gets Microsoft's own."""

    tenant = RowField(queryset=Tenant.objects.filter(is_active=True))
    kind = serializers.ChoiceField(sorted(CONNECTORS), default="microsoft")

    class Meta(ChangeConnectionSerializer.Meta):
        fields = ("tenant", "kind", *services.CHANGEABLE)  # type: ignore[assignment]  # longer than the one it extends
        validators: list[Any] = []  # the service tells of a second one, as a conflict


class ClientSecretSerializer(serializers.Serializer):
    """A new client secret."""

    client_secret = serializers.CharField(max_length=500, write_only=True, help_text="It is never shown again.")


class ClientCertificateSerializer(serializers.Serializer):
    """A new certificate with its private key."""

    client_certificate = serializers.CharField(
        max_length=MOST_CHARACTERS, write_only=True, help_text="PEM: private key and certificate. Never shown again."
    )


class ConsentLinkSerializer(serializers.Serializer):
    """Where the customer's admin consents. The answer counts once, for who asked, until `ends_at`."""

    tenant = serializers.UUIDField()
    url = serializers.URLField(allow_null=True, help_text="Told once; null in a replay.")
    ends_at = serializers.DateTimeField()


class ConnectionFilterSet(TenantFilterSet):
    """By tenant, kind, health and whether it is on."""

    class Meta:
        model = Connection
        fields = ("tenant", "kind", "health", "is_enabled")


@extend_schema_view(
    list=extend_schema(description="Connections of all tenants you may see."),
    retrieve=extend_schema(description="One connection."),
)
class ConnectionViewSet(ReadingViewSet):
    """Connections. What decides who signs in and where takes a person who just showed a second factor."""

    queryset = Connection.objects.all()
    serializer_class = ConnectionSerializer
    filterset_class = ConnectionFilterSet

    @extend_schema(request=NewConnectionSerializer, responses={201: ConnectionSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Connect a tenant; for provider admins. It begins to sync at once where it is enabled."""
        body = NewConnectionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        connection = Connection(**body.validated_data)
        services.create_connection(connection, actor=self.actor)
        return Response(ConnectionSerializer(connection).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ChangeConnectionSerializer, responses=ConnectionSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a connection. Addresses and client id take a second factor just shown, so no API key changes them."""
        connection: Connection = self.get_object()
        body = ChangeConnectionSerializer(connection, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        changed = services.change_connection(connection.pk, body.validated_data, actor=self.actor)
        return Response(ConnectionSerializer(changed).data)

    @extend_schema(request=ClientSecretSerializer, responses=ConnectionSerializer)
    @action(detail=True, methods=["post"], url_path="set-client-secret", permission_classes=[SessionOnly])
    @replayable
    def set_client_secret(self, request: Request, pk: str) -> Response:
        """Set the secret of the tenant's own app registration. It takes a second factor just shown, so no API key."""
        connection: Connection = self.get_object()
        body = ClientSecretSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        secret = SecretText(body.validated_data["client_secret"])
        changed = services.set_client_secret(connection.pk, secret, actor=self.actor)
        return Response(ConnectionSerializer(changed).data)

    @extend_schema(request=ClientCertificateSerializer, responses=ConnectionSerializer)
    @action(detail=True, methods=["post"], url_path="set-client-certificate", permission_classes=[SessionOnly])
    @replayable
    def set_client_certificate(self, request: Request, pk: str) -> Response:
        """Set the certificate of the tenant's own app registration, in place of its secret. No API key may."""
        connection: Connection = self.get_object()
        body = ClientCertificateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        pem = SecretText(body.validated_data["client_certificate"])
        changed = services.set_client_certificate(connection.pk, pem, actor=self.actor)
        return Response(ConnectionSerializer(changed).data)

    @extend_schema(request=None, responses={202: ConnectionSerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def check(self, request: Request, pk: str) -> Response:
        """Have a worker check the connection now; `checked_at` is null until it has, then `findings` tell."""
        connection: Connection = self.get_object()
        checked = services.request_check(connection.pk, actor=self.actor)
        return Response(ConnectionSerializer(checked).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={201: ConsentLinkSerializer})
    @action(detail=True, methods=["post"], url_path="ask-for-consent", permission_classes=[SessionOnly])
    @replayable
    def ask_for_consent(self, request: Request, pk: str) -> Response:
        """Get a link to Microsoft's consent page. It comes back to the portal, in a browser signed in as you."""
        connection: Connection = self.get_object()
        back = request.build_absolute_uri(reverse(consent.RETURN_PAGE))
        link = consent.ask_for_consent(connection.pk, return_address=back, actor=self.actor)
        told = {"tenant": str(connection.tenant_id), "url": link.url, "ends_at": link.ends_at}
        return ShownOnce(told, secrets=["url"], status=status.HTTP_201_CREATED)
