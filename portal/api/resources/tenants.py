"""/tenants/: the customers the caller may see."""

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant


class TenantSerializer(serializers.ModelSerializer):
    """A customer."""

    class Meta:
        model = Tenant
        fields = ("id", "slug", "name", "entra_tenant_id", "device_isolation_is_automatic", "created_at")
        read_only_fields = fields


@extend_schema_view(
    list=extend_schema(description="The tenants you may see."),
    retrieve=extend_schema(description="One tenant."),
)
class TenantViewSet(ReadingViewSet):
    """Tenants, without the provider's own reserved one."""

    queryset = Tenant.objects.exclude(pk=PROVIDER_TENANT_ID)
    serializer_class = TenantSerializer
    filterset_fields = ("slug",)
