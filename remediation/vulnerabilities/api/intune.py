"""/intune-connections/: whether a tenant's Intune is connected, and how it is."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import ExactSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant
from remediation.vulnerabilities.intune import switching
from remediation.vulnerabilities.models import IntuneConnection
from remediation.vulnerabilities.states import IntuneHealth


class IntuneConnectionSerializer(serializers.ModelSerializer):
    """A tenant's Intune connection. Without one, Intune is off."""

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)
    health = serializers.ChoiceField(IntuneHealth.choices, read_only=True)
    partner_state = serializers.CharField(
        read_only=True, help_text="Microsoft's word for Intune's connector to Defender."
    )

    class Meta:
        model = IntuneConnection
        fields = (
            "id", "tenant", "tenant_name", *switching.CHANGEABLE, "health", "health_detail", "health_at",
            "partner_state", "heartbeat_at", "tasks_read_at", "devices_swept_at",
        )  # fmt: skip
        read_only_fields = fields


class ChangeIntuneConnectionSerializer(ExactSerializer, serializers.ModelSerializer):
    """What to change; what is left out stays."""

    is_on = serializers.BooleanField(
        required=False, help_text="Turned off, what waits keeps waiting and goes on once it is on again."
    )
    may_update_tasks = serializers.BooleanField(
        required=False,
        help_text="Lets people accept, reject and complete the tenant's tasks from here. Turning it on takes a second"
        " factor just shown.",
    )

    class Meta:
        model = IntuneConnection
        fields = switching.CHANGEABLE


class NewIntuneConnectionSerializer(ChangeIntuneConnectionSerializer):
    """An Intune connection to be; off unless it says otherwise."""

    tenant = RowField(queryset=Tenant.objects.filter(is_active=True))

    class Meta(ChangeIntuneConnectionSerializer.Meta):
        fields = ("tenant", *switching.CHANGEABLE)  # type: ignore[assignment]  # longer than the one it extends
        validators: list[object] = []  # the service tells of a second one, as a conflict


class IntuneConnectionFilterSet(TenantFilterSet):
    """By tenant, health and whether it is on."""

    class Meta:
        model = IntuneConnection
        fields = ("tenant", "health", "is_on")


@extend_schema_view(
    list=extend_schema(description="Intune connections of all tenants you may see; a tenant without one is off."),
    retrieve=extend_schema(description="One Intune connection."),
)
class IntuneConnectionViewSet(ReadingViewSet):
    """Intune connections."""

    queryset = IntuneConnection.objects.select_related("tenant")
    serializer_class = IntuneConnectionSerializer
    filterset_class = IntuneConnectionFilterSet

    @extend_schema(request=NewIntuneConnectionSerializer, responses={201: IntuneConnectionSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Give a tenant its Intune connection; turned on, which no API key does, it is read at once."""
        body = NewIntuneConnectionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        connection = IntuneConnection(**body.validated_data)
        made = switching.create_intune_connection(connection, actor=self.actor)
        return Response(IntuneConnectionSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ChangeIntuneConnectionSerializer, responses=IntuneConnectionSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Turn it on or off, or let tasks be moved from here; no API key does. Turned off half-way, nothing is lost."""
        connection: IntuneConnection = self.get_object()
        body = ChangeIntuneConnectionSerializer(connection, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        changed = switching.change_intune_connection(connection.pk, body.validated_data, actor=self.actor)
        return Response(IntuneConnectionSerializer(changed).data)
