"""/service-accounts/ and /api-keys/: what other systems sign in with. Managed by people alone, never by key."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import BooleanFilter, FilterSet, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access import service_accounts
from portal.access.keys import LONGEST_LIFE, MOST_NETWORKS, KeyLimits
from portal.access.models import ApiKey, ServiceAccount
from portal.access.roles import Role
from portal.api.fields import RowField
from portal.api.idempotency import ShownOnce, replayable
from portal.api.resources.managing import ManagingViewSet, tenants_field
from portal.api.resources.memberships import TENANT_ROLES
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant

MOST_DAYS = LONGEST_LIFE.days


class ServiceAccountSerializer(serializers.ModelSerializer):
    """An account that only API keys act for. `tenant` is null for the provider's own."""

    tenant = serializers.UUIDField(source="belongs_to_id", read_only=True, allow_null=True)

    class Meta:
        model = ServiceAccount
        fields = ("id", "tenant", "email", "name", "is_active", "created_at")
        read_only_fields = fields


class NewServiceAccountSerializer(serializers.Serializer):
    """An account to be: a tenant's, with its role there, or without both the provider's own."""

    tenant = RowField(
        queryset=Tenant.objects.exclude(pk=PROVIDER_TENANT_ID), required=False, allow_null=True, default=None
    )
    name = serializers.CharField(max_length=200)
    role = serializers.ChoiceField(TENANT_ROLES, required=False, allow_null=True, default=None)


class ServiceAccountFilterSet(FilterSet):
    """By the tenant it belongs to, and whether it is switched on."""

    tenant = UUIDFilter(field_name="belongs_to_id", label="Those that belong to this tenant.")
    is_active = BooleanFilter(label="Those that are switched on, or off.")

    class Meta:
        model = ServiceAccount
        fields = ("tenant", "is_active")


@extend_schema_view(
    list=extend_schema(description="The service accounts you manage."),
    retrieve=extend_schema(description="One service account."),
)
class ServiceAccountViewSet(ManagingViewSet):
    """Service accounts: a tenant's admins manage those that belong to the tenant, provider admins all."""

    queryset = ServiceAccount.objects.all()
    serializer_class = ServiceAccountSerializer
    filterset_class = ServiceAccountFilterSet

    def managed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the accounts the caller manages."""
        return service_accounts.accounts_of(self.actor)

    @extend_schema(request=NewServiceAccountSerializer, responses={201: ServiceAccountSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Make a service account; its e-mail, which nobody can write to, is made from its name."""
        body = NewServiceAccountSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        account = service_accounts.create_account(
            tenant=wanted["tenant"],
            name=wanted["name"],
            role=Role(wanted["role"]) if wanted["role"] else None,
            actor=self.actor,
        )
        return Response(ServiceAccountSerializer(account).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=ServiceAccountSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def deactivate(self, request: Request, pk: str) -> Response:
        """Switch an account off: all its keys are refused from the next request on."""
        account = service_accounts.deactivate_account(self.get_object().pk, actor=self.actor)
        return Response(ServiceAccountSerializer(account).data)

    @extend_schema(request=None, responses=ServiceAccountSerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def reactivate(self, request: Request, pk: str) -> Response:
        """Switch an account on again; keys that were not revoked and have not expired work again."""
        account = service_accounts.reactivate_account(self.get_object().pk, actor=self.actor)
        return Response(ServiceAccountSerializer(account).data)


KEY_FIELDS: tuple[str, ...] = (
    "id",
    "account",
    "tenant",
    "name",
    "prefix",
    "role",
    "tenants",
    "networks",
    "created_at",
    "expires_at",
    "revoked_at",
    "last_used_at",
    "last_used_address",
    "last_refused_at",
)


class ApiKeySerializer(serializers.ModelSerializer):
    """A key without its text. `prefix` is what its text begins with after `quell_`."""

    account = serializers.UUIDField(source="user_id", read_only=True)
    tenant = serializers.UUIDField(
        source="user.belongs_to_id", read_only=True, allow_null=True, help_text="The tenant its account belongs to."
    )
    tenants = serializers.ListField(
        child=serializers.UUIDField(),
        source="tenant_ids",
        read_only=True,
        allow_null=True,
        help_text="The only tenants it reaches; null: all that its account does.",
    )

    class Meta:
        model = ApiKey
        fields = KEY_FIELDS
        read_only_fields = fields


class MadeKeySerializer(ApiKeySerializer):
    """A key as it was made."""

    key = serializers.CharField(
        read_only=True, allow_null=True, help_text="Its text, told this once; null when the request is replayed."
    )

    class Meta(ApiKeySerializer.Meta):
        fields = (*KEY_FIELDS, "key")
        read_only_fields = fields


class ManagedAccountField(RowField):
    """The id of a service account that the caller manages; all others are unknown ids."""

    def get_queryset(self) -> QuerySet[Any] | None:
        """Return the accounts the view gave."""
        accounts: QuerySet[Any] = self.context["accounts"]
        return accounts


class NewKeySerializer(serializers.Serializer):
    """A key to be, and what it is held to besides what its account may."""

    account = ManagedAccountField(queryset=ServiceAccount.objects.filter(is_service_account=True))
    name = serializers.CharField(max_length=200)
    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=MOST_DAYS)
    role = serializers.ChoiceField(
        TENANT_ROLES, required=False, allow_null=True, default=None, help_text="At most what this role may."
    )
    tenants = tenants_field(required=False, allow_null=True, default=None)
    networks = serializers.ListField(
        child=serializers.CharField(max_length=43),
        required=False,
        max_length=MOST_NETWORKS,
        default=list,
        help_text="CIDR networks or addresses it may be used from; none named: from anywhere.",
    )


class RotationSerializer(serializers.Serializer):
    """How long the new key lives, and how long the old one beside it."""

    days = serializers.IntegerField(min_value=1, max_value=MOST_DAYS, default=MOST_DAYS)
    hours = serializers.IntegerField(
        min_value=0,
        max_value=service_accounts.MOST_HOURS_BESIDE,
        default=24,
        help_text="How long the old key works on; 0: not at all.",
    )


class ApiKeyFilterSet(FilterSet):
    """By account."""

    account = UUIDFilter(field_name="user_id", label="The keys of this service account.")

    class Meta:
        model = ApiKey
        fields = ("account",)


@extend_schema_view(
    list=extend_schema(description="The keys of the service accounts you manage, without their texts."),
    retrieve=extend_schema(description="One key, without its text."),
)
class ApiKeyViewSet(ManagingViewSet):
    """API keys of service accounts: made, rotated and revoked by people, never by key."""

    queryset = ApiKey.objects.select_related("user")
    serializer_class = ApiKeySerializer
    filterset_class = ApiKeyFilterSet

    def managed(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the keys of the accounts the caller manages."""
        return service_accounts.keys_of(self.actor).select_related("user")

    @extend_schema(request=NewKeySerializer, responses={201: MadeKeySerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Make a key. `key` is its text, in this answer and never again."""
        body = NewKeySerializer(data=request.data, context={"accounts": service_accounts.accounts_of(self.actor)})
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        limits = KeyLimits(
            role=Role(wanted["role"]) if wanted["role"] else None,
            tenant_ids=None if wanted["tenants"] is None else [tenant.pk for tenant in wanted["tenants"]],
            networks=wanted["networks"],
        )
        made = service_accounts.make_key(
            wanted["account"].pk,
            name=wanted["name"],
            lifetime=timedelta(days=wanted["days"]),
            limits=limits,
            actor=self.actor,
        )
        return _show_once(*made)

    @extend_schema(request=RotationSerializer, responses={201: MadeKeySerializer})
    @action(detail=True, methods=["post"])
    @replayable
    def rotate(self, request: Request, pk: str) -> Response:
        """Make a key like this one, whose `key` is told once; this one ends after some hours."""
        body = RotationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = service_accounts.rotate_key(
            self.get_object().pk,
            hours_beside=body.validated_data["hours"],
            lifetime=timedelta(days=body.validated_data["days"]),
            actor=self.actor,
        )
        return _show_once(*made)

    @extend_schema(request=None, responses=ApiKeySerializer)
    @action(detail=True, methods=["post"])
    @replayable
    def revoke(self, request: Request, pk: str) -> Response:
        """End a key at once."""
        return Response(ApiKeySerializer(service_accounts.revoke_key(self.get_object().pk, actor=self.actor)).data)


def _show_once(key: ApiKey, text: str) -> ShownOnce:
    told = {**ApiKeySerializer(key).data, "key": text}
    return ShownOnce(told, secrets=("key",), status=status.HTTP_201_CREATED)
