"""/managed-devices/: the devices Intune manages, and which of Defender's they are."""

from django_filters.rest_framework import BooleanFilter, CharFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet
from remediation.vulnerabilities.models import ManagedDevice


class ManagedDeviceSerializer(serializers.ModelSerializer):
    """A device that Intune manages. `device` is the same one in Defender, by its Entra device id; null for none."""

    tenant_name = serializers.CharField(source="tenant.name", read_only=True)

    class Meta:
        model = ManagedDevice
        fields = (
            "id", "tenant", "tenant_name", "device", "intune_id", "entra_device_id", "name", "operating_system",
            "os_version", "compliance_state", "management_agent", "owner_type", "user_principal_name",
            "serial_number", "category", "last_sync_at", "removed_at",
        )  # fmt: skip
        read_only_fields = fields


class ManagedDeviceFilterSet(TenantFilterSet):
    """By tenant, name, compliance, whether Defender knows it, and whether Intune still has it."""

    name = CharFilter(lookup_expr="icontains", label="Part of the name.")
    compliance_state = CharFilter(label="Microsoft's word, such as `compliant` or `noncompliant`.")
    is_matched = BooleanFilter(
        field_name="device_id", lookup_expr="isnull", exclude=True, label="Defender knows it by its Entra device id."
    )
    is_removed = BooleanFilter(
        field_name="removed_at", lookup_expr="isnull", exclude=True, label="Intune no longer lists it."
    )

    class Meta:
        model = ManagedDevice
        fields = ("tenant", "name", "compliance_state", "is_matched", "is_removed")


@extend_schema_view(
    list=extend_schema(description="Managed devices of all tenants you may see, newest first, removed ones too."),
    retrieve=extend_schema(description="One managed device."),
)
class ManagedDeviceViewSet(ReadingViewSet):
    """Devices managed by Intune, as the last whole reading found them."""

    queryset = ManagedDevice.objects.select_related("tenant")
    serializer_class = ManagedDeviceSerializer
    filterset_class = ManagedDeviceFilterSet
