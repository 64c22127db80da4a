"""/hourly-limits/: how many actions of a type may be sent in an hour, where a tenant has a limit of its own."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet
from remediation.safeguards.models import HourlyCap


class HourlyLimitSerializer(serializers.ModelSerializer):
    """A tenant's own limit."""

    class Meta:
        model = HourlyCap
        fields = ("id", "tenant", "action_type", "cap")
        read_only_fields = fields


class HourlyLimitFilterSet(TenantFilterSet):
    """By tenant and type."""

    class Meta:
        model = HourlyCap
        fields = ("tenant", "action_type")


@extend_schema_view(
    list=extend_schema(description="Limits that tenants you may see have of their own; /action-types/ has the others."),
    retrieve=extend_schema(description="One limit of a tenant's own."),
)
class HourlyLimitViewSet(ReadingViewSet):
    """Limits per hour. One changes by a `set_hourly_cap` under POST /guarded-changes/ and a second person."""

    queryset = HourlyCap.objects.all()
    serializer_class = HourlyLimitSerializer
    filterset_class = HourlyLimitFilterSet

    def get_queryset(self) -> QuerySet[HourlyCap]:
        """Return the rows in scope."""
        return super().get_queryset().order_by("-id")
