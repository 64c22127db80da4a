"""/tenant-groups/: the provider's own way to gather customers, for provider admins."""

from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import tenant_groups
from portal.api.idempotency import replayable
from portal.api.resources.managing import ProviderViewSet, tenants_field
from portal.tenancy.models import Tenant, TenantGroup


class TenantGroupSerializer(serializers.ModelSerializer):
    """A group of tenants that provider staff can be given together."""

    tenants: "serializers.PrimaryKeyRelatedField[Tenant]" = serializers.PrimaryKeyRelatedField(
        many=True, read_only=True
    )

    class Meta:
        model = TenantGroup
        fields = ("id", "name", "tenants")
        read_only_fields = fields


class NewTenantGroupSerializer(serializers.Serializer):
    """A group to be."""

    name = serializers.CharField(max_length=200)
    tenants = tenants_field(required=False)


class NameSerializer(serializers.Serializer):
    """What it is called."""

    name = serializers.CharField(max_length=200)


class TenantsSerializer(serializers.Serializer):
    """Which tenants."""

    tenants = tenants_field()


@extend_schema_view(
    list=extend_schema(description="All tenant groups with their tenants; empty unless you administer the provider."),
    retrieve=extend_schema(description="One tenant group."),
)
class TenantGroupViewSet(ProviderViewSet):
    """Tenant groups; a change of who is in one is a change of its staff's rights."""

    queryset = TenantGroup.objects.prefetch_related("tenants")
    serializer_class = TenantGroupSerializer
    filterset_fields = ("name",)

    @extend_schema(request=NewTenantGroupSerializer, responses={201: TenantGroupSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Make a group."""
        body = NewTenantGroupSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        inside = [tenant.pk for tenant in body.validated_data.get("tenants", ())]
        group = tenant_groups.create_group(name=body.validated_data["name"], tenant_ids=inside, actor=self.actor)
        return Response(TenantGroupSerializer(group).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=NameSerializer, responses=TenantGroupSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename a group."""
        body = NameSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        group = tenant_groups.change_group(self.get_object().pk, **body.validated_data, actor=self.actor)
        return Response(TenantGroupSerializer(group).data)

    @extend_schema(responses={204: OpenApiResponse(description="It is deleted.")})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a group that gives nobody a role."""
        tenant_groups.delete_group(self.get_object().pk, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=TenantsSerializer, responses=TenantGroupSerializer)
    @action(detail=True, methods=["post"], url_path="add-tenants")
    @replayable
    def add_tenants(self, request: Request, pk: str) -> Response:
        """Put tenants into the group; its staff may then act for them."""
        group = tenant_groups.add_tenants(self.get_object().pk, self._tenant_ids(request), actor=self.actor)
        return Response(TenantGroupSerializer(group).data)

    @extend_schema(request=TenantsSerializer, responses=TenantGroupSerializer)
    @action(detail=True, methods=["post"], url_path="remove-tenants")
    @replayable
    def remove_tenants(self, request: Request, pk: str) -> Response:
        """Take tenants out of the group; its staff lose what they could do there at once."""
        group = tenant_groups.remove_tenants(self.get_object().pk, self._tenant_ids(request), actor=self.actor)
        return Response(TenantGroupSerializer(group).data)

    def _tenant_ids(self, request: Request) -> list:
        body = TenantsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return [tenant.pk for tenant in body.validated_data["tenants"]]
