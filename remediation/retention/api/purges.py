"""/purges/: the receipts of what left, and what would leave now."""

from typing import Any
from uuid import UUID

from django_filters.rest_framework import BooleanFilter, ChoiceFilter
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from portal.api.fields import RowField
from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for
from remediation.retention.kinds import KIND_CHOICES
from remediation.retention.models import Purge
from remediation.retention.preview import preview


class PurgeSerializer(serializers.ModelSerializer):
    """A receipt: so many rows of a kind left at once. `returned_count` tells how many of them are back again."""

    kind = serializers.ChoiceField(KIND_CHOICES, read_only=True)
    part_counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)

    class Meta:
        model = Purge
        fields = (
            "id",
            "tenant",
            "kind",
            "run",
            "days",
            "cutoff",
            "row_count",
            "part_counts",
            "first_id",
            "last_id",
            "sha256",
            "purged_at",
            "filed_at",
            "returned_count",
            "returned_at",
        )
        read_only_fields = fields


class PurgePreviewSerializer(serializers.Serializer):
    """One kind of row: how long it is kept, and what would leave now."""

    kind = serializers.ChoiceField(KIND_CHOICES, source="kind.name")
    days = serializers.IntegerField()
    default_days = serializers.IntegerField(source="kind.days")
    shortest_days = serializers.IntegerField(source="kind.shortest")
    longest_days = serializers.IntegerField(source="kind.longest")
    cutoff = serializers.DateTimeField()
    due = serializers.IntegerField(help_text="Rows that would leave at the next purge.")
    held = serializers.IntegerField(help_text="Rows past their time that a legal hold keeps.")
    rests = serializers.BooleanField(help_text="Nothing leaves for a day: rows came back with a restored backup.")


class PreviewOfSerializer(serializers.Serializer):
    """Whose rows."""

    tenant = RowField(queryset=Tenant.objects.all())


class PurgeFilterSet(TenantFilterSet):
    """By tenant, kind, and whether rows of it have been back."""

    kind = ChoiceFilter(choices=KIND_CHOICES)
    returned = BooleanFilter(
        field_name="returned_at", lookup_expr="isnull", exclude=True, label="Whether rows of it came back."
    )

    class Meta:
        model = Purge
        fields = ("tenant", "kind", "returned")


@extend_schema_view(
    list=extend_schema(description="Receipts of purges in the tenants you may see, newest first."),
    retrieve=extend_schema(description="One receipt."),
)
class PurgeViewSet(ReadingViewSet):
    """Receipts, and the dry run."""

    queryset = Purge.objects.defer("row_ids")
    serializer_class = PurgeSerializer
    filterset_class = PurgeFilterSet

    @extend_schema(
        parameters=[OpenApiParameter("tenant", UUID, required=True, description="Whose rows, by the tenant's id.")],
        responses=PurgePreviewSerializer(many=True),
        filters=False,
    )
    @action(detail=False, pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Return what would leave one tenant now, kind by kind. Nothing leaves."""
        asked = PreviewOfSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        tenant_id = asked.validated_data["tenant"].pk
        with acting_for(tenant_id):
            shown: Any = PurgePreviewSerializer(preview(tenant_id), many=True)
            return Response(shown.data)
