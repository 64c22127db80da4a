"""/retention-rules/: how long tenants keep each kind of row, where not the default."""

from django_filters.rest_framework import ChoiceFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import ExactSerializer, RowField
from portal.api.filters import TenantFilterSet
from portal.api.idempotency import replayable
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant
from remediation.retention.kinds import KIND_CHOICES
from remediation.retention.models import RetentionRule
from remediation.retention.rules import set_rule


class RetentionRuleSerializer(serializers.ModelSerializer):
    """A tenant's own rule. What it has none for is kept as long as GET /purges/preview/ says."""

    kind = serializers.ChoiceField(KIND_CHOICES, read_only=True)

    class Meta:
        model = RetentionRule
        fields = ("id", "tenant", "kind", "days", "reason", "changed_by", "changed_at")
        read_only_fields = fields


class SetRetentionRuleSerializer(ExactSerializer):
    """A rule to be. Fewer days than now need `confirmed_rows`."""

    tenant = RowField(queryset=Tenant.objects.all())
    kind = serializers.ChoiceField(KIND_CHOICES)
    days = serializers.IntegerField(allow_null=True, help_text="Null: as long as the default.")
    reason = serializers.CharField(max_length=1000, help_text="Why; it goes on record.")
    confirmed_rows = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        help_text="The most rows you agree leave at once, for good; the 409 without it says how many there are.",
    )


class RetentionNowSerializer(serializers.Serializer):
    """How long the tenant keeps the kind from now on."""

    tenant = serializers.UUIDField()
    kind = serializers.ChoiceField(KIND_CHOICES)
    days = serializers.IntegerField()


class RetentionRuleFilterSet(TenantFilterSet):
    """By tenant and kind."""

    kind = ChoiceFilter(choices=KIND_CHOICES)

    class Meta:
        model = RetentionRule
        fields = ("tenant", "kind")


@extend_schema_view(
    list=extend_schema(description="The rules that tenants you may see have of their own, newest first."),
    retrieve=extend_schema(description="One rule of a tenant's own."),
)
class RetentionRuleViewSet(ReadingViewSet):
    """Rules of retention: longer at once, shorter once it was confirmed how many rows leave."""

    queryset = RetentionRule.objects.all()
    serializer_class = RetentionRuleSerializer
    filterset_class = RetentionRuleFilterSet

    @extend_schema(request=SetRetentionRuleSerializer, responses={200: RetentionNowSerializer})
    @replayable
    def create(self, request: Request) -> Response:
        """Keep a kind for so many days in one tenant, or again as long as the default. A person's; never a key's."""
        body = SetRetentionRuleSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        days = set_rule(
            asked["tenant"].pk,
            asked["kind"],
            asked["days"],
            actor=self.actor,
            reason=asked["reason"],
            confirmed_rows=asked.get("confirmed_rows"),
        )
        return Response(
            RetentionNowSerializer({"tenant": asked["tenant"].pk, "kind": asked["kind"], "days": days}).data
        )
