"""/me/: who the caller is and what they may do where."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.access.actors import Actor
from portal.access.models import User
from portal.access.roles import Capability
from portal.api.permissions import SignedIn, actor_of
from portal.tenancy.models import Tenant
from portal.tenancy.scope import has_scope


class MyTenantSerializer(serializers.Serializer):
    """One tenant and the permissions held there, by key or session as asked."""

    tenant = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    permissions = serializers.ListField(child=serializers.ChoiceField([item.value for item in Capability]))


class MeSerializer(serializers.Serializer):
    """Who asks."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    is_service_account = serializers.BooleanField()
    tenants = MyTenantSerializer(many=True)


class MeView(APIView):
    """The caller, as the door sees them."""

    permission_classes = [SignedIn]

    @extend_schema(operation_id="me_retrieve", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Who you are, and what you may do for each tenant you see."""
        actor = actor_of(request)
        return Response(
            {
                "id": actor.id,
                "email": actor.label,
                "is_service_account": cast(User, request.user).is_service_account,
                "tenants": [_held(actor, tenant) for tenant in _tenants()],
            }
        )


def _tenants() -> list[Tenant]:
    return list(Tenant.objects.filter(is_active=True)) if has_scope() else []


def _held(actor: Actor, tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant": tenant.pk,
        "slug": tenant.slug,
        "name": tenant.name,
        "permissions": sorted(capability.value for capability in actor.capabilities.get(tenant.pk, ())),
    }
