"""/alerts/: alerts as Microsoft Graph gives them. Taking them in is `remediation.actions.api`'s."""

from django_filters.rest_framework import CharFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from investigations.models import Alert
from portal.api.filters import TenantFilterSet
from portal.api.viewsets import ReadingViewSet

_FIELDS: tuple[str, ...] = (
    "id",
    "tenant",
    "alert_id",
    "investigation",
    "incident_id",
    "title",
    "severity",
    "status",
    "service_source",
    "classification",
    "determination",
    "category",
    "created_at_source",
    "updated_at_source",
    "received_at",
)


class AlertSerializer(serializers.ModelSerializer):
    """An alert. `created_at_source` and `updated_at_source` are Microsoft's times, `received_at` is ours."""

    class Meta:
        model = Alert
        fields = _FIELDS
        read_only_fields = fields


class AlertDetailSerializer(AlertSerializer):
    """An alert with all that Microsoft sent."""

    raw = serializers.JSONField(read_only=True, help_text="The alert as Microsoft Graph sent it.")

    class Meta(AlertSerializer.Meta):
        fields = (*_FIELDS, "raw")
        read_only_fields = fields


class AlertFilterSet(TenantFilterSet):
    """By investigation, Microsoft's ids and severity."""

    investigation = UUIDFilter(field_name="investigation_id", label="Alerts of one investigation, by its id.")
    alert_id = CharFilter(label="Microsoft's id of the alert.")
    incident_id = CharFilter(label="Microsoft's id of the incident.")
    severity = CharFilter(lookup_expr="iexact", label="Such as `high`.")

    class Meta:
        model = Alert
        fields = ("tenant", "investigation", "alert_id", "incident_id", "severity")


@extend_schema_view(
    list=extend_schema(description="Alerts of all tenants you may see, last received first."),
    retrieve=extend_schema(description="One alert, with `raw` as it was received."),
)
class AlertViewSet(ReadingViewSet):
    """Alerts are never edited here: the next one from Microsoft would undo it."""

    queryset = Alert.objects.defer("raw")
    serializer_class = AlertSerializer
    detail_serializer_class = AlertDetailSerializer
    filterset_class = AlertFilterSet
