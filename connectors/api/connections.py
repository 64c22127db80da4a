"""/connections/: how each tenant is reached, and with whose credential. No secret ever comes out."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from connectors import services
from connectors.models import Connection, Health
from connectors.registry import CONNECTORS
from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.permissions import SessionOnly
from portal.api.viewsets import ReadingViewSet
from portal.secrets.secret_text import SecretText
from portal.tenancy.models import Tenant

_OWN_ID = "The tenant's own app registration; its secret is set apart. Empty: the provider's is used."


class ConnectionSerializer(serializers.ModelSerializer):
    """A connection. Of its own client secret one learns only since when there is one."""

    health = serializers.ChoiceField(Health.choices, read_only=True)

    class Meta:
        model = Connection
        fields = (
            "id", "tenant", "kind", *services.CHANGEABLE, "client_secret_set_at", "health", "health_detail",
            "health_at", "alerts_read_to", "devices_read_at",
        )  # fmt: skip
        read_only_fields = fields


class ChangeConnectionSerializer(serializers.ModelSerializer):
    """What to change; what is left out stays. The addresses are for provider admins."""

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
