"""/audit-events/: what happened, by whom, to what."""

from django_filters.rest_framework import CharFilter, IsoDateTimeFromToRangeFilter, UUIDFilter
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from portal.api.filters import TenantFilterSet
from portal.api.paging import HistoryPagination
from portal.api.viewsets import ReadingViewSet
from portal.audit.models import AuditEvent


class AuditEventSerializer(serializers.ModelSerializer):
    """One line of a tenant's history. `seq` counts up by one per tenant; `actor_id` is null for automation."""

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "tenant",
            "seq",
            "at",
            "verb",
            "object_type",
            "object_id",
            "actor_id",
            "actor_label",
            "data",
        )
        read_only_fields = fields


class AuditEventFilterSet(TenantFilterSet):
    """By object, by event, by who did it, and by time."""

    object_id = UUIDFilter(label="What happened to this action, investigation, group …, by its id.")
    verb = CharFilter(label="The event, such as `action.approved`.")
    actor_id = UUIDFilter(label="What this person or service account did.")
    at = IsoDateTimeFromToRangeFilter(label="Between two moments (ISO 8601).")

    class Meta:
        model = AuditEvent
        fields = ("tenant", "object_id", "verb", "actor_id", "at")


@extend_schema_view(
    list=extend_schema(description="History, newest first, over all tenants you may see."),
    retrieve=extend_schema(description="One event."),
)
class AuditEventViewSet(ReadingViewSet):
    """History is read; nothing writes it but what it tells of."""

    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    filterset_class = AuditEventFilterSet
    pagination_class = HistoryPagination
