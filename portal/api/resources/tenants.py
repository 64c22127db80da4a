"""/tenants/: the customers the caller may see; provider admins take them on and switch them off."""

from django_filters.rest_framework import BooleanFilter, CharFilter, FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import tenants
from portal.api.idempotency import replayable
from portal.api.permissions import KeysRead
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant


class TenantSerializer(serializers.ModelSerializer):
    """A customer. One that is not `is_active` is seen by provider admins alone."""

    class Meta:
        model = Tenant
        fields = (
            "id",
            "slug",
            "name",
            "entra_tenant_id",
            "device_isolation_is_automatic",
            "is_active",
            "created_at",
        )
        read_only_fields = fields


class NewTenantSerializer(serializers.ModelSerializer):
    """A customer to be."""

    class Meta:
        model = Tenant
        fields = ("slug", "name", "entra_tenant_id")


class ChangeTenantSerializer(serializers.ModelSerializer):
    """What can be changed about a customer."""

    class Meta:
        model = Tenant
        fields = ("name", "device_isolation_is_automatic")


class TenantFilterSet(FilterSet):
    """By short name, and whether they are switched on."""

    slug = CharFilter(label="The tenant of this short name.")
    is_active = BooleanFilter(label="Those that are switched on, or off.")

    class Meta:
        model = Tenant
        fields = ("slug", "is_active")


@extend_schema_view(
    list=extend_schema(description="The tenants you may see."),
    retrieve=extend_schema(description="One tenant."),
)
class TenantViewSet(ReadingViewSet):
    """Tenants, without the provider's own reserved one. Reading them is for keys too, changing them for people."""

    queryset = Tenant.objects.exclude(pk=PROVIDER_TENANT_ID)
    permission_classes = [KeysRead]
    serializer_class = TenantSerializer
    filterset_class = TenantFilterSet

    @extend_schema(request=NewTenantSerializer, responses={201: TenantSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Take on a customer, with a default device group and a connection that begins to read at once."""
        self.actor.require_provider()
        body = NewTenantSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = tenants.create_tenant(**body.validated_data, actor=self.actor)
        return Response(TenantSerializer(tenant).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ChangeTenantSerializer, responses=TenantSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a customer's name, or whether its malicious devices are isolated without asking."""
        tenant: Tenant = self.get_object()
        self.actor.require_provider()
        body = ChangeTenantSerializer(tenant, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        standing = {
            "name": tenant.name,
            "device_isolation_is_automatic": tenant.device_isolation_is_automatic,
        }
        changed = tenants.change_tenant(tenant.pk, **(standing | body.validated_data), actor=self.actor)
        return Response(TenantSerializer(changed).data)

    @extend_schema(request=None, responses=TenantSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def deactivate(self, request: Request, pk: str) -> Response:
        """Switch a customer off: only provider admins still see it, nothing is read or sent for it any more."""
        return Response(TenantSerializer(tenants.deactivate_tenant(self.get_object().pk, actor=self.actor)).data)

    @extend_schema(request=None, responses=TenantSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def reactivate(self, request: Request, pk: str) -> Response:
        """Switch a customer on again, for the same people with the same roles."""
        return Response(TenantSerializer(tenants.reactivate_tenant(self.get_object().pk, actor=self.actor)).data)
