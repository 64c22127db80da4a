"""/identity-providers/: where the people of each tenant sign in. A client secret is written, never read."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access.exceptions import Conflict
from portal.access.roles import Capability
from portal.access.sign_in.identity_providers import (
    Wanted,
    delete_identity_provider,
    require_manager,
    save_identity_provider,
)
from portal.access.sign_in.models import IdentityProvider
from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant

_FIELDS = ("id", "tenant", "issuer", "client_id", "entra_tenant_id", "is_enabled")


class IdentityProviderSerializer(serializers.ModelSerializer):
    """A tenant's own sign-in. The reserved tenant `provider` stands for provider staff."""

    class Meta:
        model = IdentityProvider
        fields = _FIELDS
        read_only_fields = fields


class ChangeIdentityProviderSerializer(serializers.Serializer):
    """What to change; what is left out stays."""

    issuer = serializers.URLField(max_length=500, help_text="As the ID tokens say it. Changing it voids all links.")
    client_id = serializers.CharField(max_length=200)
    client_secret = serializers.CharField(max_length=1000, write_only=True, help_text="Never shown again.")
    entra_tenant_id = serializers.UUIDField(allow_null=True, required=False, help_text="Pins the `tid` of ID tokens.")
    is_enabled = serializers.BooleanField(required=False)


class NewIdentityProviderSerializer(ChangeIdentityProviderSerializer):
    """A sign-in to be."""

    tenant = RowField(queryset=Tenant.objects.all())


class IdentityProviderFilterSet(TenantFilterSet):
    """By tenant."""

    class Meta:
        model = IdentityProvider
        fields = ("tenant",)


@extend_schema_view(
    list=extend_schema(description="Identity providers of the tenants whose connections you manage."),
    retrieve=extend_schema(description="One identity provider."),
)
class IdentityProviderViewSet(ReadingViewSet):
    """Where people sign in. Changing it needs the permission to manage connections and a fresh second factor."""

    queryset = IdentityProvider.objects.all()
    serializer_class = IdentityProviderSerializer
    filterset_class = IdentityProviderFilterSet

    def get_queryset(self) -> QuerySet[IdentityProvider]:
        """Return those of the tenants whose connections the caller manages."""
        held = self.actor.capabilities.items()
        managed = [tenant for tenant, capabilities in held if Capability.MANAGE_CONNECTIONS in capabilities]
        if self.actor.may_anywhere(Capability.MANAGE_TENANTS):
            managed.append(PROVIDER_TENANT_ID)
        rows: QuerySet[IdentityProvider] = super().get_queryset()
        return rows.filter(tenant__in=managed)

    @extend_schema(request=NewIdentityProviderSerializer, responses={201: IdentityProviderSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Give a tenant its identity provider; there is at most one for each."""
        body = NewIdentityProviderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = {"entra_tenant_id": None, "is_enabled": True} | body.validated_data
        tenant_id = values.pop("tenant").pk
        require_manager(self.actor, tenant_id)
        if IdentityProvider.objects.filter(tenant_id=tenant_id).exists():
            raise Conflict(_("The tenant has an identity provider; change that one."))
        return self._save(tenant_id, values, status.HTTP_201_CREATED)

    @extend_schema(request=ChangeIdentityProviderSerializer, responses=IdentityProviderSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change an identity provider; without `client_secret` the secret stays."""
        row: IdentityProvider = self.get_object()
        body = ChangeIdentityProviderSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        standing = {
            "issuer": row.issuer,
            "client_id": row.client_id,
            "client_secret": "",
            "entra_tenant_id": row.entra_tenant_id,
            "is_enabled": row.is_enabled,
        }
        return self._save(row.tenant_id, standing | body.validated_data, status.HTTP_200_OK)

    @extend_schema(responses={204: OpenApiResponse(description="It is deleted.")})
    def destroy(self, request: Request, pk: str) -> Response:
        """Take a tenant's identity provider away; its people sign in by password."""
        delete_identity_provider(self.get_object(), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _save(self, tenant_id: UUID, values: dict[str, Any], code: int) -> Response:
        row = save_identity_provider(tenant_id, Wanted(**values), actor=self.actor)
        return Response(IdentityProviderSerializer(row).data, status=code)
