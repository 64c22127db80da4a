"""/devices/: the machines Defender for Endpoint knows."""

from django.db.models import QuerySet
from django_filters.rest_framework import CharFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from investigations.models import Device
from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet


class DeviceSerializer(serializers.ModelSerializer):
    """A device, with the group it is in and how far that lets automation go."""

    group_name = serializers.CharField(source="group.name", read_only=True)
    automation_level = serializers.CharField(source="group.automation_level", read_only=True)

    class Meta:
        model = Device
        fields = (
            "id",
            "tenant",
            "machine_id",
            "name",
            "domain",
            "os_platform",
            "os_version",
            "health_status",
            "risk_score",
            "entra_device_id",
            "defender_group",
            "tags",
            "last_ip",
            "first_seen_at",
            "last_seen_at",
            "group",
            "group_name",
            "automation_level",
            "created_at",
        )
        read_only_fields = fields


class DeviceFilterSet(TenantFilterSet):
    """By group, name, platform, Defender's id and tag."""

    group = UUIDFilter(field_name="group_id", label="Devices of one group, by its id.")
    name = CharFilter(lookup_expr="icontains", label="Part of the name, in any case.")
    os_platform = CharFilter(lookup_expr="iexact", label="Such as `Windows11`, in any case.")
    machine_id = CharFilter(lookup_expr="iexact", label="Defender's own id.")
    tag = CharFilter(method="filter_tag", label="Devices that wear this tag.")

    class Meta:
        model = Device
        fields = ("tenant", "group", "name", "os_platform", "machine_id", "tag")

    def filter_tag(self, queryset: QuerySet[Device], name: str, value: str) -> QuerySet[Device]:
        """Return the devices with the tag."""
        return queryset.filter(tags__contains=[value])


@extend_schema_view(
    list=extend_schema(description="Devices of all tenants you may see, last added first."),
    retrieve=extend_schema(description="One device."),
)
class DeviceViewSet(ReadingViewSet):
    """Devices come from sync and ingest; the API only reads them."""

    queryset = Device.objects.select_related("group")
    serializer_class = DeviceSerializer
    filterset_class = DeviceFilterSet
