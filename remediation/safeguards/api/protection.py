"""/protected-devices/: devices that nothing harmful is done to without two people."""

from django.db.models import QuerySet
from django_filters.rest_framework import UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from investigations.models import Device
from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from remediation.safeguards import protection
from remediation.safeguards.models import ProtectedDevice


class ProtectedDeviceSerializer(serializers.ModelSerializer):
    """A device's protection."""

    device_name = serializers.CharField(source="device.name", read_only=True)

    class Meta:
        model = ProtectedDevice
        fields = ("id", "tenant", "device", "device_name", "reason", "protected_by", "protected_at")
        read_only_fields = fields


class ProtectDeviceSerializer(serializers.Serializer):
    """A device to protect."""

    device = RowField(queryset=Device.objects.all())
    reason = serializers.CharField(max_length=1000, help_text="Why; it goes on record.")


class ProtectedDeviceFilterSet(TenantFilterSet):
    """By tenant and device."""

    device = UUIDFilter(field_name="device_id", label="The protection of one device, by its id.")

    class Meta:
        model = ProtectedDevice
        fields = ("tenant", "device")


@extend_schema_view(
    list=extend_schema(description="Protected devices of all tenants you may see, last protected first."),
    retrieve=extend_schema(description="One device's protection."),
)
class ProtectedDeviceViewSet(ReadingViewSet):
    """Protecting takes one person; `unprotect_device` under POST /guarded-changes/ and a second person take it away."""

    queryset = ProtectedDevice.objects.select_related("device")
    serializer_class = ProtectedDeviceSerializer
    filterset_class = ProtectedDeviceFilterSet

    def get_queryset(self) -> QuerySet[ProtectedDevice]:
        """Return the rows in scope."""
        return super().get_queryset().order_by("-id")

    @extend_schema(request=ProtectDeviceSerializer, responses={201: ProtectedDeviceSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Protect a device from now on, also from what is approved and not sent yet."""
        body = ProtectDeviceSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = protection.protect(body.validated_data["device"], actor=self.actor, reason=body.validated_data["reason"])
        return Response(ProtectedDeviceSerializer(made).data, status=status.HTTP_201_CREATED)
