"""/freezes/: what is not being sent, and why. One person freezes; lifting takes a guarded change."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import BooleanFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import PROVIDER_TENANT_ID, Tenant
from remediation.catalogue import CHOICES, Route
from remediation.safeguards import freezes
from remediation.safeguards.models import Freeze

CONNECTORS = [(item.value, item.value) for item in Route]


class FreezeSerializer(serializers.ModelSerializer):
    """A freeze. Empty `action_type` and `connector`: everything is frozen."""

    all_tenants = serializers.SerializerMethodField(help_text="Whether it holds for all tenants, not for `tenant`.")
    in_force = serializers.SerializerMethodField(help_text="Whether nobody has lifted it.")

    class Meta:
        model = Freeze
        fields = (
            "id",
            "tenant",
            "all_tenants",
            "action_type",
            "connector",
            "reason",
            "frozen_by",
            "frozen_at",
            "in_force",
            "lifted_by",
            "lifted_at",
        )
        read_only_fields = fields

    def get_all_tenants(self, row: Freeze) -> bool:
        """Return whether it holds for all tenants."""
        return row.tenant_id == PROVIDER_TENANT_ID

    def get_in_force(self, row: Freeze) -> bool:
        """Return whether nobody has lifted it."""
        return row.lifted_at is None


class NewFreezeSerializer(serializers.Serializer):
    """A freeze to be: of one tenant or, said in so many words, of all; of everything, one type or one connector."""

    tenant = RowField(queryset=Tenant.objects.exclude(pk=PROVIDER_TENANT_ID), required=False, allow_null=True)
    all_tenants = serializers.BooleanField(default=False, help_text="Instead of `tenant`.")
    action_type = serializers.ChoiceField(CHOICES, default="", allow_blank=True)
    connector = serializers.ChoiceField(CONNECTORS, default="", allow_blank=True)
    reason = serializers.CharField(max_length=1000, help_text="Why; everybody it concerns reads it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what names neither a tenant nor all of them, or both."""
        if (attrs.get("tenant") is not None) == attrs["all_tenants"]:
            raise serializers.ValidationError({"tenant": [_("Name one tenant, or set all_tenants; not both.")]})
        return attrs


class FreezeFilterSet(TenantFilterSet):
    """By tenant, type, connector and whether it is in force."""

    in_force = BooleanFilter(field_name="lifted_at", lookup_expr="isnull", label="Whether nobody has lifted it.")

    class Meta:
        model = Freeze
        fields = ("tenant", "action_type", "connector", "in_force")


@extend_schema_view(
    list=extend_schema(
        description="Freezes of all tenants you may see, in force and lifted, newest first. Those over all tenants are"
        " listed for provider admins; an action that one holds back says so in its `waits_for`."
    ),
    retrieve=extend_schema(description="One freeze."),
)
class FreezeViewSet(ReadingViewSet):
    """Stop sending at once. It goes on by a `lift_freeze` under POST /guarded-changes/ and a second person."""

    queryset = Freeze.objects.all()
    serializer_class = FreezeSerializer
    filterset_class = FreezeFilterSet

    def get_queryset(self) -> QuerySet[Freeze]:
        """Return the rows in scope."""
        return super().get_queryset().order_by("-id")

    @extend_schema(request=NewFreezeSerializer, responses={201: FreezeSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Stop sending, from this answer on; never with an API key. What is approved waits, and lapses in its time."""
        body = NewFreezeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        made = freezes.freeze(
            PROVIDER_TENANT_ID if asked["all_tenants"] else asked["tenant"].pk,
            actor=self.actor,
            reason=asked["reason"],
            action_type=asked["action_type"],
            connector=asked["connector"],
        )
        return Response(FreezeSerializer(made).data, status=status.HTTP_201_CREATED)
