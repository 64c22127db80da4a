"""/burn-down/: how much remediation was open in each tenant, day by day."""

from django_filters.rest_framework import DateFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin

from portal.api.filters import TenantFilterSet
from portal.api.paging import KeysetPagination
from portal.api.viewsets import ScopedViewSet
from remediation.vulnerabilities.models import BurnDownDay


class BurnDownDaySerializer(serializers.ModelSerializer):
    """One tenant's day (UTC), as last counted on it. Devices count once for each activity they are exposed in."""

    class Meta:
        model = BurnDownDay
        fields = (
            "tenant",
            "day",
            "open_activities",
            "overdue_activities",
            "completed_activities",
            "exposed_devices",
        )
        read_only_fields = fields


class BurnDownFilterSet(TenantFilterSet):
    """By tenant and day."""

    day_after = DateFilter(field_name="day", lookup_expr="gte", label="From this day on.")
    day_before = DateFilter(field_name="day", lookup_expr="lte", label="Up to this day.")

    class Meta:
        model = BurnDownDay
        fields = ("tenant",)


class BurnDownPagination(KeysetPagination):
    """The last day first."""

    ordering = ("-day", "-id")


@extend_schema_view(list=extend_schema(description="The burn-down of all tenants you may see, the last day first."))
class BurnDownViewSet(ListModelMixin, ScopedViewSet):
    """How much remediation is open, tenant by tenant and day by day."""

    queryset = BurnDownDay.objects.all()
    serializer_class = BurnDownDaySerializer
    filterset_class = BurnDownFilterSet
    pagination_class = BurnDownPagination
